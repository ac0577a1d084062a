"""What is read from the engine's answers."""

import os
import socket
from pathlib import Path

import pytest

from djup.docker import containers, endpoint, engine, resources


@pytest.mark.parametrize(
    ("finished", "seconds"),
    [
        ("2026-03-01T10:00:00.912345678Z", 1772359200.912345),
        ("2026-03-01T10:00:00.9Z", 1772359200.9),  # the engine drops zeros at the end
        ("2026-03-01T10:00:00Z", 1772359200.0),
    ],
)
def test_the_end_of_a_container_is_known_to_the_fraction(
    monkeypatch: pytest.MonkeyPatch, finished: str, seconds: float
) -> None:
    found = {"State": {"FinishedAt": finished}}
    monkeypatch.setattr(resources, "inspect", lambda name: {name: found})
    container = containers.Container("web-1", *[""] * 10)
    assert containers.ended(container) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("mode", "user", "said", "unsaid"),
    [
        (0o660, "ann", 'usermod -aG docker "$USER"', "chgrp"),
        (0o660, "bob", "newgrp docker", "usermod"),  # in the group since after the login
        (0o600, "bob", "sudo chgrp docker", "of the group"),
    ],
)
def test_what_lets_in_whom_the_socket_is_closed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, user: str, said: str, unsaid: str
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
        (tmp_path / "docker.sock").chmod(mode)
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setattr(endpoint, "SOCKET", str(tmp_path / "docker.sock"))
        monkeypatch.setattr(engine, "_group", lambda number: ("docker", ["bob"]))
        monkeypatch.setattr(engine, "_user", lambda: user)
        problem = engine._forbidden()
    assert said in problem.fix and unsaid not in problem.what + problem.fix
    assert os.fspath(tmp_path / "docker.sock") in problem.what


def test_settings_of_docker_that_are_closed_are_no_engine_that_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """docker warns of them in the same words, and then has another reason."""
    said = "WARNING: Error loading config file: open config.json: permission denied\nno engine"
    monkeypatch.setattr(engine, "_version", lambda: engine.process.Result(1, "", said))
    monkeypatch.setattr(endpoint, "chosen", lambda: ("", ""))
    assert engine.diagnose("docker ps").code == "DOCKER02"
    assert engine.obstacle() is None
