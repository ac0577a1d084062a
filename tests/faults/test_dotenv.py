"""What is wrong with `.env` by itself, and with what runs once it was edited."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machine import git
from stacks import Checkout, Docker, docker

LONG = "b2f84xQm7tPzK0cVw1RyNs6hLgJ3dUaE9oXi5TvMkZqCpBnHfWeYrAuG8lSjD"


def remove(stack: Checkout, *keys: str) -> None:
    """Take these lines out of .env, as with an editor."""
    lines = (stack.root / ".env").read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in keys]
    stack.write(".env", "\n".join([*kept, ""]))


def doctor(stack: Checkout, *codes: str) -> str:
    """`inv doctor` finds these problems and no other; what it says."""
    done = stack.inv("doctor", code=1 if codes else 0)
    assert set(re.findall(r"^error ([A-Z]+\d\d)", done.stdout, re.M)) == set(codes), done.stdout
    return done.stdout


@pytest.mark.fault("ENV05", "docker", "embedded")
def test_a_value_without_a_default_is_missing(stack: Checkout) -> None:
    for key in ("SECRET_KEY", "SQL_PASSWORD", "COMPOSE_PROJECT_NAME"):
        before = stack.values[key]
        remove(stack, key)
        said = stack.refused("ENV05")
        assert f"add {key}='…' to .env, with the previous value" in said
        stack.refused("ENV05", "down")
        assert stack.found_by_doctor() == {"ENV05"}
        stack.set(key, f"'{before}'")
        assert stack.get("readyz")[0] == 200
    stack.inv("up")


BAD = [
    ("DEBUG", "maybe", "one of 0, 1, true, false"),
    ("WEB_PORT", "80000", "a number from 1 to 65535"),
    ("SQL_PORT", "http", "a number from 1 to 65535"),
    ("APP_UID", "me", "a number from 0"),
    ("COMPOSE_PROJECT_NAME", "My-Shop", "a-z, 0-9"),
]


@pytest.mark.fault("ENV06", "docker", "embedded")
def test_values_that_cannot_be(stack: Checkout) -> None:
    for key, bad, allowed in BAD:
        before = stack.values[key]
        stack.set(key, bad)
        said = stack.refused("ENV06")
        assert f"{key} in .env must be {allowed}" in said and f"correct {key} in .env" in said
        stack.set(key, before)
    stack.set("DEBUG", "maybe")
    assert stack.found_by_doctor() == {"ENV06"}
    stack.set("DEBUG", "yes")
    assert stack.inv("up").stdout == f"{stack.url}\n"


@pytest.mark.fault("PKG07", "docker", "embedded")
def test_errors_are_to_be_reported_by_a_package_that_no_lock_has(stack: Checkout) -> None:
    stack.set("SENTRY_DSN", "https://0123@errors.example.org/1")
    said = stack.refused("PKG07")
    assert "sentry-sdk" in said and "inv lock" in said
    assert stack.found_by_doctor() == {"PKG07", "RUN04"}, "and the web has another .env"
    stack.set("SENTRY_DSN", "")
    assert stack.inv("up").stdout == f"{stack.url}\n"


@pytest.mark.fault("ENV04", "docker", "embedded")
def test_a_value_that_is_read_in_two_ways(stack: Checkout) -> None:
    stack.set("MAIL_PASSWORD", 'a$word-and "more"')
    said = stack.refused("ENV04")
    assert "write MAIL_PASSWORD='…' in single quotes" in said and "$word" not in said
    assert stack.found_by_doctor() == {"ENV04"}
    stack.set("MAIL_PASSWORD", """'a$word-and "more"'""")
    stack.inv("up")
    code = "import os; print(os.environ['MAIL_PASSWORD'])"
    assert 'a$word-and "more"\n' in stack.inv("manage", "--", "shell", "-c", code).stdout


@pytest.mark.fault("ENV10", "docker", "embedded")
def test_keys_that_are_missing_are_added(stack: Checkout) -> None:
    remove(stack, "SQL_PORT", "DEBUG")
    assert stack.found_by_doctor() == {"ENV10", "RUN04"}
    assert json.loads(stack.inv("status", "--json").stdout)["env_missing"] == ["DEBUG", "SQL_PORT"]
    assert "missing in .env" in stack.inv("status").stdout
    before = (stack.root / ".env").read_text()
    done = stack.inv("doctor", "--fix", code=None)
    assert "fixing ENV10: " in done.stderr and "DEBUG, SQL_PORT" in done.stderr
    added = (stack.root / ".env").read_text().removeprefix(before.rstrip())
    assert "\nDEBUG=1\n" in added and "\nSQL_PORT=5432\n" in added and "# Django" in added
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("ENV16", "docker", "embedded")
@pytest.mark.fault("TASK07", "docker", "embedded")
def test_an_admin_that_cannot_be_made(stack: Checkout) -> None:
    said = stack.refused("ENV16", "db.seed", "--admin")
    assert "set ADMIN_USER, ADMIN_PASSWORD, ADMIN_EMAIL in .env" in said
    for key, value in {"USER": "eve", "PASSWORD": "not-to-be-seen", "EMAIL": "eve@x.org"}.items():
        stack.set(f"ADMIN_{key}", value)
    stack.set("DEBUG", "off")
    assert "not-to-be-seen" not in stack.refused("TASK07", "db.seed", "--admin")
    assert stack.sql("select count(*) from users_user where username = 'eve'") == "0"
    stack.set("DEBUG", "1")
    assert "created the superuser eve" in stack.inv("db.seed", "--admin").stdout


@pytest.mark.fault("ENV11", "docker", "embedded")
def test_a_key_that_is_mistyped(stack: Checkout) -> None:
    stack.set("ALOWED_HOSTS", "127.0.0.1")
    stack.inv("up")
    assert "rename it to ALLOWED_HOSTS, or remove it from .env" in doctor(stack, "ENV11")
    remove(stack, "ALOWED_HOSTS")
    stack.inv("up")
    doctor(stack)


@pytest.mark.fault("ENV12", "docker", "embedded")
def test_a_key_that_can_be_guessed(stack: Checkout) -> None:
    stack.set("SECRET_KEY", "django-insecure-" + LONG)
    stack.inv("up")
    assert "replace it by a long random text" in doctor(stack, "ENV12")
    stack.set("SECRET_KEY", LONG)
    stack.inv("up")
    doctor(stack)


@pytest.mark.fault("ENV12", "docker", "embedded")
def test_a_password_that_can_be_guessed(stack: Checkout) -> None:
    long_and_random = stack.values["SQL_PASSWORD"]
    stack.set("SQL_PASSWORD", "app")
    stack.inv("db.password")
    try:
        said = doctor(stack, "ENV12")
        assert "replace it by a long random text" in said and "inv db.password" in said
    finally:
        stack.set("SQL_PASSWORD", long_and_random)
        stack.inv("db.password")
    doctor(stack)


@contextmanager
def repository(root: Path) -> Iterator[None]:
    git(root, "init", "--quiet")
    try:
        yield
    finally:
        shutil.rmtree(root / ".git")


@pytest.mark.fault("ENV13", "docker", "embedded")
def test_secrets_in_git(stack: Checkout) -> None:
    with repository(stack.root):
        git(stack.root, "add", ".")
        git(stack.root, "commit", "--message", "all of it")
        git(stack.root, "add", "--force", ".env")
        git(stack.root, "commit", "--message", "too much")
        assert "git rm --cached .env, then commit" in doctor(stack, "ENV13")
        git(stack.root, "rm", "--cached", ".env")
        git(stack.root, "commit", "--message", "less")
        assert stack.found_by_doctor() == set()
    assert (stack.root / ".env").exists()


@pytest.mark.fault("ENV14", "docker", "embedded")
def test_an_env_that_others_can_read(stack: Checkout) -> None:
    file = stack.root / ".env"
    for typed in (["chmod", "600", ".env"], ["./inv", "doctor", "--fix"]):
        file.chmod(0o644)
        said = doctor(stack, "ENV14")
        assert "fix: chmod 600 .env" in said and "inv doctor --fix fixes ENV14" in said
        subprocess.run(typed, cwd=stack.root, check=True, capture_output=True)
        assert file.stat().st_mode & 0o777 == 0o600
    doctor(stack)


@pytest.mark.fault("ENV15", "docker")
def test_a_web_that_runs_as_somebody_else(stack: Checkout) -> None:
    owner = stack.root.stat()
    stack.set("APP_UID", str(owner.st_uid + 4321))
    stack.set("APP_GID", str(owner.st_gid + 4321))
    stack.inv("up")
    said = doctor(stack, "ENV15")
    assert f"set APP_UID={owner.st_uid} in .env" in said and "inv up" in said
    new = ("makemigrations", "--", "home", "--empty", "--name", "new")
    assert "Permission" in stack.inv(*new, code=None).stderr  # it is no idle word
    stack.set("APP_UID", str(owner.st_uid))
    stack.set("APP_GID", str(owner.st_gid))
    stack.inv("up")
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("RUN04", "docker", "embedded")
def test_what_was_edited_after_the_start(stack: Checkout) -> None:
    stack.set("MAIL_HOST", "mail.example.org")
    assert stack.found_by_doctor() == {"RUN04"}
    assert "edited after the start" in stack.inv("status").stdout
    assert json.loads(stack.inv("status", "--json").stdout)["edited"] is True
    stack.inv("up")
    assert stack.found_by_doctor() == set()
    code = "import os; print(os.environ['MAIL_HOST'])"
    assert "mail.example.org" in stack.inv("manage", "--", "shell", "-c", code).stdout


@pytest.mark.fault("RUN04", "docker")
def test_a_compose_file_that_was_edited_after_the_start(stack: Checkout) -> None:
    before = (stack.root / "compose/web.yaml").read_text()
    try:
        stack.write("compose/web.yaml", before + "    labels: {edited: '1'}\n")
        assert stack.found_by_doctor() == {"RUN04"}
        stack.inv("up")
        assert stack.found_by_doctor() == set()
    finally:
        stack.write("compose/web.yaml", before)


def environments(stack: Checkout) -> Iterator[str]:
    """What the web's process, `manage.py` and a shell have in theirs."""
    code = "import os; print(os.environ)"
    yield stack.inv("manage", "--", "shell", "-c", code).stdout
    yield stack.inv("shell", "--", "-c", "env").stdout
    if isinstance(stack.runtime, Docker):
        yield docker("inspect", f"{stack.project}-web-1", f"{stack.project}-db-1").stdout
    else:
        number = (stack.root / ".state" / "web.lock").read_text()
        yield Path(f"/proc/{number}/environ").read_text()


def test_what_is_production_s_is_not_in_development(stack: Checkout) -> None:
    stack.set("STRIPE_KEY", "a-key-for-trials")
    for key in ("PROD_STRIPE_KEY", "PROD_SQL_PASSWORD", "DEPLOY_CHECK", "REGISTRY"):
        stack.set(key, "s3cr3t")
    stack.set("PROD_DATABASE_URL", "postgres://ann:s3cr3t@db.example/shop")
    stack.inv("up")
    for found in environments(stack):
        assert "a-key-for-trials" in found
        assert "s3cr3t" not in found and "PROD_" not in found


@pytest.mark.fault("ENV19", "docker", "embedded")
def test_a_value_that_no_environment_takes(stack: Checkout) -> None:
    """One byte less is served; production's own are in a file, and may have more."""
    stack.set("PROD_LONG", "x" * 200_000)
    stack.set("LONG", "x" * (128 * 1024 - len("LONG=")))
    assert "LONG in .env has 131,072 bytes" in stack.refused("ENV19")
    assert stack.found_by_doctor() == {"ENV19"}
    stack.set("LONG", "x" * (128 * 1024 - len("LONG=") - 1))
    stack.inv("up")
    long = "import os; print(len(os.environ['LONG']))"
    assert stack.inv("manage", "--", "shell", "--verbosity", "0", "-c", long).stdout == "131066\n"
