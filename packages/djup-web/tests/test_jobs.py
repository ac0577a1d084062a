"""Jobs on a real PostgreSQL: what a worker's statements do, and workers that are killed."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.utils import timezone
from djup_web import request_id
from djup_web.jobs import queue, retry
from djup_web.jobs.api import TaskResultDoesNotExist, TaskResultStatus, task_backends, task_finished
from djup_web.jobs.backend import JobsBackend
from djup_web.jobs.models import Job, State
from djup_web.jobs.policy import Policy
from djup_web.jobs.slot import Options, Slot

from . import made_jobs
from .test_serve import on_postgresql

ROOT = Path(__file__).resolve().parent.parent
WORKER = "django.tasks.worker"
TASKS = {"default": {"BACKEND": "djup_web.jobs.backend.JobsBackend", "QUEUES": []}}


def goes_on(process: int) -> bool:
    """Whether a process runs; in a container, nobody may ask for one that has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class PolicyTests(SimpleTestCase):
    def test_the_pause_doubles_up_to_an_hour(self) -> None:
        pauses = [Policy(pause=10).pause_after(faults) for faults in (1, 2, 3, 1000)]
        self.assertEqual(pauses, [10, 20, 40, 3600])

    def test_a_policy_that_makes_no_sense_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            retry(attempts=0)


@override_settings(TASKS=TASKS)
class BackendTests(TestCase):
    def test_a_job_is_there_when_the_transaction_commits(self) -> None:
        with self.assertRaises(ZeroDivisionError), transaction.atomic():
            made_jobs.add.enqueue(1, 2)
            raise ZeroDivisionError
        self.assertEqual(Job.objects.count(), 0)

    def test_what_was_enqueued_can_be_read(self) -> None:
        with request_id.of("from-a-page"):
            enqueued = made_jobs.add.using(queue_name="slow", priority=7).enqueue(1, right=2)
        job = Job.objects.get()
        self.assertEqual((job.queue, job.priority, job.request_id), ("slow", 7, "from-a-page"))
        read = task_backends["default"].get_result(enqueued.id)
        self.assertEqual((read.args, read.kwargs), ([1], {"right": 2}))
        self.assertEqual(read.status, TaskResultStatus.READY)
        for unknown in (str(uuid.uuid4()), "no id"):
            with self.assertRaises(TaskResultDoesNotExist):
                task_backends["default"].get_result(unknown)

    def test_a_later_time_is_waited_for(self) -> None:
        moment = timezone.now() + timedelta(hours=1)
        result = made_jobs.add.using(run_after=moment).enqueue(1, 2)
        self.assertEqual(Job.objects.get().state, State.LATER)
        self.assertEqual(result.status, TaskResultStatus.READY)

    def test_a_missing_app_is_named(self) -> None:
        backend = JobsBackend("default", {})
        self.assertEqual(list(backend.check()), [])
        with patch("djup_web.jobs.backend.apps.is_installed", return_value=False):
            self.assertIn("INSTALLED_APPS", str(next(iter(backend.check())).hint))


@on_postgresql
@override_settings(TASKS=TASKS)
class SlotTests(TestCase):
    """One process of the worker, in this one and without its thread."""

    def setUp(self) -> None:
        self.slot = Slot("us", Options())
        silent = lambda record: False  # noqa: E731
        for name in ("django.tasks", "django_tasks"):
            twin = logging.getLogger(name)
            twin.addFilter(silent)
            self.addCleanup(twin.removeFilter, silent)

    def step(self, level: str = "INFO") -> str:
        """What is logged while a job runs."""
        with self.assertLogs(WORKER, level) as logged:
            self.slot.step()
        return "\n".join(logged.output)

    def test_a_job_runs_and_leaves_its_result(self) -> None:
        with request_id.of("from-a-page"):
            result = made_jobs.add.enqueue(1, 2)
        ended = []
        listener = lambda task_result, **_: ended.append(task_result.return_value)  # noqa: E731
        task_finished.connect(listener)
        self.addCleanup(task_finished.disconnect, listener)
        line = self.step()
        for part in (result.id, "made_jobs.add done", "attempt 1", "request from-a-page"):
            self.assertIn(part, line)
        result.refresh()
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertEqual((result.return_value, result.worker_ids, ended), (3, ["us"], [3]))
        self.assertEqual(request_id.current(), "")
        self.assertFalse(self.slot.step())

    def test_priority_goes_first_and_queues_apart(self) -> None:
        low, high = made_jobs.add.enqueue(1, 1), made_jobs.add.using(priority=9).enqueue(2, 2)
        made_jobs.add.using(queue_name="slow", priority=99).enqueue(3, 3)
        claimed = [queue.claim("us", ["default"], 9) for _ in range(3)]
        self.assertEqual([str(job.pk) for job in claimed if job], [high.id, low.id])

    def test_an_error_is_tried_again_and_then_dead(self) -> None:
        result = made_jobs.fail.enqueue()
        self.assertIn("ValueError", self.step("ERROR"))
        result.refresh()
        self.assertEqual((result.status, len(result.errors)), (TaskResultStatus.READY, 1))
        queue.tend()
        self.assertIn("is dead", self.step("ERROR"))
        result.refresh()
        self.assertEqual((result.status, result.attempts), (TaskResultStatus.FAILED, 2))
        told = result.errors[1].traceback
        self.assertIn("app:********@db", told)
        self.assertIs(result.errors[1].exception_class, ValueError)

    def test_no_task_ends_the_worker(self) -> None:
        for task in (made_jobs.unfit, made_jobs.leave):
            task.enqueue()
            self.step("ERROR")
        self.assertEqual(set(Job.objects.values_list("state", flat=True)), {State.LATER})

    def test_a_dead_workers_job_goes_to_another_which_is_told(self) -> None:
        result = made_jobs.add.enqueue(1, 2)
        lost = queue.claim("them", [], 60)
        assert lost
        self.assertFalse(self.slot.step())  # it is theirs
        queue.expire("them")
        with self.assertLogs(WORKER, "ERROR") as logged:
            queue_again, told = queue.tend()
            self.slot.tended = 0
            for one in told:
                self.slot.report(one)
        self.assertTrue(queue_again)
        self.assertIn("runs again", logged.output[0])
        self.step()
        result.refresh()
        self.assertEqual((result.attempts, result.worker_ids), (2, ["them", "us"]))
        # Whoever had it before, and was only slow, writes no more.
        self.assertFalse(queue.renew(lost, 60))
        self.assertFalse(queue.succeed(lost, "other"))
        self.assertFalse(queue.give_back(lost))

    def test_what_must_not_run_twice_is_dead_instead(self) -> None:
        result = made_jobs.once.enqueue()
        queue.claim("them", [], 60)
        queue.expire("them")
        (lost,) = queue.tend()[1]
        with self.assertLogs(WORKER, "ERROR"):
            self.slot.report(lost)
        result.refresh()
        self.assertEqual((result.status, result.attempts), (TaskResultStatus.FAILED, 1))
        self.assertIs(result.errors[0].exception_class, queue.WorkerLost)

    def test_a_job_given_back_has_lost_no_attempt(self) -> None:
        made_jobs.once.enqueue()
        job = queue.claim("us", [], 60)
        assert job
        self.assertTrue(queue.give_back(job))
        self.step()
        self.assertEqual(Job.objects.get().state, State.DONE)

    def test_a_queue_of_another_version_is_left_to_it(self) -> None:
        made_jobs.add.using(queue_name="of-tomorrow").enqueue(1, 2)
        with override_settings(TASKS={"default": {"BACKEND": TASKS["default"]["BACKEND"]}}):
            self.assertIn("another version", self.step("WARNING"))
        self.assertEqual(Job.objects.get().state, State.LATER)

    def test_a_listener_that_fails_ends_no_worker(self) -> None:
        made_jobs.add.enqueue(1, 2)
        listener = lambda **_: 1 / 0  # noqa: E731
        task_finished.connect(listener)
        self.addCleanup(task_finished.disconnect, listener)
        with self.assertLogs("django.dispatch", "ERROR"):
            self.step()
        self.assertEqual(Job.objects.get().state, State.DONE)

    def test_a_task_of_another_version_is_left_to_it(self) -> None:
        made_jobs.add.enqueue(1, 2)
        Job.objects.update(task="tests.made_jobs.of_tomorrow")
        self.assertIn("another version", self.step("WARNING"))
        job = Job.objects.get()
        self.assertEqual((job.state, job.attempts, job.workers), (State.LATER, 0, []))
        Job.objects.update(enqueued_at=Now() - timedelta(hours=2), run_after=Now())
        queue.tend()
        self.assertIn("There is no task", self.step("ERROR"))
        self.assertEqual(Job.objects.get().faults, 1)


@override_settings(TASKS=TASKS)
class TidyingTests(TestCase):
    def test_old_ones_go_and_dead_ones_stay_longer(self) -> None:
        month, now = timezone.now() - timedelta(days=30), timezone.now()
        for state, moment in (
            (State.DONE, month),
            (State.DONE, now),
            (State.DEAD, month),
            (State.READY, None),
        ):
            Job.objects.create(task="x", state=state, finished_at=moment)
        printed = StringIO()
        call_command("prune_jobs", stdout=printed)
        self.assertEqual(printed.getvalue(), "Deleted 1 finished jobs\n")
        self.assertEqual(Job.objects.count(), 3)


def end(worker: subprocess.Popen[str]) -> None:
    """End a worker, whatever a test has left of it."""
    worker.terminate()
    worker.wait()
    if worker.stdout:
        worker.stdout.close()


class AdminTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(get_user_model().objects.create_superuser("ann", password="x"))
        error = {"exception_class_path": "builtins.ValueError", "traceback": "<line 1>"}
        self.dead = Job.objects.create(task="a.dead", state=State.DEAD, faults=2, errors=[error])
        self.done = Job.objects.create(task="a.done", state=State.DONE)

    def test_shows_what_is_dead_and_why(self) -> None:
        page = self.client.get("/admin/djup_jobs/job/?state__exact=DEAD").content.decode()
        self.assertIn("a.dead", page)
        self.assertNotIn("a.done", page)
        page = self.client.get(f"/admin/djup_jobs/job/{self.dead.pk}/change/").content.decode()
        self.assertIn("<pre>&lt;line 1&gt;</pre>", page)

    def test_runs_the_dead_again(self) -> None:
        chosen = {"action": "run_jobs_again", "_selected_action": [self.dead.pk, self.done.pk]}
        page = self.client.post("/admin/djup_jobs/job/", chosen, follow=True).content.decode()
        self.assertIn("1 dead jobs will run again", page)
        self.dead.refresh_from_db()
        self.done.refresh_from_db()
        found = (self.dead.state, self.dead.faults, self.done.state)
        self.assertEqual(found, (State.READY, 0, State.DONE))


@on_postgresql
@override_settings(TASKS=TASKS)
class WorkerTests(TransactionTestCase):
    """Workers as processes of their own."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.notes = folder / "notes"
        self.health = folder / "health"

    def start(self, **variables: str) -> subprocess.Popen[str]:
        values = {
            **os.environ,
            "SQL_DATABASE": str(connection.settings_dict["NAME"]),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "DATABASE_URL": "",
            "WORKER_PROCESSES": "1",
            "WORKER_LEASE_SECONDS": "3",
            "HEALTH_FILE": str(self.health),
            **variables,
        }
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker", "--no-reload"],
            cwd=settings.BASE_DIR,
            env=values,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(end, worker)
        return worker

    def until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), end, self.noted())
            time.sleep(0.05)

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def begun(self) -> int:
        """The process that runs the job's first attempt."""
        self.until(lambda: bool(self.noted()))
        return int(self.noted()[0].split()[-1])

    def ended(self) -> Job:
        self.until(lambda: Job.objects.filter(state=State.DONE).exists())
        return Job.objects.get()

    def test_another_finishes_what_a_killed_process_had(self) -> None:
        made_jobs.note.enqueue(str(self.notes), 60)
        worker = self.start()
        os.kill(self.begun(), signal.SIGKILL)
        job = self.ended()
        self.assertEqual((job.attempts, job.faults), (2, 1))
        self.assertEqual(
            [line.split()[:2] for line in self.noted()][1:], [["begin", "2"], ["end", "2"]]
        )
        worker.terminate()
        self.assertIn("another takes its place", worker.communicate()[0])
        self.assertEqual(worker.returncode, 0)
        self.assertTrue(self.health.exists())

    def test_another_worker_takes_over_when_one_is_gone(self) -> None:
        made_jobs.note.enqueue(str(self.notes), 60)
        first = self.start()
        process = self.begun()
        self.start()
        first.kill()
        job = self.ended()
        self.assertEqual(job.attempts, 2)
        self.assertNotEqual(*(line.split()[-1] for line in self.noted()[:2]))
        self.assertFalse(goes_on(process))  # nor does it go on without its parent

    def test_a_long_job_keeps_its_lease_and_is_finished_before_the_end(self) -> None:
        made_jobs.note.enqueue(str(self.notes), 5)
        worker = self.start()
        self.begun()
        self.start()
        worker.terminate()
        printed = worker.communicate()[0]
        self.assertEqual((worker.returncode, Job.objects.get().attempts), (0, 1), printed)
        self.assertIn("note done", printed)

    def test_what_takes_longer_than_the_grace_is_given_back(self) -> None:
        made_jobs.note.enqueue(str(self.notes), 60)
        worker = self.start(WORKER_GRACE_SECONDS="4")
        self.begun()
        worker.terminate()
        self.assertIn("given back", worker.communicate()[0])
        job = Job.objects.get()
        self.assertEqual((job.state, job.faults), (State.READY, 0))

    def test_a_process_that_is_held_beyond_its_lease_is_killed(self) -> None:
        """As a machine that was cut off: its processes stand still, and then go on."""
        made_jobs.note.enqueue(str(self.notes), 60)
        self.start()
        process = self.begun()
        os.kill(process, signal.SIGSTOP)
        self.assertEqual(self.ended().attempts, 2)
        with self.assertRaises(ProcessLookupError):
            os.kill(process, signal.SIGCONT)

    def test_a_result_that_cannot_be_stored_is_an_error_of_the_job(self) -> None:
        made_jobs.unstorable.enqueue()
        worker = self.start()
        self.until(lambda: Job.objects.filter(state=State.LATER).exists())
        worker.terminate()
        self.assertNotIn("another takes its place", worker.communicate()[0])

    def test_the_first_start_that_fails_is_seen(self) -> None:
        worker = self.start(SQL_DATABASE="no_such_database")
        self.assertIn("no_such_database", worker.communicate()[0])
        self.assertEqual(worker.returncode, 69)
