"""Which ports are free, and who has one that is not."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import SOURCE
from machine import needs_root

from djup.host import ports

Serve = Callable[..., tuple[int, int]]


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH, with a `docker` that knows no container."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    docker_says(folder, "exit 0")
    return folder


def docker_says(folder: Path, script: str) -> None:
    (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "docker").chmod(0o755)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def checkout(folder: Path) -> Path:
    for inner in ("project", "compose"):
        (folder / inner).mkdir(parents=True)
    for name in ("inv", "tasks.py"):
        (folder / name).touch()
    return folder


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a program in a folder that listens; gives its port and its number."""
    started = []
    code = (
        "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
        "print(s.getsockname()[1], flush=True); time.sleep(60)"
    )

    def start(folder: Path, port: int = 0, *more: str) -> tuple[int, int]:
        argv = [sys.executable, "-c", code, str(port), *more]
        child = subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout
        return int(child.stdout.readline()), child.pid

    yield start
    for child in started:
        child.kill()
        child.communicate()


# Free or not


def test_a_free_port_skips_a_listener(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    assert not ports.port_is_free(taken)
    assert ports.free_port(taken) > taken


def test_a_port_that_was_let_go_of_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # leaves the connection in TIME_WAIT on this side
    assert ports.port_is_free(port)
    assert ports.free_port(port) == port


def test_a_listener_on_every_address_counts() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.port_is_free(server.getsockname()[1])


# A program


def test_a_program_somewhere_by_number_and_name(tmp_path: Path, serve: Serve) -> None:
    import psutil

    port, pid = serve(tmp_path)
    assert ports.holder(port).words == f"process {pid} ({psutil.Process(pid).name()})"


@pytest.mark.parametrize("inner", [".", "project"])
def test_the_web_of_another_checkout(tmp_path: Path, serve: Serve, inner: str) -> None:
    other = checkout(tmp_path / "other shop")
    port, pid = serve(other / inner)
    assert ports.holder(port).words == f"the checkout at {other} (process {pid})"


def test_a_checkout_two_folders_up_is_not_meant(tmp_path: Path, serve: Serve) -> None:
    deep = checkout(tmp_path / "other") / "project" / "deep"
    deep.mkdir()
    port, pid = serve(deep)
    assert ports.holder(port).words.startswith(f"process {pid} (")


@pytest.mark.parametrize("lacking", ["inv", "tasks.py"])
def test_a_folder_of_another_project_is_no_checkout(
    tmp_path: Path, serve: Serve, lacking: str
) -> None:
    folder = checkout(tmp_path / "other")
    (folder / lacking).unlink()
    port, pid = serve(folder)
    assert ports.holder(port).words.startswith(f"process {pid} (")


@pytest.mark.parametrize("inner", [".", "project"])
def test_our_own(tmp_path: Path, serve: Serve, inner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = checkout(tmp_path / "here")
    monkeypatch.setattr(ports, "ROOT", here)
    port, pid = serve(here / inner, 0, "manage.py")
    found = ports.holder(port)
    assert found.words == f"this checkout itself (process {pid})"
    assert found.end == f"kill {pid}"


def test_another_program_that_was_started_here(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as `python3 -m http.server`: the user's own, which is not for us to end."""
    here = checkout(tmp_path / "here")
    monkeypatch.setattr(ports, "ROOT", here)
    port, pid = serve(here)
    found = ports.holder(port)
    assert found.words.startswith(f"process {pid} (") and found.words.endswith("in this folder")
    assert found.end == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_listener_on_every_address_is_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        server = socket.create_server(
            (address, 0), family=family, dualstack_ipv6=family == socket.AF_INET6
        )
    except (OSError, ValueError):
        pytest.skip("this machine has no IPv6")
    with server:
        assert f"process {os.getpid()}" in ports.holder(server.getsockname()[1]).words


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has 127.0.0.1 alone")
def test_a_listener_on_another_address_is_not_blamed() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert ports.port_is_free(port)
        assert "process" not in ports.holder(port).words


def test_a_listener_on_another_port_is_not_blamed(
    tmp_path: Path, listener: socket.socket, serve: Serve
) -> None:
    port, pid = serve(tmp_path)  # with a higher number than ours
    assert f"process {pid} " in ports.holder(port).words


def test_who_is_merely_connected_is_not_blamed(tmp_path: Path, serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        ours = server.accept()[0]
    with client, ours:  # on that port still, which another listens on now
        pid = serve(tmp_path, port)[1]
        assert f"process {pid} " in ports.holder(port).words


@needs_root
def test_a_program_of_another_user(listener: socket.socket) -> None:
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "from djup.host import ports; import psutil;"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        "print(ports.holder(int(sys.argv[2])).words)"
    )
    argv = [sys.executable, "-c", code, str(ports.ROOT / SOURCE), str(listener.getsockname()[1])]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "a program of another user\n"


# A container


def publishing(folder: Path, port: int, line: str) -> None:
    """A `docker` that has a container which publishes this port alone."""
    script = (
        f'case "$*" in "ps --filter publish={port} --format "*) printf \'%b\\n\' "$LINE" ;; esac'
    )
    docker_says(folder, f"LINE='{line}'\n{script}")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("", "the container caddy"),
        ("{other}/compose", "the checkout at {other}"),
        ("{here}/compose", "this checkout itself, under another name (container caddy)"),
        ("/gone/compose", "the container caddy"),
        ("{other}/compose/deep", "the container caddy"),
    ],
)
def test_a_container(
    tmp_path: Path,
    no_engine: Path,
    listener: socket.socket,
    label: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"other": checkout(tmp_path / "other"), "here": checkout(tmp_path / "here")}
    monkeypatch.setattr(ports, "ROOT", names["here"])
    port = listener.getsockname()[1]
    publishing(no_engine, port, rf"caddy\t{label.format(**names)}")
    assert ports.holder(port).words == expected.format(**names)


def test_a_container_on_another_port_is_not_blamed(
    no_engine: Path, listener: socket.socket
) -> None:
    port = listener.getsockname()[1]
    publishing(no_engine, port - 1, r"caddy\t")
    assert f"process {os.getpid()}" in ports.holder(port).words


@pytest.mark.parametrize("script", ["exit 1", "echo no engine >&2; exit 1", "exec sleep 60"])
def test_an_engine_that_does_not_answer(
    no_engine: Path, listener: socket.socket, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "ENGINE_SECONDS", 0.2)
    docker_says(no_engine, script)
    begin = time.monotonic()
    assert f"process {os.getpid()}" in ports.holder(listener.getsockname()[1]).words
    assert time.monotonic() - begin < 30


def test_no_docker_at_all(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert f"process {os.getpid()}" in ports.holder(listener.getsockname()[1]).words
