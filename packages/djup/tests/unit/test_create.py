"""How `.env` comes to be, and how a key of it is written later."""

import os
import re
import stat
from pathlib import Path

import pytest
from machine import needs_root

from djup.checkout import create, env, env_file, web_env
from djup.checkout.create import project_name
from djup.docker import engine
from djup.host import ports
from djup.problems import Problem
from djup.settings import dotenv
from djup.terminal.task import this_task

Here = Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """A checkout of its own, as far as `create` looks at one."""
    return settle(tmp_path / "shop", monkeypatch)


def settle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    monkeypatch.setattr(engine, "answers", lambda: True)
    for module in (create, env):
        monkeypatch.setattr(module, "ROOT", folder)
    monkeypatch.setattr(env_file, "ENV", folder / ".env")
    return folder


def test_made_from_the_example_with_own_values(here: Here) -> None:
    text = create.make()
    made, example = dotenv.parse(text), dotenv.parse(env_file.EXAMPLE.read_text())
    own = {
        *("COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "CHECKOUT", "WEB_PORT", "MAIL_PORT"),
        *("SECRET_KEY", "SQL_PASSWORD"),
        *("APP_UID", "APP_GID"),
    }
    assert list(made) == list(example)
    assert made["COMPOSE_FILE"] == f"{example['COMPOSE_FILE']}:packages/djup-web/compose.yaml"
    assert {k: v for k, v in made.items() if k not in own} == {
        k: v for k, v in example.items() if k not in own
    }
    assert (here / ".env").read_text() == text
    assert env.load().values == env.settings_from(text).values
    assert (made["APP_UID"], made["APP_GID"]) == (
        str(here.stat().st_uid),
        str(here.stat().st_gid),
    )


def test_a_project_with_the_toolkit_installed_has_the_example_s_compose_files(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_env, "OURS", here / "packages" / "djup-web" / "compose.yaml")
    example = dotenv.parse(env_file.EXAMPLE.read_text())
    assert dotenv.parse(create.make())["COMPOSE_FILE"] == example["COMPOSE_FILE"]


def test_comments_of_the_example_are_kept(here: Here) -> None:
    comments = [line for line in env_file.EXAMPLE.read_text().splitlines() if line.startswith("#")]
    assert [line for line in create.make().splitlines() if line.startswith("#")] == comments


def test_for_the_owner_alone_and_nothing_else_left_behind(here: Here) -> None:
    create.make()
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o600
    assert [path.name for path in here.iterdir()] == [".env"]


def test_secrets_are_random_long_and_plain(here: Here) -> None:
    first = dotenv.parse(create.make())
    (here / ".env").unlink()
    second = dotenv.parse(create.make())
    values = [made[key] for made in (first, second) for key in ("SECRET_KEY", "SQL_PASSWORD")]
    assert len(set(values)) == 4
    for value in values:
        assert re.fullmatch(r"[A-Za-z0-9]{32,}", value)


def test_what_was_chosen_is_said_and_no_secret(
    here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    made = dotenv.parse(create.make())
    said = capsys.readouterr()
    for key in ("COMPOSE_PROJECT_NAME", "RUNTIME", "WEB_PORT"):
        assert made[key] in said.err
    for key in ("SECRET_KEY", "SQL_PASSWORD"):
        assert made[key] not in said.err
    assert said.out == ""


def test_never_over_one_that_is_there(here: Here) -> None:
    """Two first calls at once: the second one takes what the first has made."""
    (here / ".env").write_text("OTHERS=1\n")
    assert create.make() == "OTHERS=1\n"
    assert (here / ".env").read_text() == "OTHERS=1\n"
    assert [path.name for path in here.iterdir()] == [".env"]


def test_dry_writes_nothing(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_task, "dry", True)
    assert env.settings_from(create.make())
    assert not list(here.iterdir())


def test_a_folder_that_is_not_writable(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    # No permission bit stops root: a folder that is gone does.
    monkeypatch.setattr(env_file, "ENV", here / "gone" / ".env")
    with pytest.raises(Problem, match="ENV07"):
        create.make()


# The runtime


@pytest.mark.parametrize(("answers", "expected"), [(True, "docker"), (False, "embedded")])
def test_the_runtime_is_what_the_machine_has(
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(engine, "answers", lambda: answers)
    assert dotenv.parse(create.make())["RUNTIME"] == expected
    said = capsys.readouterr().err
    assert f"runtime {expected}" in said
    assert ("inv up --runtime docker" in said) is not answers


def test_one_that_was_asked_for_has_no_other_reason(
    here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dotenv.parse(create.make("embedded"))["RUNTIME"] == "embedded"
    assert "The Docker engine does not answer" not in capsys.readouterr().err


# One key of it


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"RUNTIME=docker\nA=1\n", b"RUNTIME=embedded\nA=1\n"),
        (b"A=1\r\nRUNTIME=docker\r\nB=2\r\n", b"A=1\r\nRUNTIME=embedded\r\nB=2\r\n"),
        (b"export RUNTIME='docker' # mine\n", b"export RUNTIME=embedded\n"),
        (b"# RUNTIME=docker\nMY_RUNTIME=x", b"# RUNTIME=docker\nMY_RUNTIME=x\nRUNTIME=embedded\n"),
        ("A='日本'\n".encode(), "A='日本'\nRUNTIME=embedded\n".encode()),
        ("\ufeffRUNTIME=docker\n".encode(), "\ufeffRUNTIME=embedded\n".encode()),
        (b"RUNTIME=docker\nRUNTIME=\n", b"RUNTIME=embedded\nRUNTIME=embedded\n"),
    ],
)
def test_a_written_value_touches_that_one_line(here: Here, before: bytes, after: bytes) -> None:
    file = here / ".env"
    file.write_bytes(before)
    file.chmod(0o640)
    env_file.write_values({"RUNTIME": "embedded"})
    assert file.read_bytes() == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in here.iterdir()] == [".env"]


def test_several_values_at_once_word_for_word(here: Here) -> None:
    (here / ".env").write_text("A=1\nB=2\n")
    env_file.write_values({"A": r"\1\g<0>", "WEB_PORT": "8001"})
    assert (here / ".env").read_text() == "A=\\1\\g<0>\nB=2\nWEB_PORT=8001\n"


def test_a_link_stays_one_and_a_value_goes_where_it_leads(here: Here, tmp_path: Path) -> None:
    elsewhere = tmp_path / "kept"
    elsewhere.mkdir()
    (elsewhere / "shop.env").write_text("WEB_PORT=8000\n")
    (here / ".env").symlink_to(elsewhere / "shop.env")
    env_file.write_values({"WEB_PORT": "8001"})
    assert (here / ".env").is_symlink()
    assert (elsewhere / "shop.env").read_text() == "WEB_PORT=8001\n"
    assert [path.name for path in elsewhere.iterdir()] == ["shop.env"]


def test_a_failed_write_leaves_all_as_it_was(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    (here / ".env").write_text("WEB_PORT=8000\n")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        env_file.write_values({"WEB_PORT": "8001"})
    assert (here / ".env").read_text() == "WEB_PORT=8000\n"
    assert [path.name for path in here.iterdir()] == [".env"]


@needs_root
def test_under_sudo_it_stays_its_owners(here: Here) -> None:
    (here / ".env").write_text("WEB_PORT=8000\n")
    os.chown(here / ".env", 1234, 1235)
    env_file.write_values({"WEB_PORT": "8001"})
    found = (here / ".env").stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)


def test_keys_from_the_example_come_with_their_comments(here: Here) -> None:
    (here / ".env").write_text("A=1\n\n\n")
    env_file.add_from_example(["SQL_PORT", "RUNTIME", "SQL_HOST"])
    text = (here / ".env").read_text()
    assert dotenv.parse(text) == {"A": "1", "RUNTIME": "docker", "SQL_HOST": "", "SQL_PORT": "5432"}
    first, runtime, database = text.removesuffix("\n").split("\n\n")
    assert first == "A=1"
    assert runtime in env_file.EXAMPLE.read_text()
    assert runtime.startswith("# docker: ")
    assert database.startswith("# The database.")
    assert database.endswith("\nSQL_HOST=\nSQL_PORT=5432")


# The project's name


@pytest.mark.parametrize(
    ("folder", "begins"),
    [
        ("shop", "shop-"),
        ("My Shop", "my-shop-"),
        ("my_shop.v2", "my-shop-v2-"),
        ("2024 shop", "2024-shop-"),
        ("-shop-", "shop-"),
        (".shop", "shop-"),
        ("Größe", "gr-e-"),
        ("日本", "project-"),
        ("...x", "x-"),
        ("$(rm) 'x'", "rm-x-"),
        ("x" * 200, "x" * 32 + "-"),
    ],
)
def test_project_name(
    folder: str, begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(tmp_path / folder, monkeypatch)
    name = project_name()
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{6}", name)
    assert env.settings_from(create.make()).project == name


def test_two_checkouts_of_one_name_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        settle(tmp_path / parent / "shop", monkeypatch)
        names.add(project_name())
        assert project_name() in names
    assert len(names) == 2


# The port


def test_the_port_in_env_is_free(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "port_is_free", lambda port: port not in (8000, 8001))
    assert dotenv.parse(create.make())["WEB_PORT"] == "8002"


@pytest.mark.parametrize(
    ("value", "found"), [("8100", "8101"), ("9000", "9000"), ("", "8000"), ("web", "8000")]
)
def test_it_is_looked_for_from_the_one_in_the_example_on(
    here: Here, monkeypatch: pytest.MonkeyPatch, value: str, found: str
) -> None:
    monkeypatch.setattr(ports, "port_is_free", lambda port: port != 8100)
    example = env_file.EXAMPLE.read_text().replace("WEB_PORT=8000", f"WEB_PORT={value}")
    (here / "example").write_text(example)
    monkeypatch.setattr(env_file, "EXAMPLE", here / "example")
    assert dotenv.parse(create.make())["WEB_PORT"] == found
