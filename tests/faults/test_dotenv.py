"""What is wrong with `.env` by itself, and with what runs once it was edited."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stacks import Checkout

BOTH = ("docker", "embedded")
LONG = "b2f84xQm7tPzK0cVw1RyNs6hLgJ3dUaE9oXi5TvMkZqCpBnHfWeYrAuG8lSjD"


def remove(stack: Checkout, *keys: str) -> None:
    """Take these lines out of .env, as with an editor."""
    lines = (stack.root / ".env").read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in keys]
    stack.write(".env", "\n".join([*kept, ""]))


@pytest.mark.fault("ENV05", *BOTH)
@pytest.mark.parametrize("key", ["SECRET_KEY", "SQL_PASSWORD", "COMPOSE_PROJECT_NAME"])
def test_a_value_without_a_default_is_missing(stack: Checkout, key: str) -> None:
    before = stack.values[key]
    remove(stack, key)
    said = stack.refused("ENV05")
    assert f"add {key}='…' to .env: the value that it had" in said
    stack.refused("ENV05", "down")
    assert stack.found_by_doctor() == {"ENV05"}
    assert stack.get("readyz")[0] == 200
    stack.set(key, f"'{before}'")
    stack.inv("up")


@pytest.mark.fault("ENV06", *BOTH)
@pytest.mark.parametrize(
    ("key", "bad", "allowed"),
    [
        ("DEBUG", "maybe", "one of 0, 1, true, false"),
        ("WEB_PORT", "80000", "a number from 1 to 65535"),
        ("SQL_PORT", "http", "a number from 1 to 65535"),
        ("APP_UID", "me", "a number from 0"),
        ("COMPOSE_PROJECT_NAME", "My Shop", "a-z, 0-9"),
    ],
)
def test_a_value_that_cannot_be(stack: Checkout, key: str, bad: str, allowed: str) -> None:
    before = stack.values[key]
    stack.set(key, bad)
    said = stack.refused("ENV06")
    assert f"{key} in .env must be {allowed}" in said and f"correct {key} in .env" in said
    assert stack.found_by_doctor() == {"ENV06"}
    stack.set(key, before)
    assert stack.inv("up").stdout == f"{stack.url}\n"


@pytest.mark.fault("ENV04", *BOTH)
def test_a_value_that_is_read_in_two_ways(stack: Checkout) -> None:
    stack.set("MAIL_PASSWORD", 'a$word-and "more"')
    said = stack.refused("ENV04")
    assert "write MAIL_PASSWORD='…' in single quotes" in said and "$word" not in said
    assert stack.found_by_doctor() == {"ENV04"}
    stack.set("MAIL_PASSWORD", """'a$word-and "more"'""")
    stack.inv("up")
    code = "import os; print(os.environ['MAIL_PASSWORD'])"
    assert 'a$word-and "more"\n' in stack.inv("manage", "--", "shell", "-c", code).stdout


@pytest.mark.fault("ENV10", *BOTH)
def test_keys_that_are_missing_are_added(stack: Checkout) -> None:
    remove(stack, "SQL_PORT", "DEBUG")
    assert stack.found_by_doctor() == {"ENV10", "RUN04"}
    assert json.loads(stack.inv("status", "--json").stdout)["env_missing"] == ["DEBUG", "SQL_PORT"]
    assert "missing in .env" in stack.inv("status").stdout
    before = (stack.root / ".env").read_text()
    done = stack.inv("doctor", "--fix", code=None)
    assert "mending ENV10: .env lacks DEBUG, SQL_PORT" in done.stderr
    added = (stack.root / ".env").read_text().removeprefix(before.rstrip())
    assert "\nDEBUG=1\n" in added and "\nSQL_PORT=5432\n" in added and "# Django" in added
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("ENV11", *BOTH)
def test_a_key_that_is_mistyped(stack: Checkout) -> None:
    stack.set("ALOWED_HOSTS", "127.0.0.1")
    stack.inv("up")
    assert stack.found_by_doctor() == {"ENV11"}
    said = stack.inv("doctor", code=1).stdout
    assert "write it as ALLOWED_HOSTS, or take it out of .env" in said
    remove(stack, "ALOWED_HOSTS")
    stack.inv("up")
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("ENV12", *BOTH)
def test_a_key_that_can_be_guessed(stack: Checkout) -> None:
    stack.set("SECRET_KEY", "django-insecure-" + LONG)
    stack.inv("up")
    assert stack.found_by_doctor() == {"ENV12"}
    stack.set("SECRET_KEY", LONG)
    stack.inv("up")
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("ENV12", *BOTH)
def test_a_password_that_can_be_guessed(stack: Checkout) -> None:
    before = stack.values["SQL_PASSWORD"]
    stack.set("SQL_PASSWORD", "app")
    stack.inv("db.password")
    try:
        assert stack.found_by_doctor() == {"ENV12"}
        said = stack.inv("doctor", code=1).stdout
        assert "put a long random text in its place, then type: inv db.password" in said
        stack.set("SQL_PASSWORD", LONG)
        stack.inv("db.password")
        assert stack.found_by_doctor() == set()
    finally:
        stack.set("SQL_PASSWORD", before)
        stack.inv("db.password")


@contextmanager
def repository(root: Path) -> Iterator[None]:
    git(root, "init", "--quiet")
    try:
        yield
    finally:
        shutil.rmtree(root / ".git")


def git(root: Path, *words: str) -> None:
    me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
    subprocess.run(["git", *me, *words], cwd=root, check=True, capture_output=True)


@pytest.mark.fault("ENV13", *BOTH)
def test_secrets_in_git(stack: Checkout) -> None:
    with repository(stack.root):
        git(stack.root, "add", ".")
        git(stack.root, "commit", "--message", "all of it")
        assert stack.found_by_doctor() == set()
        git(stack.root, "add", "--force", ".env")
        git(stack.root, "commit", "--message", "too much")
        assert stack.found_by_doctor() == {"ENV13"}
        assert "git rm --cached .env, then commit" in stack.inv("doctor", code=1).stdout
        git(stack.root, "rm", "--cached", ".env")
        git(stack.root, "commit", "--message", "less")
        assert stack.found_by_doctor() == set()
    assert (stack.root / ".env").exists()


@pytest.mark.fault("ENV14", *BOTH)
@pytest.mark.parametrize("typed", [["chmod", "600", ".env"], ["./inv", "doctor", "--fix"]])
def test_an_env_that_others_can_read(stack: Checkout, typed: list[str]) -> None:
    file = stack.root / ".env"
    file.chmod(0o644)
    assert stack.found_by_doctor() == {"ENV14"}
    said = stack.inv("doctor", code=1).stdout
    assert "to mend it: chmod 600 .env" in said and "inv doctor --fix mends ENV14" in said
    subprocess.run(typed, cwd=stack.root, check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("ENV15", "docker")
def test_a_web_that_runs_as_somebody_else(stack: Checkout) -> None:
    owner = stack.root.stat()
    stack.set("APP_UID", str(owner.st_uid + 4321))
    stack.set("APP_GID", str(owner.st_gid + 4321))
    stack.inv("up")
    assert stack.found_by_doctor() == {"ENV15"}
    said = stack.inv("doctor", code=1).stdout
    assert f"set APP_UID={owner.st_uid} in .env" in said and "then type: inv up" in said
    new = ("makemigrations", "--", "home", "--empty", "--name", "new")
    assert "Permission" in stack.inv(*new, code=None).stderr  # it is no idle word
    stack.set("APP_UID", str(owner.st_uid))
    stack.set("APP_GID", str(owner.st_gid))
    stack.inv("up")
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("RUN04", *BOTH)
def test_what_was_edited_after_the_start(stack: Checkout) -> None:
    stack.set("MAIL_HOST", "mail.example.org")
    assert stack.found_by_doctor() == {"RUN04"}
    assert "edited after the start; type: inv up" in stack.inv("status").stdout
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
