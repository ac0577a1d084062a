"""What the benches stand on: a checkout of their own, and the medians of paired runs."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Call = Callable[[], object]


class Checkout:
    """A copy of this checkout with an .env of its own, and commands in it."""

    def __init__(self, root: Path, runtime: str) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.split("\0")[:-1]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
        self.run("./inv", "status")
        env = (root / ".env").read_text()
        (root / ".env").write_text(f"{env}\nRUNTIME={runtime}\n")
        lines = (line.partition("=") for line in env.splitlines())
        self.values = {key: value for key, _, value in lines if not key.startswith("#")}

    def run(self, *argv: str, **options: object) -> None:
        """Run a command here, quietly; one that fails ends the bench with what it said."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        done = subprocess.run(argv, cwd=self.root, stderr=subprocess.PIPE, **(streams | options))
        if done.returncode:
            sys.exit(f"{argv} ended with {done.returncode}:\n{done.stderr.decode()}")

    def call(self, *argv: str) -> Call:
        return lambda: self.run(*argv)

    def file(self, name: str, text: str) -> Path:
        """A file in the checkout, made for a bench."""
        path = self.root / name
        path.write_text(text)
        return path

    def died(self, service: str) -> float:
        """When the container of a service ended, in seconds since 1970."""
        name = f"{self.values['COMPOSE_PROJECT_NAME']}-{service}-1"
        told = subprocess.check_output(
            ["docker", "inspect", "--format", "{{.State.FinishedAt}}", name], text=True
        )
        return datetime.fromisoformat(told.strip()[:26] + "+00:00").timestamp()

    def first_page(self, *argv: str) -> float:
        """Seconds from the start of the command to the first page that is served."""
        started = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not self.is_served():
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        child.wait()
        return seconds

    def is_served(self) -> bool:
        connection = HTTPConnection("127.0.0.1", int(self.values["WEB_PORT"]), timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def checkout(runtime: str) -> Iterator[Checkout]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101  (the embedded server's account has to pass)
        made = Checkout(Path(folder) / "bench", runtime)
        try:
            yield made
        finally:
            made.run("./inv", "nuke", "--yes", "--no-backup")


def seconds(call: Call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def paired(ours: Call, raw: Call, runs: int) -> tuple[float, float]:
    """The medians of both, called by turns so that a busy moment strikes both."""
    ours(), raw()
    pairs = [(seconds(ours), seconds(raw)) for _ in range(runs)]
    return statistics.median(o for o, _ in pairs), statistics.median(r for _, r in pairs)


def row(what: str, ours: float, raw: float | None, target: str) -> None:
    beside = f"{raw:.2f} s | {ours - raw:+.2f} s, {ours / raw:.2f}" if raw else "|"
    print(f"| {what} | {ours:.2f} s | {beside} | {target} |", flush=True)


def compare(what: str, target: str, ours: Call, raw: Call, runs: int = 9) -> None:
    row(what, *paired(ours, raw, runs), target)
