"""Docker is missing, down, forbidden, incomplete, too old or elsewhere, as on such a machine."""

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from machine import needs_root, path_without
from stacks import Checkout, Docker, Embedded, Make, Prefixed, docker

SOCKET = Path("/var/run/docker.sock")
UNREACHABLE = "tcp://10.255.255.1:2375"
NOBODYS = 65531  # a user without a name, a home or a group
NOBODY = ("setpriv", f"--reuid={NOBODYS}", f"--regid={NOBODYS}")
LONGEST = 20  # seconds until an engine that says nothing is given up
HIDDEN = 'mount -t tmpfs tmpfs "$0" && exec "$@"'  # from this process alone
TOO_OLD = """\
#!/bin/sh
case "$*" in
*"{question}"*) printf '{version}\n' ;;
"compose up"*|"compose create"*) echo "{refusal}" >&2; exit 15 ;;
info*LocalNodeState*) echo inactive ;; # whether this engine is in a Swarm or not
*) exec {docker} "$@" ;;
esac
"""

PODMAN = {
    "Platform": {"Name": "linux/amd64/debian-12"},
    "Components": [
        {"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}},
        {"Name": "Conmon", "Version": "conmon version 2.1.6, commit: unknown", "Details": {}},
    ],
    "Version": "4.3.1",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.24",
    "Os": "linux",
    "Arch": "amd64",
}


def without(stack: Checkout, folder: Path) -> Prefixed:
    """Where this folder is empty."""
    return Prefixed(stack, "unshare", "--mount", "sh", "-c", HIDDEN, str(folder))


def assert_said_at_once(stack: Checkout, code: str, *parts: str) -> None:
    """`up`, `status`, `down` and `doctor` all know, and none waits."""
    for typed in ("up", "status", "down"):
        started = time.monotonic()
        said = stack.refused(code, typed)
        assert time.monotonic() - started < 5
        for part in parts:
            assert part in said
    assert stack.found_by_doctor() == {code}


@pytest.mark.fault("DOCKER01", "docker")
def test_no_docker(stack: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.inv("down")
    with path_without("docker") as path, monkeypatch.context() as machine:
        machine.setenv("PATH", str(path))
        parts = ("https://docs.docker.com/get-docker/", "inv up --runtime embedded")
        assert_said_at_once(stack, "DOCKER01", *parts)
        try:  # as it says
            assert stack.inv("up", "--runtime", "embedded").stdout == f"{stack.url}\n"
            assert stack.get("readyz")[0] == 200
            assert stack.sql("select to_regclass('kept')") == ""
        finally:
            Embedded().remove(stack.root)
    stack.set("RUNTIME", "docker")
    stack.inv("up")
    stack.assert_kept()


@needs_root
@pytest.mark.fault("DOCKER02", "docker")
def test_an_engine_that_is_down(stack: Checkout) -> None:
    parts = ("Cannot connect", "systemctl start docker", "inv up --runtime embedded")
    assert_said_at_once(without(stack, SOCKET.resolve().parent), "DOCKER02", *parts)
    assert stack.get("readyz")[0] == 200
    stack.inv("up")


@needs_root
@pytest.mark.fault("DOCKER03", "docker")
def test_no_permission_on_the_socket(stack: Checkout) -> None:
    owner = stack.root.stat()
    give_state(stack, NOBODYS, NOBODYS)
    try:
        said = "sudo usermod -aG docker"
        assert_said_at_once(as_user(stack, "--clear-groups"), "DOCKER03", said, "newgrp docker")
        member = as_user(stack, f"--groups={SOCKET.stat().st_gid}")
        assert member.inv("up").stdout == f"{stack.url}\n"
    finally:
        give_state(stack, owner.st_uid, owner.st_gid)


@needs_root
@pytest.mark.fault("DOCKER03", "docker")
@pytest.mark.fault("DOCKER04", "docker")
@pytest.mark.fault("DOCKER10", "docker")
def test_an_engine_that_the_first_task_may_not_use(
    make: Make, docker_runtime: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime is not chosen for somebody who has an engine, and is kept from it."""
    stack = make(docker_runtime, name="first")
    made = stack.root / ".env"
    before = made.read_text()
    made.unlink()
    for path in (stack.root, *stack.root.rglob("*")):
        os.chown(path, NOBODYS, NOBODYS, follow_symlinks=False)
    them = as_user(stack, "--clear-groups")
    for typed in ("up", "status"):
        said = them.refused("DOCKER03", typed)
        assert "sudo usermod -aG docker" in said and "inv up --runtime embedded" in said
    assert them.found_by_doctor() == {"DOCKER03"} and not made.exists()
    with socket.socket(socket.AF_UNIX) as theirs, tempfile.TemporaryDirectory() as folder:
        theirs.bind(f"{folder}/docker.sock")
        os.chown(f"{folder}/docker.sock", NOBODYS + 1, NOBODYS + 1)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        assert "unset DOCKER_HOST" in them.refused("DOCKER10", "status")
        monkeypatch.delenv("DOCKER_HOST")
    assert ".env would be created" in them.inv("--dry", "up", "--runtime", "embedded").stderr
    without_compose(stack).refused("DOCKER04", "status")
    assert not made.exists()
    as_user(stack, f"--groups={SOCKET.stat().st_gid}").inv("status")
    assert stack.values["RUNTIME"] == "docker"
    made.write_text(before)


def give_state(stack: Checkout, uid: int, gid: int) -> None:
    state = stack.root / ".state"
    for path in (state, *state.iterdir()):
        os.chown(path, uid, gid)


def as_user(stack: Checkout, groups: str) -> Prefixed:
    """Someone who may read this checkout, wherever it lies, and write nothing but `.state`."""
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return Prefixed(stack, *NOBODY, groups, *may_read)


def without_compose(stack: Checkout) -> Prefixed:
    """Where docker has no plugins."""
    plugins = json.loads(docker("info", "--format", "{{json .ClientInfo.Plugins}}").stdout)
    path = next(Path(plugin["Path"]) for plugin in plugins if plugin["Name"] == "compose")
    return without(stack, path.parent)


@needs_root
@pytest.mark.fault("DOCKER04", "docker")
def test_no_compose_plugin(stack: Checkout) -> None:
    there = without_compose(stack)
    stack.set("EDITED", "1")  # so that there is something to start
    said = there.refused("DOCKER04")
    assert "docker-compose-plugin" in said and len(said.splitlines()) < 12
    there.refused("DOCKER04", "down")
    assert "DOCKER04" in there.found_by_doctor()
    assert stack.get("readyz")[0] == 200
    stack.inv("up")


@pytest.mark.fault("DOCKER06", "docker")
@pytest.mark.parametrize(
    ("question", "version", "refusal", "sentence"),
    [
        (
            "compose version --short",
            "2.17.3",
            "services.db.healthcheck Additional property start_interval is not allowed",
            "Docker Compose is version 2.17.3; 2.20 or later is required.",
        ),
        (
            "{{.Server.Version}}",
            r"28.5.2\n20.10.24\nEngine",
            "can't set healthcheck.start_interval as feature require Docker Engine v25 or later",
            "Docker Engine is version 20.10.24; 25.0 or later is required.",
        ),
        (
            "{{.Server.Version}}",
            r"20.10.24+dfsg1\n28.5.2\nEngine",
            "",
            "The command docker is version 20.10.24+dfsg1; 25.0 or later is required.",
        ),
    ],
    ids=["compose", "engine", "client"],
)
def test_too_old(
    stack: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    question: str,
    version: str,
    refusal: str,
    sentence: str,
) -> None:
    script = tmp_path / "docker"
    answers = {"question": question, "version": version, "refusal": refusal}
    script.write_text(TOO_OLD.format(docker=shutil.which("docker"), **answers))
    script.chmod(0o755)
    stack.set("EDITED", "1")
    with monkeypatch.context() as machine:
        machine.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        said = stack.refused("DOCKER06")
        assert sentence in said and "install a newer version" in said
        assert "DOCKER06" in stack.found_by_doctor()
        if "compose" not in question:
            assert sentence in stack.refused("DOCKER06", "deploy.status", "--local")
    stack.inv("up")


@pytest.mark.fault("DOCKER07", "docker")
@pytest.mark.parametrize("host", [UNREACHABLE, "unix:///no/such/socket"], ids=["tcp", "unix"])
def test_docker_host_where_nothing_answers(
    stack: Checkout, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    started = time.monotonic()
    said = stack.refused("DOCKER07")
    assert time.monotonic() - started < LONGEST
    assert f"{host}, selected by DOCKER_HOST, does not answer" in said
    assert stack.found_by_doctor() == {"DOCKER07"}
    assert "fix: unset DOCKER_HOST  then: " in said and "inv up" in said
    monkeypatch.delenv("DOCKER_HOST")
    stack.inv("up")


@pytest.mark.fault("DOCKER07", "docker")
def test_an_engine_that_is_silent_is_not_waited_for(
    stack: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert "does not answer" in stack.refused("DOCKER07")
        assert time.monotonic() - started < LONGEST
    monkeypatch.delenv("DOCKER_HOST")
    stack.inv("up")


@pytest.mark.fault("DOCKER07", "docker")
def test_a_context_that_points_elsewhere(
    stack: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    docker("context", "create", "far", "--docker", f"host={UNREACHABLE}")
    docker("context", "use", "far")
    said = stack.refused("DOCKER07")
    assert f"{UNREACHABLE}, selected by docker context, does not answer" in said
    assert "fix: docker context use default  then: " in said
    assert stack.found_by_doctor() == {"DOCKER07"}
    docker("context", "use", "default")
    assert stack.inv("up").stdout == f"{stack.url}\n"
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert "unset DOCKER_CONTEXT" in stack.refused("DOCKER07")


@pytest.mark.fault("DOCKER07", "docker")
def test_an_engine_elsewhere_that_answers(stack: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.set("EDITED", "1")
    with proxied_engine() as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        said = stack.refused("DOCKER07")
        assert f"{host}, selected by DOCKER_HOST, is not on this machine" in said
        assert "DOCKER07" in stack.found_by_doctor()
    assert "fix: unset DOCKER_HOST  then: " in said and "inv up" in said
    monkeypatch.delenv("DOCKER_HOST")
    stack.inv("up")


@pytest.mark.fault("DOCKER09", "docker")
@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("nowhere", "context not found"),
        ("tcp://127.0.0.1:9", "Is the docker daemon running?"),
        pytest.param(
            *("ssh://nobody@127.0.0.1:9", "Connection refused"),
            marks=pytest.mark.skipif(not shutil.which("ssh"), reason="there is no ssh"),
        ),
    ],
    ids=["context", "tcp", "ssh"],
)
def test_an_engine_to_deploy_to_that_is_silent(stack: Checkout, where: str, reason: str) -> None:
    said = stack.refused("DOCKER09", "deploy.status", "--context", where)
    assert f"({where})" in said and reason in said
    stack.set("DEPLOY_TO", where)
    assert f"({where})" in stack.refused("DOCKER09", "deploy.status")
    assert stack.inv("up").stdout == f"{stack.url}\n"


@pytest.mark.fault("DOCKER12", "docker")
def test_podman(stack: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with podman(tmp_path / "podman.sock") as asked:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/podman.sock")
        for typed in (["up"], ["build"], ["deploy.status", "--local"]):
            said = stack.refused("DOCKER12", *typed)
            assert "selected by DOCKER_HOST is Podman 4.3.1, not Docker" in said
            assert "unset DOCKER_HOST  then: inv up" in said
            assert "inv up --runtime embedded" in said
        assert stack.found_by_doctor() == {"DOCKER12"}
        assert set(asked) <= {"GET", "HEAD"}, "nothing was begun there"
    monkeypatch.delenv("DOCKER_HOST")
    assert stack.inv("up").stdout == f"{stack.url}\n"


@contextmanager
def podman(path: Path) -> Iterator[list[str]]:
    """What Podman 4.3.1 of Debian 12 says of itself on its Docker socket, and that it has nothing
    else; gives the methods that it is asked with."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.command)
            answer = b"OK" if self.path.endswith("/_ping") else json.dumps(self._told()).encode()
            self.send_response(200)
            self.send_header("Api-Version", "1.41")
            self.send_header("Builder-Version", "")
            self.send_header("Server", "Libpod/4.3.1 (linux)")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = do_HEAD

        def _told(self) -> object:
            return PODMAN if self.path.endswith("/version") else [] if "/json" in self.path else {}

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return ""  # a socket of a path has none

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            self.socket.bind(self.server_address)

    with Server(str(path), Handler) as server:  # type: ignore[arg-type]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield asked
        server.shutdown()


@needs_root
@pytest.mark.fault("DOCKER13", "docker")
@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
def test_a_folder_that_the_engine_does_not_see(
    make: Make, docker_runtime: Docker, tmp_path: Path, there: str
) -> None:
    """As in a dev container that has the socket of its host: the same path is another folder."""
    stack = make(docker_runtime, name="unseen")
    shutil.move(stack.root, tmp_path)
    try:
        if there != "nothing":
            (stack.root / "project").mkdir(parents=True)
        inside = Prefixed(stack, *within(tmp_path, stack.root))
        said = inside.refused("DOCKER13")
        assert f"cannot see {stack.root}/project" in said
        assert "at the path that it has on the host" in said and "--runtime embedded" in said
        assert inside.found_by_doctor() == {"DOCKER13"}
        # On the host nothing was made, and nothing of the stack either.
        assert [str(path.relative_to(stack.root)) for path in stack.root.rglob("*")] == (
            [] if there == "nothing" else ["project"]
        )
        assert not list((tmp_path / "unseen" / "project").glob(".seen-*"))
    finally:
        shutil.rmtree(stack.root, ignore_errors=True)
        shutil.move(tmp_path / "unseen", stack.root.parent)
    assert docker_runtime.leftovers(stack.root) == {}
    assert stack.found_by_doctor() == set()


def within(hold: Path, root: Path) -> tuple[str, ...]:
    """Where `hold` is mounted over the folder of `root`, for this process alone."""
    script = 'mount --bind "$0" "$1" && cd "$2" && shift 2 && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, str(hold), str(root.parent), str(root))


@contextmanager
def proxied_engine() -> Iterator[str]:
    """This engine by TCP, on an address of this machine that only its containers reach."""
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    address = docker("network", "inspect", "bridge", "--format", gateway).stdout.strip()
    with socket.create_server((address, 0)) as server:
        threading.Thread(target=forward, args=(server,), daemon=True).start()
        yield f"tcp://{address}:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def forward(server: socket.socket) -> None:
    with suppress(OSError):  # the end of the server
        while True:
            client, _ = server.accept()
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(str(SOCKET))
            for ends in ((client, engine), (engine, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
