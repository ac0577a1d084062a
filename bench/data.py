"""The data tasks beside PostgreSQL's own programs: backup, restore, snapshot, upgrade."""

import os
import shutil
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from harness import Call, Checkout, checkout, row, seconds

RUNS, TRIALS = 5, 3  # pairs; and of each raw variant
LARGE, SMALL = 40, 7  # pgbench's scale: with the letters 1 GB; alone 100 MB
LETTERS = 1_000_000
FILLED = "vacuum analyze; checkpoint;\n"
# What `pgbench -i` makes, which the wheel does not have.
PGBENCH = """\
create table pgbench_branches (bid int not null, bbalance int, filler char(88));
create table pgbench_tellers (tid int not null, bid int, tbalance int, filler char(84));
create table pgbench_accounts (aid int not null, bid int, abalance int, filler char(84));
create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp);
insert into pgbench_branches select b, 0, '' from generate_series(1, {scale}) b;
insert into pgbench_tellers select t, 1, 0, '' from generate_series(1, {scale} * 10) t;
insert into pgbench_accounts select a, 1, 0, '' from generate_series(1, {scale} * 100000) a;
alter table pgbench_branches add primary key (bid);
alter table pgbench_tellers add primary key (tid);
alter table pgbench_accounts add primary key (aid);
"""
# Fifty words a row, of two thousand that there are.
TEXT = f"""\
create table letters (id int primary key, body text);
insert into letters select row, (
  select string_agg(substr(md5((hashint4(row * 31 + word) % 2000)::text), 1,
                           2 + abs(hashint4(row + word * 7)) % 7), ' ')
  from generate_series(1, 50) word) from generate_series(1, {LETTERS}) row;
"""
DUMPS = {
    "docker": ("zstd", "zstd:1", "zstd:2", "lz4", "gzip:1"),
    "embedded": ("gzip", "gzip:1", "gzip:2", "gzip:4"),
}
JOBS = (1, 2, 4)
STRATEGIES = {
    "wal_log": ("strategy wal_log", "copy"),
    "file_copy, copied": ("strategy file_copy", "copy"),
    "file_copy, cloned": ("strategy file_copy", "clone"),
}


@dataclass
class Raw:
    """PostgreSQL's programs as one types them without the toolkit."""

    it: Checkout
    prefix: Sequence[str]
    environment: dict[str, str]
    container: str

    @classmethod
    def of(cls, it: Checkout, runtime: str) -> "Raw":
        if runtime == "docker":
            name = f"{it.values['COMPOSE_PROJECT_NAME']}-db-1"
            whom = ("--env", "PGUSER=app", "--env", "PGDATABASE=app")
            return cls(it, ("docker", "exec", "--interactive", *whom, name), {**os.environ}, name)
        told = subprocess.check_output(["./inv", "shell", "--", "-c", "env -0"], cwd=it.root)
        pairs = (pair.partition("=") for pair in told.decode().split("\0"))
        return cls(it, (), {key: value for key, _, value in pairs if key}, "")

    def run(self, *argv: str, **options: object) -> None:
        program = argv if self.container else (self.found(argv[0]), *argv[1:])
        self.it.run(*self.prefix, *program, env=self.environment, **options)

    def found(self, program: str) -> str:
        """Its path; one of the same name elsewhere on PATH may be of another version."""
        folders = (Path(folder) for folder in self.environment["PATH"].split(":"))
        wheel = next(f for f in folders if f.match("pginstall/bin"))
        return str(wheel / program) if (wheel / program).exists() else program

    def sql(self, *statements: str) -> None:
        words = [word for statement in statements for word in ("--command", statement)]
        self.run("psql", "--quiet", "--dbname=postgres", *words)

    def dump(self, file: Path, compression: str) -> None:
        """One file on this machine, on disk for good."""
        with file.open("wb") as out:
            self.run("pg_dump", "--format=custom", f"--compress={compression}", stdout=out)
            os.fsync(out.fileno())

    def parallel_dump(self, compression: str) -> None:
        """A folder, where the server is."""
        where = self.place("folder")
        how = ("--format=directory", "--jobs=2", f"--compress={compression}", f"--file={where}")
        self.run("pg_dump", *how)

    def place(self, name: str) -> str:
        return f"/tmp/bench.{name}" if self.container else str(self.it.root / f"bench.{name}")

    def restore(self, file: Path, jobs: int) -> None:
        """From a file on this machine into a new database, which takes the place of the old."""
        name = str(file)
        self.sql("create database bench_new template template0")
        if self.container:
            name = self.place("dump")
            with file.open() as dump:
                self.run("sh", "-c", 'cat >"$0"', name, stdin=dump)
        self.run("pg_restore", "--exit-on-error", f"--jobs={jobs}", "--dbname=bench_new", name)
        self.swap()
        if self.container:
            self.run("rm", name)

    def swap(self) -> None:
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'app'",
            "alter database app rename to bench_old",
            "alter database bench_new rename to app",
        )

    def forget(self) -> None:
        """Drop what a restore or a snapshot, ours or this one, has put aside."""
        drop = "drop database if exists {} with (force)"
        self.sql(drop.format("bench_old"), drop.format("bench_new"), drop.format("bench_copy"))
        self.run(
            *("psql", "--quiet", "--no-align", "--tuples-only", "--dbname=postgres"),
            *("--set", "ON_ERROR_STOP=1"),
            stdin=self.it.file("forget.sql", FORGET).open(),
        )

    def copy(self, strategy: str, method: str, name: str) -> None:
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'app'",
            f"set file_copy_method = {method}",
            f"create database {name} template app {strategy}",
        )


FORGET = r"""
select format('drop database %I with (force)', datname) from pg_database
where datname like 'app@%' and datname <> 'app@kept' \gexec
checkpoint;
"""


@dataclass
class Peak:
    """The largest size in MB that a task came to: its own process, and with all that it started
    on this machine; of what runs in a container that is docker's client."""

    own: float = 0
    tree: float = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self, number: int) -> None:
        task = psutil.Process(number)
        while not self.ended.wait(0.05):
            try:
                own = task.memory_info().rss
                clients = sum(child.memory_info().rss for child in task.children(recursive=True))
            except psutil.Error:
                continue
            self.own, self.tree = max(self.own, own / 1e6), max(self.tree, (own + clients) / 1e6)


def measured(it: Checkout, *argv: str) -> Peak:
    """Run a task, and see how large it gets."""
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(argv, cwd=it.root, stdin=quiet, stdout=quiet, stderr=quiet)
    peak = Peak()
    watcher = threading.Thread(target=peak.watch, args=(child.pid,))
    watcher.start()
    code = child.wait()
    peak.ended.set()
    watcher.join()
    if code:
        sys.exit(f"{argv} ended with {code}")
    return peak


def paired(ours: Call, raw: Call, after: Call) -> tuple[float, float]:
    """The medians of both, called by turns, and `after` each, untimed, what clears up."""

    def timed(call: Call) -> float:
        taken = seconds(call)
        after()
        return taken

    timed(ours), timed(raw)
    pairs = [(timed(ours), timed(raw)) for _ in range(RUNS)]
    return statistics.median(o for o, _ in pairs), statistics.median(r for _, r in pairs)


def best(
    what: str, variants: Mapping[str, Call], after: Callable[[], int | None], most: int = 0
) -> str:
    """The quickest of some raw variants, each shown with its median and the size in bytes that
    `after` may say; those that are larger than `most` are out."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    sizes = {}
    for _ in range(TRIALS):
        for name, call in variants.items():
            times[name].append(seconds(call))
            sizes[name] = after() or 0
    for name in variants:
        size = f"{sizes[name] / 1e6:.1f} MB" if sizes[name] else ""
        print(f"| raw {what}: {name} | | {statistics.median(times[name]):.2f} s | {size} | |")
    fit = [name for name in variants if not most or sizes[name] <= most]
    return min(fit, key=lambda name: statistics.median(times[name]))


def bench_data() -> None:
    """Both runtimes, a large database and a small one."""
    for runtime in ("docker", "embedded"):
        bench_large(runtime)
        bench_small(runtime)
    bench_upgrade()


def bench_large(runtime: str) -> None:
    """Backup and restore of 1 GB."""
    with checkout(runtime) as it:
        it.run("./inv", "up")
        fill(it, LARGE, TEXT)
        raw = Raw.of(it, runtime)
        bench_backup(it, raw, runtime)
        bench_restore(it, raw, runtime)


def bench_small(runtime: str) -> None:
    """A snapshot of 100 MB and the way back, beside the server's own copy and beside a dump."""
    with checkout(runtime) as it:
        it.run("./inv", "up")
        fill(it, SMALL, "")
        bench_snapshot(it, Raw.of(it, runtime), runtime)


def fill(it: Checkout, scale: int, more: str) -> None:
    script = it.file("fill.sql", PGBENCH.format(scale=scale) + more + FILLED)
    with script.open() as stdin:
        it.run("./inv", "psql", "--", "--quiet", "--set", "ON_ERROR_STOP=1", stdin=stdin)


def bench_backup(it: Checkout, raw: Raw, runtime: str) -> None:
    """Beside the quickest pg_dump into one file; of zstd, one no larger than by itself."""
    file, folder = it.root / "raw.dump", it.root / "backups"
    compressions = DUMPS[runtime]

    def cleared() -> int:
        size = file.stat().st_size if file.exists() else 0
        file.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        raw.run("rm", "-rf", raw.place("folder"))
        return size

    raw.dump(file, compressions[0])
    most = cleared()
    single = {each: partial(raw.dump, file, each) for each in compressions}
    limit = most if runtime == "docker" else 0
    chosen = best(f"dump, {runtime}", single, cleared, limit)
    parallel = {each: partial(raw.parallel_dump, each) for each in compressions[:3]}
    best(f"dump into a folder beside the server by 2 jobs, {runtime}", parallel, cleared)
    backup = ("./inv", "db.backup")
    times = paired(it.call(*backup), single[chosen], cleared)
    row(f"{runtime}: `inv db.backup`, 1 GB, beside `pg_dump` ({chosen})", *times, "<= 1.05")
    memory(it, f"{runtime}: `inv db.backup`", backup)
    size = sum(dump.stat().st_size for dump in folder.glob("*.dump"))
    sizes = f"{size / 1e6:.1f} MB | {most / 1e6:.1f} MB"
    print(f"| {runtime}: the dump, beside {compressions[0]} | {sizes} | | no larger |", flush=True)


def bench_restore(it: Checkout, raw: Raw, runtime: str) -> None:
    """The backup that is there, beside a new database, pg_restore and two renames."""
    [dump] = (it.root / "backups").glob("*.dump")
    restores = {f"{jobs} jobs": partial(raw.restore, dump, jobs) for jobs in JOBS}
    quickest = best(f"restore, {runtime}", restores, raw.forget)
    restore = ("./inv", "db.restore", dump.stem)
    times = paired(it.call(*restore), restores[quickest], raw.forget)
    row(f"{runtime}: `inv db.restore`, 1 GB, beside `pg_restore` ({quickest})", *times, "<= 1.05")
    memory(it, f"{runtime}: `inv db.restore`", restore)


def memory(it: Checkout, what: str, argv: Sequence[str]) -> None:
    peak = measured(it, *argv)
    row_of_peak = f"{peak.own:.0f} MB, with its clients {peak.tree:.0f} MB"
    print(f"| memory of {what} | {row_of_peak} | | | <= 64 MB |", flush=True)


def bench_snapshot(it: Checkout, raw: Raw, runtime: str) -> None:
    """Both ways, each beside the quickest strategy."""
    copies = {name: partial(raw.copy, *how, "bench_copy") for name, how in STRATEGIES.items()}
    quickest = best(f"copy of 100 MB, {runtime}", copies, raw.forget)
    take = it.call("./inv", "db.snapshot", "--name", "taken")
    taken = paired(take, copies[quickest], raw.forget)
    row(f"{runtime}: `inv db.snapshot`, 100 MB, beside its copy ({quickest})", *taken, "<= 1.2")
    it.run("./inv", "db.snapshot", "--name", "kept")

    def copy_and_swap() -> None:
        raw.copy(*STRATEGIES[quickest], "bench_new")
        raw.swap()

    given = paired(it.call("./inv", "db.restore", "kept"), copy_and_swap, raw.forget)
    row(f"{runtime}: `inv db.restore` of it, beside a copy and two renames", *given, "<= 1.2")
    through_dump(it, raw, runtime, taken[0] + given[0])


def through_dump(it: Checkout, raw: Raw, runtime: str, quick: float) -> None:
    """What the same takes by a dump; `quick` are the seconds by a snapshot."""
    totals = []
    for _ in range(RUNS):
        taken = seconds(it.call("./inv", "db.backup"))
        [dump] = (it.root / "backups").glob("*.dump")
        totals.append(taken + seconds(it.call("./inv", "db.restore", dump.stem)))
        raw.forget()
        shutil.rmtree(dump.parent)
    slow = statistics.median(totals)
    figures = f"{quick:.2f} s | {slow:.2f} s | {slow / quick:.1f} times as quick"
    print(f"| {runtime}: snapshot and back, beside `db.backup` and back | {figures} | >= 5 |")


def bench_upgrade() -> None:
    """100 MB from PostgreSQL 17 to 18, beside a dump by the one server and a restore by the other.

    The raw figure has no server to start: that one is up already.
    """
    with checkout("docker") as it:
        env = it.root / ".env"
        settings = env.read_text()
        ours, theirs = [], []
        for _ in range(3):
            env.write_text(f"{settings}\nPOSTGRES_IMAGE=postgres:17-alpine\n")
            it.run("./inv", "up")
            fill(it, SMALL, "")
            raw = Raw.of(it, "docker")
            dump = it.root / "raw.dump"
            theirs.append(seconds(partial(raw.dump, dump, "zstd")))
            ours.append(seconds(it.call("./inv", "db.upgrade", "--to", "18")))
            theirs[-1] += seconds(partial(raw.restore, dump, 2))
            it.run("./inv", "nuke", "--yes", "--no-backup")
        medians = statistics.median(ours), statistics.median(theirs)
        row("`inv db.upgrade`, 100 MB, beside `pg_dump` and `pg_restore`", *medians, "<= 1.3")
