"""Processes that run the schedule, on PostgreSQL: entries of each second, in an app of the test."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from django.db import connection
from django.test import TransactionTestCase
from djup_web import own_code
from djup_web.schedule.entries import Entry
from djup_web.schedule.lock import Lock
from djup_web.schedule.models import Entry as Row
from djup_web.schedule.models import Outcome
from djup_web.schedule.scheduler import utc_now
from djup_web.schedule.service import Service
from djup_web.schedule.times import period

from .made_app import write_app
from .test_serve import on_postgresql

# Each run is a line: the number of the process, and the second.
ENTRIES = """
import os, pathlib, time
from djup_web.schedule import cron, every

def note(name):
    with pathlib.Path(__file__).with_name("runs").open("a") as file:
        file.write(f"{name} {os.getpid()} {time.time():.1f}\\n")

@every("1s")
def tick():
    note("tick")

@every("1s")
def fails():
    raise ValueError("no such luck")

@every("1h")
def slow():
    note("slow")
    while not pathlib.Path(__file__).with_name("end").exists():
        time.sleep(0.05)
    note("slept")
"""
TICK = Entry("tick", period("1h"), lambda: None)
# Read by both ends at once: how long a test waits for what takes a second or two.
PATIENCE = 20


@on_postgresql
class ServiceTests(TransactionTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        write_app(self.folder, {})
        (self.folder / "made_up/migrations/__init__.py").unlink()
        (self.folder / "made_up/migrations").rmdir()
        self.entries = self.folder / "made_up" / "schedule.py"
        self.entries.write_text(ENTRIES)
        self.runs = self.folder / "made_up" / "runs"

    def start(self, name: str, **variables: str) -> subprocess.Popen[bytes]:
        """A process whose output is in the file `name`."""
        with (self.folder / name).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "schedule"],
                cwd=own_code.folder(),
                env={**os.environ, **self.environment(), **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def environment(self) -> dict[str, str]:
        """This test's database, with DEBUG off: as in production, without a supervisor."""
        there = connection.settings_dict
        return {
            "DEBUG": "0",
            "SECRET_KEY": "0123456789" * 6,
            "ALLOWED_HOSTS": "example.org",
            "DATABASE_URL": "",
            "SQL_ENGINE": "django.db.backends.postgresql",
            "SQL_DATABASE": str(there["NAME"]),
            **{f"SQL_{key}": str(there[key]) for key in ("USER", "PASSWORD", "HOST", "PORT")},
            "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
            "DJANGO_SETTINGS_MODULE": "made_up_settings",
            "PYTHONUNBUFFERED": "1",
        }

    def said(self, name: str) -> str:
        return (self.folder / name).read_text()

    def until(self, true: Callable[[], object], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > until:
                logs = "\n".join(f"{file.name}:\n{file.read_text()}" for file in self.logs())
                self.fail(f"{what}\n{logs}")
            time.sleep(0.05)

    def logs(self) -> list[Path]:
        return [file for file in self.folder.iterdir() if file.is_file()]

    def until_said(self, name: str, pattern: str) -> None:
        said = re.compile(pattern)
        self.until(lambda: said.search(self.said(name)), f"{name} does not say: {pattern}")

    def noted(self, name: str = "tick") -> list[tuple[int, float]]:
        """The runs of an entry: by which process, and when."""
        lines = self.runs.read_text().splitlines() if self.runs.exists() else []
        found = (line.split() for line in lines)
        return [(int(pid), float(when)) for one, pid, when in found if one == name]

    def until_run_by(self, process: subprocess.Popen[bytes]) -> None:
        by = process.pid
        self.until(lambda: by in dict(self.noted()), f"{by} has run nothing")

    def test_another_takes_over_from_one_that_is_killed(self) -> None:
        first = self.start("first")
        self.until_run_by(first)
        second = self.start("second")
        self.until_said("second", "Another process runs the schedule")
        self.assertNotIn(second.pid, dict(self.noted()))
        first.kill()
        killed = time.time()
        self.until_run_by(second)
        taken = next(when for pid, when in self.noted() if pid == second.pid)
        self.assertLess(taken - killed, 5)
        times = [when for _, when in self.noted()]
        self.assertLessEqual(len(times), max(times) - min(times) + 2, times)  # one each second
        self.assertEqual(self.said("second").count("Another process runs the schedule"), 1)
        self.assertIn("ValueError: no such luck", self.said("second"))
        self.assertEqual(Row.objects.get(name="made_up.fails").error, "ValueError: no such luck")

    def test_a_lock_that_is_lost_is_said_and_taken_again(self) -> None:
        self.start("first", HEALTH_FILE=str(self.folder / "health"))
        self.until_said("first", "This process runs the schedule")
        self.end_session()
        self.until_said("first", "Lost the schedule's lock")
        count = len(self.noted())
        self.until(lambda: len(self.noted()) > count, "it does not go on")
        self.assertLess(time.time() - (self.folder / "health").stat().st_mtime, 5)

    def test_what_runs_without_the_lock_is_broken_off_when_another_has_it(self) -> None:
        """By a process that begins again: a thread cannot be ended."""
        first, another = self.start("first"), Lock({})
        self.addCleanup(another.release)
        self.until_run_by(first)
        Row.objects.filter(name="made_up.slow").update(next_run="2026-01-01T00:00Z")
        self.until(lambda: self.noted("slow"), "it does not catch up")
        self.end_session()
        self.until(another.take, "the lock is not free")
        self.until_said("first", "Broke off .*made_up.slow.*: another process may run it now")
        self.until_said("first", "Another process runs the schedule")
        another.release()
        count = len(self.noted())
        self.until(lambda: len(self.noted()) > count, "it does not take over again")
        self.assertIsNone(first.poll())
        self.assertEqual(Row.objects.get(name="made_up.slow").outcome, "running")

    def test_what_has_ended_is_written_down_by_one_that_has_lost_the_lock(self) -> None:
        """Or the process that has it now would repeat it."""
        service, another = Service({TICK.name: TICK}, {}), Lock({})
        for lock in (service.lock, another):
            self.addCleanup(lock.release)
        service.turn()
        Row.objects.update(next_run=utc_now())
        service.scheduler.tick()
        self.until(lambda: not service.scheduler.running, "it does not end")
        self.end_session()
        self.until(another.take, "the lock is not free")
        for _ in range(2):
            with self.assertLogs("djup_web.schedule"):
                service.turn()
        self.assertEqual(Row.objects.get().outcome, Outcome.DONE)

    def end_session(self) -> None:
        """End the session that holds the lock, as a server does that ends."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'djup schedule' AND datname = current_database()"
            )

    def test_sigterm_waits_for_what_runs(self) -> None:
        first = self.start("first")
        self.until_run_by(first)
        Row.objects.filter(name="made_up.slow").update(next_run="2026-01-01T00:00Z")
        self.until(lambda: self.noted("slow"), "it does not catch up")
        first.send_signal(signal.SIGTERM)
        self.until_said("first", "Waiting for .*made_up.slow")
        self.entries.with_name("end").touch()
        self.assertEqual(first.wait(PATIENCE), 0, self.said("first"))
        self.assertEqual(len(self.noted("slept")), 1)
        self.assertEqual(Row.objects.get(name="made_up.slow").outcome, "done")
        self.assertIn("nobody ran it: it runs now, once", self.said("first"))

    def test_a_change_of_the_code_starts_it_again(self) -> None:
        """With DEBUG; an error in it is waited out."""
        project = self.project()
        with (self.folder / "first").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "schedule"],
                cwd=project,
                env={**os.environ, **self.environment(), "DEBUG": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.until_said("first", "This process runs the schedule")
        self.write(project, "1 +")
        self.until_said("first", "waiting for a change")
        self.assertIn("SyntaxError", self.said("first"))
        self.write(project, ENTRIES.replace("tick", "tock"))
        self.until(lambda: "tock" in self.said("first"), "the new entry does not run")
        self.assertIn("made_up.tick is no longer in the code", self.said("first"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 0, self.said("first"))

    def project(self) -> Path:
        """The folder of the app as that of a project: the supervisor watches its files."""
        text = (own_code.folder() / "manage.py").read_text()
        (self.folder / "made_up" / "manage.py").write_text(text)
        settings = self.folder / "made_up_settings.py"
        config = own_code.folder()
        settings.write_text(f"import sys\nsys.path.append({str(config)!r})\n{settings.read_text()}")
        return self.folder / "made_up"

    def write(self, project: Path, text: str) -> None:
        part = project / "part"
        part.write_text(text)
        part.rename(project / "schedule.py")


@on_postgresql
class SwitchedOffTests(TransactionTestCase):
    def test_a_project_without_the_app_is_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = "from config.settings import *\nINSTALLED_APPS.remove('djup_web.schedule')\n"
            Path(folder, "without.py").write_text(settings)
            done = subprocess.run(
                [sys.executable, "manage.py", "schedule"],
                cwd=own_code.folder(),
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([folder, *sys.path]),
                    "DJANGO_SETTINGS_MODULE": "without",
                },
                capture_output=True,
                text=True,
            )
        self.assertEqual(done.returncode, 1)
        self.assertTrue(re.search('Add "djup_web.schedule" to INSTALLED_APPS', done.stderr))
