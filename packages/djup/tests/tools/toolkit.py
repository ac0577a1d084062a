"""A checkout of its own, a fake `docker` first on PATH, and a real `inv` process."""

import ast
import fcntl
import json
import os
import pty
import select
import shlex
import shutil
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import checkout

FAKE_DOCKER = Path(__file__).with_name("fake_docker.py")
FORKED = Path(__file__).with_name("forked.py")
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
    ("compose", "config", "--format"),
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

    @classmethod
    def made(cls, root: Path, folder: Path, **more: Any) -> "Toolkit":
        """One for this checkout, with its `bin` and `home` in a folder; docker knows of nothing."""
        toolkit = cls(root, folder / "bin", folder / "home", free_port(), **more)
        toolkit.bin.mkdir()
        toolkit.home.mkdir()
        docker = shlex.join([str(Path(sys.executable).resolve()), "-I", "-S", str(FAKE_DOCKER)])
        toolkit.program("docker", f'#!/bin/sh\nexec {docker} "$@"\n')
        (toolkit.home / "rules").write_text("[]")
        # Settings that docker alone can read: so it is asked, and not the machine's engine itself.
        (toolkit.home / ".docker").mkdir()
        (toolkit.home / ".docker" / "config.json").write_text("of the test")
        return toolkit

    @property
    def env(self) -> dict[str, str]:
        fixed = {"HOME": str(self.home), "FAKE_HOME": str(self.home), "LANG": "C.UTF-8"}
        return {"PATH": f"{self.bin}:{self.path}", **fixed, **self.environment}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return checkout.start(self.root, *arguments, **{"env": self.env, **options})

    def inv(self, *arguments: str, stdin: bytes = b"", **options: Any) -> Done:
        """`./inv arguments`, to its end. Whatever a test is about: never a traceback."""
        child = self.start(*arguments, stdin=subprocess.PIPE, **options)
        return self.finish(child, stdin)

    def finish(self, child: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
        try:
            out, err = child.communicate(stdin, timeout=30)
        finally:
            child.kill()
        return self.done(child.returncode, out, err)

    def done(self, code: int, out: bytes, err: bytes) -> Done:
        self.raw_out = out
        done = Done(code, out.decode(errors="replace"), err.decode(errors="replace"))
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
        there = ast.literal_eval((self.home / "rules").read_text())
        (self.home / "rules").write_text(repr([*rules, *there]))

    def program(self, name: str, script: str) -> None:
        """A program first on PATH."""
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The calls of docker, oldest first: argv, env, cwd, stdin."""
        path = self.home / "calls"
        text = path.read_text() if path.exists() else ""
        whole, _, _ = text.rpartition("\n")  # what follows is still being written
        return [ast.literal_eval(line) for line in whole.splitlines()]

    @property
    def acts(self) -> list[list[str]]:
        """The argv of those calls that do more than to ask."""
        found = [call["argv"] for call in self.log]
        return [a for a in found if not any(tuple(a[: len(r)]) == r for r in READING)]

    def stdin_of(self, word: str) -> bytes:
        [call] = [call for call in self.log if word in call["argv"] and call["stdin"] is not None]
        return bytes(call["stdin"])

    def wait_for(self, *words: str, count: int = 1) -> None:
        """Until docker has been called with these words, `count` times."""
        deadline = time.monotonic() + 10
        while sum(set(words) <= set(call["argv"]) for call in self.log) < count:
            assert time.monotonic() < deadline, f"docker was not called with {words}"
            time.sleep(0.02)

    def forget(self) -> None:
        (self.home / "calls").unlink(missing_ok=True)

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


@dataclass
class Runner:
    """A process that has the toolkit loaded and forks off `inv`, in the checkout at `root`: a tenth
    of a second less for each command line."""

    root: Path
    process: subprocess.Popen[str]

    def run(self, command: Mapping[str, Any]) -> int:
        """Run what forked.py is told by this, and give its exit code."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps(command), file=self.process.stdin, flush=True)
        assert select.select([self.process.stdout], [], [], 30)[0], f"it does not end: {command}"
        return int(self.process.stdout.readline())

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """What is new in the root afterwards goes again: .env, .state, backups."""
        before = {*self.root.iterdir()}
        yield
        for path in {*self.root.iterdir()} - before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def runner(root: Path) -> Iterator[Runner]:
    """It runs, in this checkout, of which all that a clone has stays as it is."""
    stamps = _stamps(root)
    argv = [root / ".venv" / "bin" / "python", "-P", FORKED]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, cwd=root, env={"LANG": "C.UTF-8"}, **pipes) as process:
        yield Runner(root, process)
    assert _stamps(root) == stamps, "a test has changed what all share"


def _stamps(root: Path) -> dict[Path, int]:
    """When each file was written, but for .venv and bytecode."""
    files = (path for path in root.rglob("*") if path.is_file())
    skipped = {".venv", "__pycache__"}
    return {path: path.stat().st_mtime_ns for path in files if not skipped & set(path.parts)}


@dataclass
class Forked(Toolkit):
    """One whose `inv` a runner forks off."""

    runner: Runner | None = None

    def inv(self, *arguments: str, stdin: bytes = b"", **options: Any) -> Done:
        assert self.runner and options.keys() <= {"cwd"}
        streams = [self.home / name for name in ("stdin", "stdout", "stderr")]
        for stream, content in zip(streams, (stdin, b"", b""), strict=True):
            stream.write_bytes(content)
        command = {
            "words": arguments,
            "env": self.env,
            "cwd": str(options.get("cwd", self.root)),
            "streams": [str(stream) for stream in streams],
        }
        code = self.runner.run(command)
        return self.done(code, *(stream.read_bytes() for stream in streams[1:]))


def _take_terminal() -> None:
    """Make stdin the terminal of this session, from which a typed ^C comes as SIGINT."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _containers_format() -> str:
    from djup.docker import containers

    return "\t".join(containers.FIELDS.values())


CONTAINERS = _containers_format()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
