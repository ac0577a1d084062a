"""What the toolkit costs beside the raw commands: medians of paired runs, in one go.

    .venv/bin/python bench/bench.py [inv|docker|embedded|doctor|data ...]

It works in copies of this checkout under a temporary folder, with projects of their own that it
removes at the end. It is no test: it passes or fails nothing.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from data import bench_data
from harness import Call, Checkout, checkout, compare, row, seconds

PACKAGE = "isodate==0.7.2"
HASHES = (
    "sha256:28009937d8031054830160fce6d409ed342816b543597cece116d966c6d99e15",
    "sha256:4cd1aa0f43ca76f4a6c6c0292a85f40b35ec2e43e315b59f06e6d32171a953e6",
)
MEGABYTES = 100


def bench_inv() -> None:
    """The start of a task, beside Invoke's own with one empty task."""
    with checkout("embedded") as ours, tempfile.TemporaryDirectory() as folder:
        tasks = "from invoke import task\n\n@task\ndef nothing(c):\n    'Nothing.'\n"
        Path(folder, "tasks.py").write_text(tasks)
        empty = [f"{ours.root}/.venv/bin/invoke", "--list"]
        raw = lambda: subprocess.run(empty, cwd=folder, capture_output=True, check=True)  # noqa: E731
        raw()
        compare(
            "`inv --list`, beside an empty tasks.py",
            "<= 1.15",
            ours.call("./inv", "--list"),
            raw,
            21,
        )


def bench_docker() -> None:
    """The Docker runtime, beside raw `docker compose` on the same files."""
    with checkout("docker") as it:
        it.run("./inv", "up")
        compose = ("docker", "compose")
        web, db = (*compose, "exec", "-T", "web"), (*compose, "exec", "-T", "db")
        raw_psql = (*db, "psql", "-U", "app", "-d", "app")
        pairs = [
            (
                "`inv psql -- -c 'select 1'`",
                ("psql", "--", "-c", "select 1"),
                (*raw_psql, "-c", "select 1"),
            ),
            (
                "`inv manage -- check`",
                ("manage", "--", "check"),
                (*web, "python", "manage.py", "check"),
            ),
            ("`inv shell -- -c true`", ("shell", "--", "-c", "true"), (*web, "ash", "-c", "true")),
        ]
        for what, ours, raw in pairs:
            compare(
                f"{what}, beside `compose exec`",
                "<= +0.2 s",
                it.call("./inv", *ours),
                it.call(*raw),
            )
        up, raw_up = it.call("./inv", "up"), it.call(*compose, "up", "-d", "--wait")
        compare("`inv up`, all up and unchanged, beside `compose up -d --wait`", "<= 1", up, raw_up)
        bench_starts(it)
        bench_streams(it, raw_psql)
        bench_rebuild(it)
        bench_size(it)


def bench_starts(it: Checkout) -> None:
    """Starts from nothing and after `down`, on a built project."""
    ours, raw = ("./inv", "up"), ("docker", "compose", "up", "-d", "--wait")
    for what, away, target in (
        ("no volume", ("docker", "compose", "down", "-v"), "3.0 s"),
        ("after `down`", ("docker", "compose", "down"), "1.5 s"),
    ):
        whole: dict[tuple[str, ...], list[float]] = {ours: [], raw: []}
        pages: dict[tuple[str, ...], list[float]] = {ours: [], raw: []}
        for _ in range(5):
            for command in (ours, raw):
                it.run(*away)
                whole[command].append(seconds(it.call(*command)))
                it.run(*away)
                pages[command].append(it.first_page(*command))
        medians = [statistics.median(times[c]) for times in (whole, pages) for c in (ours, raw)]
        row(f"`inv up`, {what}, beside `compose up -d --wait`", *medians[:2], "<= 1.15")
        row(f"first page of `inv up`, {what}", *medians[2:], f"<= {target}")


def bench_streams(it: Checkout, raw_psql: tuple[str, ...]) -> None:
    """A hundred megabytes in and out through a pipe, and the memory that the task took for it."""
    it.run("./inv", "psql", "--", "-c", "create table bench (line text)")
    sql = it.root / "big.sql"
    with sql.open("w") as file:
        file.write("truncate bench; copy bench from stdin;\n")
        for number in range(MEGABYTES * 10_000):
            file.write(f"{number:099d}\n")
        file.write("\\.\n")

    def into(*argv: str) -> Call:
        def call() -> None:
            with sql.open() as file:
                it.run(*argv, stdin=file)

        return call

    compare(
        f"`inv psql < {MEGABYTES} MB of SQL`", "<= 1.11", into("./inv", "psql"), into(*raw_psql), 7
    )
    copy = ("-c", "copy bench to stdout")
    ours, raw = it.call("./inv", "psql", "--", *copy), it.call(*raw_psql, *copy)
    compare(f"`inv psql -- -c 'copy … to stdout'`, {MEGABYTES} MB", "<= 1.11", ours, raw, 7)
    print(f"| memory of `inv` meanwhile, at its largest | {peak(it, sql):.0f} MB | | | constant |")


def peak(it: Checkout, sql: Path) -> float:
    """The largest size in MB that the task's own process had, by Linux's account."""
    with sql.open() as file:
        child = subprocess.Popen(
            ["./inv", "psql"],
            cwd=it.root,
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    largest = 0
    while child.poll() is None:
        status = Path(f"/proc/{child.pid}/status").read_text()
        found = [line for line in status.splitlines() if line.startswith("VmHWM")]
        largest = max([largest, *(int(line.split()[1]) for line in found)])
        time.sleep(0.01)
    return largest / 1000


def bench_rebuild(it: Checkout) -> None:
    """One more small package in the requirements."""
    lock = it.root / "requirements" / "base.txt"
    before, times = lock.read_text(), []
    hashes = "".join(f" \\\n    --hash={value}" for value in HASHES)
    for _ in range(3):
        lock.write_text(f"{before}{PACKAGE}{hashes}\n# {time.time()}\n")
        times.append(seconds(it.call("./inv", "build")))
    lock.write_text(before)
    row("`inv build` after one more small package", statistics.median(times), None, "<= 8 s")


def bench_size(it: Checkout) -> None:
    images = (f"{it.values['COMPOSE_PROJECT_NAME']}-web", it.values["PYTHON_IMAGE"])
    ask = ("docker", "image", "inspect", "--format", "{{.Size}}")
    sizes = [int(subprocess.check_output([*ask, image])) / 1e6 for image in images]
    print(f"| web image over its base | {sizes[0] - sizes[1]:.1f} MB | | | <= 46 MB |", flush=True)


def bench_embedded() -> None:
    """The embedded runtime, its packages installed."""
    with checkout("embedded") as it:
        it.run("./inv", "build")
        fresh, after_down = [], []
        for _ in range(5):
            fresh.append(it.first_page("./inv", "up"))
            it.run("./inv", "down")
            after_down.append(it.first_page("./inv", "up"))
            it.run("./inv", "nuke", "--yes", "--no-backup")
        row(
            "embedded: first page of `./inv up`, fresh clone",
            statistics.median(fresh),
            None,
            "<= 5 s",
        )
        row("embedded: first page after `down`", statistics.median(after_down), None, "<= 2 s")


def bench_doctor() -> None:
    """What it takes to be told: by `doctor` and `status`, and after a service has died."""
    for runtime in ("docker", "embedded"):
        with checkout(runtime) as it:
            it.run("./inv", "up")
            for task, target in (("doctor", "<= 2 s"), ("status", "<= 1 s")):
                times = [seconds(it.call("./inv", task)) for _ in range(9)]
                row(f"{runtime}: `inv {task}`, all up", statistics.median(times), None, target)
            it.run("./inv", "down")
            times = [seconds(it.call("./inv", "doctor")) for _ in range(9)]
            row(f"{runtime}: `inv doctor`, all down", statistics.median(times), None, "<= 2 s")
            if runtime == "docker":
                bench_deaths(it)


def bench_deaths(it: Checkout) -> None:
    """From the death of a container, by the engine's account, to the end of `inv up`."""
    settings, env = it.root / "project" / "config" / "settings.py", it.root / ".env"
    good = {path: path.read_text() for path in (settings, env)}
    faults = {
        "a syntax error": (settings, "web", "def (\n"),
        "another password": (env, "web", f"{good[env]}\nSQL_PASSWORD=another-long-password\n"),
        "another version of PostgreSQL": (
            *(env, "db"),
            f"{good[env]}\nPOSTGRES_IMAGE=postgres:17-alpine\n",
        ),
    }
    for what, (path, service, bad) in faults.items():
        times = []
        for _ in range(5):
            path.write_text(bad)
            subprocess.run(["./inv", "up"], cwd=it.root, stderr=subprocess.DEVNULL, check=False)
            ended = time.time()
            times.append(ended - it.died(service))
            path.write_text(good[path])
            it.run("./inv", "down")
        row(
            f"`inv up`: from a death by {what} to the sentence",
            statistics.median(times),
            None,
            "<= 3 s",
        )


BENCHES = {
    "inv": bench_inv,
    "docker": bench_docker,
    "embedded": bench_embedded,
    "doctor": bench_doctor,
    "data": bench_data,
}

if __name__ == "__main__":
    print("| what | ours | raw | difference, ratio | target |\n| --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
