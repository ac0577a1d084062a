"""A checkout of its own, a fake `docker` first on PATH, and a real `inv` process."""

import base64
import fcntl
import json
import os
import pty
import select
import shlex
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import checkout
import pytest

FAKE_DOCKER = Path(__file__).with_name("fake_docker.py")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWORD = "pa55-w0rd-of-the-test"
SECRET = "53cr3t-key-of-the-test"
READING = (
    ("ps",),
    ("version",),
    ("logs",),
    ("info",),
    ("port",),
    ("system", "df"),
    ("image", "ls"),
    ("inspect",),
    ("context", "inspect"),
    ("volume", "ls"),
    ("volume", "inspect"),
    ("network", "ls"),
    ("compose", "version"),
)
Rule = dict[str, Any]


@dataclass(frozen=True)
class Done:
    """What an `inv` came to."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Toolkit:
    """A checkout at `root`, with programs of the test's own in `bin`, first on PATH."""

    root: Path
    bin: Path
    home: Path
    port: int
    path: str = SYSTEM_PATH
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        fixed = {"HOME": str(self.home), "FAKE_HOME": str(self.home), "LANG": "C.UTF-8"}
        return {"PATH": f"{self.bin}:{self.path}", **fixed, **self.environment}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """`./inv arguments` in a process group of its own, as a shell would start it."""
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        defaults = {"cwd": self.root, "env": self.env, "start_new_session": True}
        return subprocess.Popen([self.root / "inv", *arguments], **(streams | defaults | options))

    def inv(self, *arguments: str, stdin: bytes = b"", **options: Any) -> Done:
        """`./inv arguments`, to its end. Whatever a test is about: never a traceback."""
        child = self.start(*arguments, stdin=subprocess.PIPE, **options)
        return self.finish(child, stdin)

    def finish(self, child: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
        try:
            out, err = child.communicate(stdin, timeout=30)
        finally:
            child.kill()
        self.raw_out = out
        done = Done(child.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
        assert "Traceback" not in done.all, done.all
        return done

    def on_a_pty(self, *arguments: str, typed: str = "") -> Done:
        """`./inv arguments` on a terminal where someone types `typed` once there is output."""
        master, slave = pty.openpty()
        child = self.start(
            *arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_take_terminal
        )
        os.close(slave)
        output, deadline = b"", time.monotonic() + 30
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.05)[0]:
                continue
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other side has ended
                break
            output += chunk
            if typed and b"type the name" in output:
                os.write(master, typed.encode())
                typed = ""
        os.close(master)
        text = output.decode(errors="replace")
        assert "Traceback" not in text, text
        return Done(child.wait(timeout=5), text, "")

    # The fake docker

    def answers(self, *rules: Rule) -> None:
        """Put these rules before those that are there."""
        there = json.loads((self.home / "rules.json").read_text())
        (self.home / "rules.json").write_text(json.dumps([*rules, *there]))

    def program(self, name: str, script: str) -> None:
        """A program first on PATH."""
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The calls of docker, oldest first: argv, env, cwd, stdin."""
        path = self.home / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def acts(self) -> list[list[str]]:
        """The argv of those calls that do more than to ask."""
        found = [call["argv"] for call in self.log]
        return [a for a in found if not any(tuple(a[: len(r)]) == r for r in READING)]

    def stdin_of(self, word: str) -> bytes:
        [call] = [call for call in self.log if word in call["argv"] and call["stdin"] is not None]
        return base64.b64decode(call["stdin"])

    def wait_for(self, *words: str, count: int = 1) -> None:
        """Until docker has been called with these words, `count` times."""
        deadline = time.monotonic() + 10
        while sum(set(words) <= set(call["argv"]) for call in self.log) < count:
            assert time.monotonic() < deadline, f"docker was not called with {words}"
            time.sleep(0.02)

    def forget(self) -> None:
        (self.home / "calls.jsonl").unlink(missing_ok=True)

    def engine_has(self, inputs: str = "", **labels: str) -> Rule:
        """The rule for `docker inspect`: every image is there, and the volume with these labels."""
        image = {"Config": {"Labels": {"build.inputs": inputs}}, "Architecture": ""}
        found = [image, {}, {}, {"Labels": labels}]
        return {"words": ["inspect"], "out": "".join(f"{json.dumps(it)}\n" for it in found)}

    def running(self, *services: str, **labels: str) -> Rule:
        """The rule for `docker ps` that lists these services as running."""
        lines = [self.container(service, **labels) for service in services]
        return {"words": ["ps", CONTAINERS], "out": "".join(lines)}

    def container(self, service: str, **labels: str) -> str:
        """A line of `docker ps` in the format that the toolkit asks for."""
        values = {
            "name": f"shop-{service}-1",
            "service": service,
            "image": "shop-web" if service == "web" else "postgres:18-alpine",
            "state": "running",
            "config": "c0ffee",
            "inputs": "",
            "folder": str(self.root / "compose"),
            "one_off": "False",
            "mounts": "shop_postgres_data",
            "ports": f"127.0.0.1:{self.port}->8000/tcp",
            "status": "Up 2 minutes (healthy)",
        } | labels
        return "\t".join(values.values()) + "\n"


def _take_terminal() -> None:
    """Make stdin the terminal of this session, from which a typed ^C comes as SIGINT."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _containers_format() -> str:
    from djup.docker import engine

    return "\t".join(engine.FIELDS.values())


CONTAINERS = _containers_format()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Toolkit]:
    """A checkout as from a clone, except that .venv is there; docker knows of nothing."""
    toolkit = Toolkit(
        checkout.make(tmp_path / "shop"), tmp_path / "bin", tmp_path / "home", free_port()
    )
    checkout.lend_venv(toolkit.root)
    toolkit.bin.mkdir()
    toolkit.home.mkdir()
    python = shlex.quote(str(Path(sys.executable).resolve()))
    toolkit.program(
        "docker", f'#!/bin/sh\nexec {python} -I -S {shlex.quote(str(FAKE_DOCKER))} "$@"\n'
    )
    (toolkit.home / "rules.json").write_text("[]")
    yield toolkit


@pytest.fixture
def toolkit(fresh: Toolkit) -> Toolkit:
    """A checkout with an .env, of which docker says that web and db are running."""
    (fresh.root / ".env").write_text(
        f"COMPOSE_PROJECT_NAME=shop\nSECRET_KEY={SECRET}\nSQL_PASSWORD={PASSWORD}\n"
        f"WEB_PORT={fresh.port}\nRUNTIME=docker\n"
    )
    fresh.answers(fresh.running("db", "web"), fresh.engine_has())
    return fresh


@pytest.fixture
def ready(toolkit: Toolkit) -> Iterator[Callable[..., None]]:
    """Call it, and a web on WEB_PORT answers /readyz: ready, or the JSON that is given."""
    servers: list[HTTPServer] = []

    def start(answer: Mapping[str, Any] | None = None, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer or {"ready": True}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", toolkit.port), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
