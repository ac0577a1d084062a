"""What `inv doctor` sees of `.env` by itself."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from machine import git, needs_root

from djup.checkout import blocks, create, env, env_file
from djup.doctor.checks import dot_env
from djup.doctor.finding import Finding
from djup.host import process
from djup.settings import dotenv
from djup.settings import layout as layout_module
from djup.settings.settings import Settings
from djup.stack import runtimes

EXAMPLE = env_file.EXAMPLE.read_text()
KEY, PASSWORD = "abcdefghij" * 6, "abcdefghij" * 2


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, with an `.env` that nothing is wrong with, and no git around it."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setattr(env_file, "ENV", folder / ".env")
    for module in (dot_env, env, layout_module, process):
        monkeypatch.setattr(module, "ROOT", folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (folder / ".env").write_text(complete())
    (folder / ".env").chmod(0o600)
    return folder


def complete() -> str:
    """`.env.example` with what has to be filled in."""
    own = {
        "COMPOSE_PROJECT_NAME": "shop",
        "SECRET_KEY": KEY,
        "SQL_PASSWORD": PASSWORD,
        "APP_UID": str(os.geteuid()),
    }
    lines = (line.partition("=")[0] for line in EXAMPLE.splitlines())
    text = EXAMPLE.splitlines()
    return "".join(
        f"{key}={own[key]}\n" if key in own else f"{line}\n"
        for key, line in zip(lines, text, strict=True)
    )


def edit(file: Path, *, without: tuple[str, ...] = (), added: str = "") -> None:
    lines = file.read_text().splitlines()
    kept = [line for line in lines if line.partition("=")[0] not in without]
    file.write_text("\n".join([*kept, added, ""]))


def check() -> list[Finding]:
    return dot_env.check(runtimes.stack_of(env.load()))


def found(code: str) -> list[Finding]:
    return [it for it in check() if it.problem and it.problem.code == code]


def settings(**values: str) -> Settings:
    loaded = env.load()
    return replace(loaded, values={**loaded.values, **values})


def test_nothing_is_wrong_with_a_good_one_and_each_check_says_what_it_saw() -> None:
    assert [(it.subject, it.fact, it.problem, it.fix) for it in check()] == [
        (".env", "readable by its owner only (600)", None, None),
        (".env", f"{len(dotenv.parse(EXAMPLE))} keys, none of your own", None, None),
        ("SECRET_KEY", "60 characters", None, None),
        ("SQL_PASSWORD", "20 characters", None, None),
        ("APP_UID", f"{os.geteuid()}, who owns this folder", None, None),
    ]


def test_one_that_inv_has_just_made_is_good(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").unlink()
    monkeypatch.setattr(create, "ROOT", here)
    create.make()
    assert not [it for it in check() if it.problem]


def test_keys_of_a_project_around_the_block_are_not_missing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` is made of the block alone, and what else the project reads has defaults there."""
    monkeypatch.setattr(env_file, "EXAMPLE", here / "example")
    (here / "example").write_text(blocks.replaced('SENTRY_DSN="" # theirs\n', EXAMPLE))
    assert not found("ENV10")


def test_one_that_is_not_there_under_dry(here: Path) -> None:
    loaded = env.load()
    (here / ".env").unlink()
    assert dot_env.check(runtimes.stack_of(loaded)) == [Finding(".env", "does not exist yet")]


# Who can read it


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o444])
def test_others_can_read_it_and_the_fix_closes_it(here: Path, mode: int) -> None:
    (here / ".env").chmod(mode)
    [finding] = found("ENV14")
    assert f"{mode:o}" in finding.fact
    assert f"(mode {mode:o})" in str(finding.problem)
    assert finding.fix
    finding.fix.run()
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o600
    assert not found("ENV14")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_for_the_owner_alone(here: Path, mode: int) -> None:
    (here / ".env").chmod(mode)
    assert not found("ENV14")


def test_of_a_link_the_file_counts_that_it_leads_to(here: Path, tmp_path: Path) -> None:
    target = (here / ".env").rename(tmp_path / "shop.env")
    (here / ".env").symlink_to(target)
    assert not found("ENV14")
    target.chmod(0o644)
    [finding] = found("ENV14")
    assert finding.fix
    finding.fix.run()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (here / ".env").is_symlink()


@needs_root
def test_somebody_elses_has_no_fix(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".env").chmod(0o644)
    os.chown(here / ".env", 1234, 1234)
    assert found("ENV14")[0].fix, "root may"
    monkeypatch.setattr(os, "geteuid", lambda: 1235)
    assert found("ENV14")[0].fix is None


# Its keys


def test_what_is_missing_is_named_and_the_fix_adds_it(here: Path) -> None:
    before = env.load().values
    edit(here / ".env", without=("SQL_PORT", "POSTGRES_IMAGE"))
    (here / ".env").chmod(0o640)
    [finding] = found("ENV10")
    assert "SQL_PORT, POSTGRES_IMAGE" in str(finding.problem)
    assert finding.fact.endswith(", 2 missing")
    assert finding.fix
    finding.fix.run()
    assert not found("ENV10")
    assert env.load().values == before
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o640


def test_an_empty_value_is_not_missing(here: Path) -> None:
    edit(here / ".env", without=("WEB_PORT",), added="WEB_PORT=")
    assert not found("ENV10")


def test_own_keys_are_counted(here: Path) -> None:
    edit(here / ".env", added="MAIL_HOST=x\nMAIL_USER=x")
    total = len(dotenv.parse(EXAMPLE)) + 2
    assert [it.fact for it in check()][1] == f"{total} keys, 2 of your own"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("SQL_PASWORD", "SQL_PASSWORD"),
        ("WEB_PROT", "WEB_PORT"),
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
        ("COMPOSE_PROJET_NAME", "COMPOSE_PROJECT_NAME"),
        ("SQL_HOTS", "SQL_HOST"),
        ("SQLPASSWORD", "SQL_PASSWORD"),
        ("SQL_PASS_WORD", "SQL_PASSWORD"),
        ("web_port", "WEB_PORT"),
        ("RUNTME", "RUNTIME"),
    ],
)
def test_mistyped_beside_the_right_one(here: Path, key: str, meant: str) -> None:
    edit(here / ".env", added=f"{key}=s3cr3t")
    [finding] = found("ENV11")
    assert f"{key} in .env" in str(finding.problem)
    assert f"rename it to {meant}," in str(finding.problem)
    assert finding.fact == key
    assert finding.fix is None
    assert "s3cr3t" not in str(check())
    assert check()[1].fact.endswith("none of your own")


@pytest.mark.parametrize(
    "key",
    [
        *("DB_WAIT_SECONDS", "MAIL_HOST", "DJANGO_DEBUG_TOOLBAR"),
        *("SECRET_KEY_FILE", "SQL_PASSWORD_FILE", "POSTGRES_DB", "COMPOSE_PROFILES"),
        *("SQL_HOST_2", "SQL_HOST2", "SQL_DATABASE_RO", "TEST_SQL_DATABASE", "MY_SECRET_KEY"),
        *("APP_ID", "WEB_HOST", "DB_PORT", "COMPOSE_PROJECT", "http_proxy"),
    ],
)
def test_not_mistyped(here: Path, key: str) -> None:
    edit(here / ".env", added=f"{key}=1")
    assert not found("ENV11")
    assert check()[1].fact.endswith(", 1 of your own")


def test_what_stands_there_mistyped_is_not_added_with_its_default(here: Path) -> None:
    edit(here / ".env", without=("WEB_PORT", "SQL_PORT"), added="WEB_PROT=9000")
    assert len(found("ENV11")) == 1
    [finding] = found("ENV10")
    assert finding.fix
    finding.fix.run()
    text = (here / ".env").read_text()
    assert "SQL_PORT=5432" in text
    assert "WEB_PORT=" not in text.replace("127.0.0.1:WEB_PORT", "")
    assert len(found("ENV11")) == 1


def test_a_key_that_stands_there_twice(here: Path) -> None:
    edit(here / ".env", added="WEB_PORT=9001\n# WEB_PORT=9002\nOWN=1\nOWN=2")
    assert [finding.fact for finding in found("ENV21")] == ["WEB_PORT", "OWN"]
    text = (here / ".env").read_text().splitlines()
    first, last = (n for n, line in enumerate(text, 1) if line.startswith("WEB_PORT="))
    assert f"on lines {first} and {last}; only the last" in str(found("ENV21")[0].problem)


# Its secrets

WEAK = [
    ("SECRET_KEY", "Abc12345", "is 8 characters long"),
    ("SECRET_KEY", KEY[:49], "is 49 characters long"),
    ("SECRET_KEY", "abcd" * 20, "is made of 4 characters only"),
    ("SECRET_KEY", "django-insecure-" + KEY, "begins with django-insecure-"),
    ("SQL_PASSWORD", "Abc12345", "is 8 characters long"),
    ("SQL_PASSWORD", PASSWORD[:11], "is 11 characters long"),
    ("SQL_PASSWORD", "abab" * 5, "is made of 2 characters only"),
    ("SQL_PASSWORD", "the-user-of-the-shop", "is the same as SQL_USER"),
    ("SQL_PASSWORD", "The-Data-Of-The-Shop", "is the same as SQL_DATABASE"),
]


@pytest.mark.parametrize("host", ["", "db.example.com"])
@pytest.mark.parametrize(("key", "value", "why"), WEAK)
def test_a_weak_secret(key: str, value: str, why: str, host: str) -> None:
    names = {"SQL_USER": "the-user-of-the-shop", "SQL_DATABASE": "the-data-of-the-shop"}
    findings = dot_env.check(runtimes.stack_of(settings(**names, SQL_HOST=host, **{key: value})))
    [finding] = [it for it in findings if it.problem]
    assert finding.problem
    assert (finding.subject, finding.problem.code, finding.fix) == (key, "ENV12", None)
    assert f"{key} in .env {why}" in str(finding.problem)
    assert value not in str(findings) + str(finding.problem)


@pytest.mark.parametrize(
    ("key", "value"), [("SECRET_KEY", KEY[:50]), ("SQL_PASSWORD", PASSWORD[:12])]
)
def test_a_secret_that_is_just_long_enough(key: str, value: str) -> None:
    findings = dot_env.check(runtimes.stack_of(settings(**{key: value})))
    assert not [it for it in findings if it.problem]


@pytest.mark.parametrize("key", [value for key, value, _ in WEAK if key == "SECRET_KEY"])
def test_django_finds_the_same_keys_weak(key: str) -> None:
    base = pytest.importorskip("django.core.checks.security.base")
    assert not base._check_secret_key(key)
    assert base._check_secret_key(KEY[:50])


# git


def facts_of_git() -> set[str]:
    return {it.fact for it in check() if "git" in it.fact}


def test_without_a_repository_there_is_nothing_to_say() -> None:
    assert not facts_of_git()


def test_without_git_there_is_nothing_to_say(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(here, "init")
    monkeypatch.setenv("PATH", "/nowhere")
    assert not facts_of_git()


def test_in_git(here: Path) -> None:
    git(here, "init")
    git(here, "add", "--force", ".env")
    assert found("ENV13")
    (here / ".gitignore").write_text(".env\n")
    assert found("ENV13"), "what is in git stays there, ignored or not"
    git(here, "rm", "--cached", ".env")
    assert not found("ENV13")
    assert facts_of_git() == {"ignored by git"}


def test_not_ignored(here: Path) -> None:
    git(here, "init")
    assert not found("ENV13")
    assert facts_of_git() == {"not in git, but not ignored either"}


def test_in_the_repository_of_a_folder_above(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    git(tmp_path, "init")
    git(tmp_path, "add", "shop/.env")
    assert found("ENV13")


# Whose folder it is


def test_another_owner() -> None:
    owner = os.geteuid()
    findings = dot_env.check(runtimes.stack_of(settings(APP_UID="4321")))
    [finding] = [it for it in findings if it.problem]
    assert finding.problem
    assert finding.problem.code == "ENV15"
    assert f"is 4321, but this folder belongs to user {owner}" in str(finding.problem)


def test_embedded_asks_for_no_owner() -> None:
    findings = dot_env.check(runtimes.stack_of(settings(APP_UID="4321", RUNTIME="embedded")))
    assert "APP_UID" not in [it.subject for it in findings]
    assert not [it for it in findings if it.problem]
