"""What jobs cost, and how long one is left alone when its worker dies.

    .venv/bin/python bench/jobs.py

It works in a copy of this checkout on the embedded runtime, and removes it at the end.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Checkout, checkout

TASKS = """
import os, time
from django_tasks import task

@task
def quick(number):
    return number

@task(takes_context=True)
def slow(context, folder):
    open(f"{folder}/{context.attempt}", "w").write(f"{os.getpid()} {time.time()}")
    time.sleep(60 if context.attempt == 1 else 0)
"""
COUNT = 2000
ENQUEUE = f"""
from django.db import transaction
from home.tasks import quick
with transaction.atomic():
    [quick.enqueue(number) for number in range({COUNT})]
"""
FINISHED = """
INSERT INTO djup_jobs_job (id, task, args, kwargs, queue, priority, backend, request_id, state,
    enqueued_at, finished_at, attempts, faults, allowed, worker, workers, errors)
SELECT gen_random_uuid(), 'home.tasks.quick', '[1]', '{{}}', 'default', 0, 'default', '', 'DONE',
    now() - n * interval '1 s', now() - n * interval '1 s', 1, 0, 5, 'w', '["w"]', '[]'
FROM generate_series(1, {rows}) AS n
"""
LEFT = "SELECT count(*) FROM djup_jobs_job WHERE state IN ('READY', 'RUNNING')"
LEASE = 20


class Jobs:
    """The jobs of a checkout."""

    def __init__(self, made: Checkout) -> None:
        self.made = made
        made.file("project/home/tasks.py", TASKS)
        made.run("./inv", "up")

    def ask(self, code: str) -> str:
        """Run code in Django's shell."""
        argv = ["./inv", "manage", "--", "shell", "--verbosity", "0", "-c", code]
        return subprocess.check_output(
            argv, cwd=self.made.root, text=True, stderr=subprocess.DEVNULL
        ).strip()

    def sql(self, statement: str) -> str:
        argv = ["./inv", "psql", "--", "-Atqc", statement]
        return subprocess.check_output(
            argv, cwd=self.made.root, text=True, stderr=subprocess.DEVNULL
        ).strip()

    @contextmanager
    def worker(self, processes: int) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of so many processes, without a supervisor."""
        env = {**os.environ, "WORKER_PROCESSES": str(processes), "WORKER_LEASE_SECONDS": str(LEASE)}
        argv = ["./inv", "manage", "--", "worker", "--no-reload"]
        child = subprocess.Popen(
            argv, cwd=self.made.root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield child
        finally:
            child.terminate()
            child.wait()


def rate(jobs: Jobs, processes: int) -> float:
    """Jobs in a second, from the first one's start to the last one's end."""
    jobs.sql("DELETE FROM djup_jobs_job WHERE args <> '[1]'")
    jobs.ask(ENQUEUE)
    with jobs.worker(processes):
        while (
            jobs.sql("SELECT count(*) FROM djup_jobs_job WHERE state IN ('READY', 'RUNNING')") > "0"
        ):
            time.sleep(0.5)
    spent = "extract(epoch FROM max(finished_at) - min(started_at))"
    return COUNT / float(
        jobs.sql(f"SELECT {spent} FROM djup_jobs_job WHERE started_at IS NOT NULL")
    )


def takeover(jobs: Jobs, whole: bool) -> float:
    """Seconds from the kill to the second attempt: of a process, or of the whole worker."""
    folder = jobs.made.root / f"noted-{whole}"
    folder.mkdir()
    jobs.ask(f"from home.tasks import slow; slow.enqueue({str(folder)!r})")
    with jobs.worker(1):
        process = int(written(folder / "1").split()[0])
        parent = int(subprocess.check_output(["ps", "-o", "ppid=", str(process)]))
        time.sleep(6)
        with jobs.worker(1):
            time.sleep(6)
            killed = time.time()
            for number in (parent, process) if whole else (process,):
                os.kill(number, signal.SIGKILL)
            return float(written(folder / "2").split()[1]) - killed


def tell(what: str, value: float, unit: str = "") -> None:
    print(f"| {what} | {value:.1f}{unit} |", flush=True)


def written(path: Path) -> str:
    """What is in a file, once it is there."""
    while not (path.exists() and (text := path.read_text())):
        time.sleep(0.02)
    return text


def main() -> None:
    with checkout("embedded") as made:
        jobs = Jobs(made)
        for whole in (False, True):
            what = "the whole worker" if whole else "one process"
            print(
                f"| SIGKILL of {what}: taken over after | {takeover(jobs, whole):.1f} s |",
                flush=True,
            )
        for processes in (1, 4):
            print(
                f"| jobs in a second, {processes} processes | {rate(jobs, processes):.0f} |",
                flush=True,
            )
        for rows in (1_000, 10_000, 100_000, 1_000_000):
            jobs.sql("TRUNCATE djup_jobs_job")
            jobs.sql(FINISHED.format(rows=rows))
            jobs.sql("ANALYZE djup_jobs_job")
            print(
                f"| the same, 1 process, {rows:,} finished rows | {rate(jobs, 1):.0f} |", flush=True
            )


if __name__ == "__main__":
    sys.exit(main())
