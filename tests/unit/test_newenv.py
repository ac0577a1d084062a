"""How `.env` comes to be."""

import re
import socket
import stat
from pathlib import Path

import pytest

from ops import docker, env, newenv, process
from ops.problems import Problem

Here = Path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """A checkout of its own, as far as `newenv` looks at one."""
    return settle(tmp_path / "shop", monkeypatch)


def settle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder.mkdir()
    monkeypatch.setattr(newenv, "ROOT", folder)
    monkeypatch.setattr(docker, "engine_answers", lambda: True)
    for module in (newenv, env):
        monkeypatch.setattr(module, "ENV", folder / ".env")
    return folder


def test_made_from_the_example_with_own_values(here: Here) -> None:
    text = newenv.make()
    made, example = env.parse(text), env.parse(env.EXAMPLE.read_text())
    own = {"COMPOSE_PROJECT_NAME", "WEB_PORT", "SECRET_KEY", "SQL_PASSWORD", "APP_UID", "APP_GID"}
    assert list(made) == list(example)
    assert {k: v for k, v in made.items() if k not in own} == {
        k: v for k, v in example.items() if k not in own
    }
    assert (here / ".env").read_text() == text
    assert env.load().values == env.settings_from(text).values
    assert (made["APP_UID"], made["APP_GID"]) == (
        str(here.stat().st_uid),
        str(here.stat().st_gid),
    )


def test_comments_of_the_example_are_kept(here: Here) -> None:
    comments = [line for line in env.EXAMPLE.read_text().splitlines() if line.startswith("#")]
    assert [line for line in newenv.make().splitlines() if line.startswith("#")] == comments


def test_for_the_owner_alone_and_nothing_else_left_behind(here: Here) -> None:
    newenv.make()
    assert stat.S_IMODE((here / ".env").stat().st_mode) == 0o600
    assert [path.name for path in here.iterdir()] == [".env"]


def test_secrets_are_random_long_and_plain(here: Here) -> None:
    first = env.parse(newenv.make())
    (here / ".env").unlink()
    second = env.parse(newenv.make())
    values = [made[key] for made in (first, second) for key in ("SECRET_KEY", "SQL_PASSWORD")]
    assert len(set(values)) == 4
    for value in values:
        assert re.fullmatch(r"[A-Za-z0-9]{32,}", value)


def test_what_was_chosen_is_said_and_no_secret(
    here: Here, capsys: pytest.CaptureFixture[str]
) -> None:
    made = env.parse(newenv.make())
    said = capsys.readouterr()
    for key in ("COMPOSE_PROJECT_NAME", "RUNTIME", "WEB_PORT"):
        assert made[key] in said.err
    for key in ("SECRET_KEY", "SQL_PASSWORD"):
        assert made[key] not in said.err
    assert said.out == ""


def test_never_over_one_that_is_there(here: Here) -> None:
    """Two first calls at once: the second one takes what the first has made."""
    (here / ".env").write_text("OTHERS=1\n")
    assert newenv.make() == "OTHERS=1\n"
    assert (here / ".env").read_text() == "OTHERS=1\n"
    assert [path.name for path in here.iterdir()] == [".env"]


def test_dry_writes_nothing(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.mode, "dry", True)
    assert env.settings_from(newenv.make())
    assert not list(here.iterdir())


def test_a_folder_that_is_not_writable(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    # No permission bit stops root: a folder that is gone does.
    monkeypatch.setattr(newenv, "ENV", here / "gone" / ".env")
    with pytest.raises(Problem, match="ENV07"):
        newenv.make()


# The runtime


@pytest.mark.parametrize(("answers", "expected"), [(True, "docker"), (False, "embedded")])
def test_the_runtime_is_what_the_machine_has(
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: bool,
    expected: str,
) -> None:
    monkeypatch.setattr(docker, "engine_answers", lambda: answers)
    assert env.parse(newenv.make())["RUNTIME"] == expected
    said = capsys.readouterr().err
    assert f"runtime {expected}" in said
    assert ("inv up --runtime docker" in said) is not answers


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"RUNTIME=docker\nA=1\n", b"RUNTIME=embedded\nA=1\n"),
        (b"A=1\r\nRUNTIME=docker\r\nB=2\r\n", b"A=1\r\nRUNTIME=embedded\r\nB=2\r\n"),
        (b"export RUNTIME='docker' # mine\n", b"export RUNTIME=embedded\n"),
        (b"# RUNTIME=docker\nMY_RUNTIME=x", b"# RUNTIME=docker\nMY_RUNTIME=x\nRUNTIME=embedded\n"),
        ("A='日本'\n".encode(), "A='日本'\nRUNTIME=embedded\n".encode()),
    ],
)
def test_switching_touches_that_one_line(here: Here, before: bytes, after: bytes) -> None:
    file = here / ".env"
    file.write_bytes(before)
    file.chmod(0o640)
    newenv.set_runtime("embedded")
    assert file.read_bytes() == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in here.iterdir()] == [".env"]


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
    name = newenv.project_name()
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{6}", name)
    assert env.settings_from(newenv.make()).project == name


def test_two_checkouts_of_one_name_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        settle(tmp_path / parent / "shop", monkeypatch)
        names.add(newenv.project_name())
        assert newenv.project_name() in names
    assert len(names) == 2


# The port


@pytest.fixture
def listener() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0))
    with server:
        yield server


def test_a_free_port_skips_a_listener(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    assert not newenv.port_is_free(taken)
    assert newenv.free_port(taken) > taken


def test_a_port_that_was_let_go_of_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # leaves the connection in TIME_WAIT on this side
    assert newenv.port_is_free(port)
    assert newenv.free_port(port) == port


def test_a_listener_on_every_address_counts() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not newenv.port_is_free(server.getsockname()[1])


def test_the_port_in_env_is_free(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newenv, "port_is_free", lambda port: port not in (8000, 8001))
    assert env.parse(newenv.make())["WEB_PORT"] == "8002"
