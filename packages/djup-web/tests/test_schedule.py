"""What is due, and what comes of each run: with a clock that the test sets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from importlib import import_module
from io import StringIO
from types import SimpleNamespace
from unittest.mock import patch
from zoneinfo import ZoneInfo

import django
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.test import SimpleTestCase, TransactionTestCase
from djup_web.additive import blocking
from djup_web.jobs.models import Job
from djup_web.schedule import entries
from djup_web.schedule.entries import Entry
from djup_web.schedule.lock import LOCK, Lock
from djup_web.schedule.models import Entry as Row
from djup_web.schedule.models import Outcome
from djup_web.schedule.scheduler import Scheduler
from djup_web.schedule.times import expression, period

from .test_serve import on_postgresql

NOON = datetime(2026, 3, 28, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
LOGGER = "djup_web.schedule"
SCHEDULER = "djup_web.schedule.scheduler"


def made_up_work() -> None:
    """The work of a job, which no worker does here."""


@contextmanager
def broken_at_its_end() -> Iterator[None]:
    """A transaction whose server ends before it is committed."""
    with transaction.Atomic(None, True, False):
        yield
        raise OperationalError("terminating connection")


class TimesTests(SimpleTestCase):
    def test_a_period_counts_from_midnight(self) -> None:
        moment = NOON.replace(minute=7, second=3, microsecond=5)
        self.assertEqual(period("10m").after(moment), NOON.replace(minute=10))
        self.assertEqual(period("1d").after(moment), NOON.replace(hour=0, day=29))
        self.assertEqual(period("30s").after(NOON), NOON.replace(second=30))

    def test_a_cron_expression_is_in_utc(self) -> None:
        times = expression("15 3 * * *", "UTC")
        self.assertEqual(times.after(NOON), datetime(2026, 3, 29, 3, 15, tzinfo=timezone.utc))
        self.assertEqual(times.text, "15 3 * * *")

    def test_a_zone_of_its_own_loses_no_day_to_summer_time(self) -> None:
        """On 2026-03-29 there is no 02:30 in Berlin, on 2026-10-25 there are two."""
        times, berlin = expression("30 2 * * *", "Europe/Berlin"), ZoneInfo("Europe/Berlin")
        for month, before in ((3, 28), (10, 24)):
            moment = datetime(2026, month, before, 12, tzinfo=timezone.utc)
            found = []
            for _ in range(3):
                following = times.after(moment)
                assert following
                found.append(following.astimezone(berlin).day)
                moment = following
            self.assertEqual(found, [before + 1, before + 2, before + 3])

    def test_what_is_wrong_is_named(self) -> None:
        for text in ("5", "m5", "0m", "1.5h", "", "9999999s"):
            with self.assertRaisesRegex(ImproperlyConfigured, "a period is a number"):
                period(text)
        for text, zone, reason in (
            ("61 * * * *", "UTC", "Bad minute"),
            ("often", "UTC", "Wrong number of fields"),
            ("0 0 30 2 *", "UTC", "no such day|Bad"),
            ("0 0 * * *", "Moon/Base", "No time zone found"),
        ):
            with self.assertRaisesRegex(ImproperlyConfigured, reason):
                expression(text, zone)


class EntriesTests(SimpleTestCase):
    def setUp(self) -> None:
        self.enterContext(patch.dict(entries._declared, clear=True))

    def test_a_function_keeps_its_name_and_stays_a_function(self) -> None:
        @entries.every("10m")
        def fetch() -> int:
            return 3

        self.assertEqual(fetch(), 3)
        self.assertEqual(list(entries._declared), [f"{__name__}.fetch"])
        fetch.__module__ = "shop.schedule"
        self.assertEqual(entries.name_of(fetch), "shop.fetch")

    def test_two_of_one_name_are_refused(self) -> None:
        entries.cron("15 3 * * *", name="shop.twice")(lambda: None)
        with self.assertRaisesRegex(ImproperlyConfigured, "two entries named shop.twice"):
            entries.every("1d", name="shop.twice")(lambda: None)

    def test_one_that_needs_arguments_is_refused(self) -> None:
        with self.assertRaisesRegex(ImproperlyConfigured, "without arguments: missing .*'days'"):
            entries.every("1d", name="shop.prune")(lambda days: None)

    def test_djups_own_are_there_and_can_be_replaced(self) -> None:
        self.assertEqual(entries.discover()["clearsessions"].times.text, "every 1d")
        entries.every("1h", name="clearsessions")(lambda: None)
        self.assertEqual(entries.discover()["clearsessions"].times.text, "every 1h")


class SchedulerTests(TransactionTestCase):
    """Each entry is due at every full minute."""

    def setUp(self) -> None:
        self.time = NOON
        self.runs: list[str] = []

    def scheduler(self, identity: str = "ours", **functions: Callable[[], object]) -> Scheduler:
        found = {name: Entry(name, period("1m"), target) for name, target in functions.items()}
        scheduler = Scheduler(found, identity, lambda: self.time)
        scheduler.take_over()
        return scheduler

    def noting(self, name: str = "one") -> Callable[[], None]:
        return lambda: self.runs.append(name)

    def go(self, scheduler: Scheduler, later: timedelta = MINUTE, but: str = "") -> None:
        """Let time pass, and all that is due then end, but for one."""
        self.time += later
        scheduler.tick()
        for thread in [one for name, one in list(scheduler.threads.items()) if name != but]:
            thread.join(5)
        scheduler.save()

    def test_runs_when_it_is_due_and_not_before(self) -> None:
        scheduler = self.scheduler(one=self.noting())
        self.go(scheduler, MINUTE / 2)
        self.assertEqual(self.runs, [])
        for _ in range(4):
            self.go(scheduler, MINUTE / 2)
        self.assertEqual(self.runs, ["one", "one"])
        row = Row.objects.get()
        self.assertEqual((row.outcome, row.due), (Outcome.DONE, NOON + 2 * MINUTE))
        self.assertEqual(row.next_run, NOON + 3 * MINUTE)

    def test_one_that_fails_is_logged_and_stops_no_other(self) -> None:
        def fails() -> None:
            raise SystemExit("redis://:s3cret@cache is away")

        async def waits() -> None:
            self.runs.append("async")

        scheduler = self.scheduler(a=fails, b=waits)
        with self.assertLogs(LOGGER) as logs:
            self.go(scheduler)
            self.go(scheduler)
        self.assertEqual(self.runs, ["async", "async"])
        failed = [record for record in logs.records if record.levelname == "ERROR"]
        self.assertEqual([record.getMessage() for record in failed], ["a failed", "a failed"])
        self.assertTrue(failed[0].exc_info)
        row = Row.objects.get(name="a")
        self.assertEqual(row.outcome, Outcome.FAILED)
        self.assertEqual(row.error, "SystemExit: redis://:********@cache is away")

    def test_missed_times_are_caught_up_once_and_said(self) -> None:
        self.scheduler(one=self.noting())
        self.time += timedelta(hours=2)
        scheduler = self.scheduler("another", one=self.noting())
        with self.assertLogs(LOGGER) as logs:
            self.go(scheduler, timedelta())
        message = "one was due at 2026-03-28T12:01:00+00:00 (1:59:00 ago) and nobody ran it: it"
        self.assertIn(message, logs.output[0])
        self.go(scheduler, timedelta(seconds=1))
        self.assertEqual(self.runs, ["one"])

    @on_postgresql
    def test_in_a_project_whose_times_have_no_zone(self) -> None:
        connection.close()
        with self.settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
            self.test_missed_times_are_caught_up_once_and_said()
            self.assertEqual(Row.objects.get().next_run, NOON + timedelta(hours=2, minutes=1))
        connection.close()

    def test_a_slow_one_holds_up_no_other_and_is_never_there_twice(self) -> None:
        end = threading.Event()
        scheduler = self.scheduler(slow=lambda: end.wait(10), quick=self.noting("quick"))
        with self.assertLogs(LOGGER) as logs:
            for _ in range(3):
                self.go(scheduler, but="slow")
            self.assertEqual(scheduler.running, ["slow"])
            end.set()
            self.go(scheduler)
        self.assertEqual(self.runs, ["quick"] * 4)
        left_out = [line for line in logs.output if "left out" in line]
        self.assertEqual(len(left_out), 1, logs.output)

    def test_what_two_believe_to_be_theirs_one_runs(self) -> None:
        both = [self.scheduler(name, one=self.noting()) for name in ("a", "b")]
        self.time += MINUTE
        rows = [Row.objects.get() for _ in both]
        for scheduler, row in zip(both, rows, strict=True):
            scheduler._consider(row, scheduler.entries["one"], self.time)
        for scheduler in both:
            self.go(scheduler, timedelta())
        self.assertEqual(self.runs, ["one"])

    def interrupted(self, *, again: bool = False) -> Scheduler:
        """Another process, after the first one was killed in the midst of a run."""
        self.scheduler(one=self.noting())
        claimed = {"outcome": Outcome.RUNNING, "holder": "killed", "started": self.time}
        Row.objects.update(**claimed, again=again)
        return self.scheduler("another", one=self.noting())

    def test_an_interrupted_one_runs_once_more(self) -> None:
        scheduler = self.interrupted()
        self.go(scheduler, timedelta(seconds=19))
        self.assertEqual(self.runs, [])  # the other may be about to end
        with self.assertLogs(LOGGER) as logs:
            self.go(scheduler, timedelta(seconds=1))
        self.assertIn("one was interrupted: it runs once more", logs.output[0])
        self.assertEqual((self.runs, Row.objects.get().outcome), (["one"], Outcome.DONE))

    def test_one_that_is_interrupted_again_waits_for_its_next_time(self) -> None:
        scheduler = self.interrupted(again=True)
        with self.assertLogs(LOGGER):
            self.go(scheduler, timedelta(seconds=20))
            self.assertEqual((self.runs, Row.objects.get().outcome), ([], Outcome.INTERRUPTED))
            self.go(scheduler)
        self.assertEqual(self.runs, ["one"])

    def test_what_is_broken_off_at_the_end_another_repeats_at_once(self) -> None:
        end = threading.Event()
        scheduler = self.scheduler(one=lambda: end.wait(10))
        self.time += MINUTE
        scheduler.tick()
        with self.assertLogs(LOGGER):
            scheduler.drain(0)
            self.go(self.scheduler("another", one=self.noting()), timedelta())
        self.assertEqual(self.runs, ["one"])
        end.set()

    def test_a_clock_that_is_set_back(self) -> None:
        scheduler = self.scheduler(one=self.noting())
        self.go(scheduler)
        self.time -= timedelta(seconds=30)
        self.go(scheduler, timedelta())
        self.go(scheduler, timedelta(seconds=29))
        self.assertEqual(self.runs, ["one"])  # not at 12:01 once more
        self.time -= timedelta(hours=3)
        with self.assertLogs(LOGGER) as logs:
            self.go(scheduler, timedelta())
            self.go(scheduler)
        self.assertIn("The clock was set back", logs.output[0])
        self.assertEqual(self.runs, ["one", "one"])

    def test_entries_that_are_gone_new_or_changed(self) -> None:
        self.scheduler(gone=self.noting(), stays=self.noting())
        scheduler = self.scheduler(new=self.noting(), stays=self.noting())
        with self.assertLogs(LOGGER) as logs:
            self.scheduler(stays=self.noting())
        self.assertIn("new is no longer in the code", logs.output[0])
        changed = Scheduler({"stays": Entry("stays", period("1h"), print)}, "x", lambda: self.time)
        changed.take_over()
        row = Row.objects.get()
        self.assertEqual((row.times, row.next_run), ("every 1h", NOON + timedelta(hours=1)))
        self.assertTrue(scheduler.entries)

    def test_a_task_is_enqueued_once_with_its_row(self) -> None:
        task = SimpleNamespace(enqueue=self.noting("enqueued"), func=print)
        scheduler = self.scheduler()
        scheduler.entries = {"one": Entry("one", period("1m"), task)}
        scheduler.take_over()
        with self.assertLogs(LOGGER):
            self.go(scheduler)
        self.assertEqual((self.runs, Row.objects.get().outcome), (["enqueued"], Outcome.ENQUEUED))

    def test_a_job_and_its_row_are_written_together(self) -> None:
        api = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")
        task = api.task(made_up_work)
        self.assertEqual(entries.name_of(task), f"{__name__}.made_up_work")
        scheduler = self.scheduler()
        scheduler.entries = {"one": Entry("one", period("1m"), task)}
        scheduler.take_over()
        with self.assertLogs(LOGGER):
            self.go(scheduler)
        self.assertEqual((Job.objects.count(), Row.objects.get().outcome), (1, Outcome.ENQUEUED))
        with self.assertLogs(LOGGER), patch(f"{SCHEDULER}.transaction.atomic", broken_at_its_end):
            self.go(scheduler)
        self.assertEqual((Job.objects.count(), Row.objects.get().outcome), (1, Outcome.FAILED))

    def test_the_admin_shows_it_and_changes_nothing(self) -> None:
        self.go(self.scheduler(one=self.noting()))
        user = get_user_model().objects.create_superuser("ann", "ann@example.org", "x")
        self.client.force_login(user)
        listed = self.client.get("/admin/djup_schedule/entry/")
        self.assertContains(listed, "every 1m")
        self.assertNotContains(listed, "/djup_schedule/entry/add/")
        shown = self.client.get("/admin/djup_schedule/entry/one/change/")
        self.assertContains(shown, "done")
        self.assertNotContains(shown, "_save")

    def test_the_table(self) -> None:
        self.go(self.scheduler(clearsessions=lambda: None))
        out = StringIO()
        call_command("scheduled", stdout=out)
        head, line, *_ = out.getvalue().splitlines()
        self.assertEqual(head.split(), ["entry", "when", "last", "run", "ended", "next", "run"])
        self.assertRegex(
            line, r"clearsessions +every 1m +2026-03-28 12:01:00 UTC +done after 0.0 s"
        )
        out = StringIO()
        call_command("scheduled", "--json", stdout=out)
        found = json.loads(out.getvalue())[0]
        self.assertEqual((found["name"], found["outcome"]), ("clearsessions", "done"))
        self.assertEqual(found["next_run"], "2026-03-28T12:02:00+00:00")


@on_postgresql
class MigrationTests(TransactionTestCase):
    def test_a_deployment_gets_the_tables_beside_its_old_code(self) -> None:
        found = MigrationLoader(connection).disk_migrations
        ours = [one for (app, _), one in found.items() if app in ("djup_cache", "djup_schedule")]
        self.assertEqual(len(ours), 2)
        self.assertEqual(blocking(ours), [])


@on_postgresql
class LockTests(TransactionTestCase):
    def test_one_has_it_until_its_session_ends(self) -> None:
        first, second = Lock({}), Lock({})
        self.addCleanup(first.release)
        self.addCleanup(second.release)
        self.assertTrue(first.take())
        self.assertFalse(second.take())
        self.assertTrue(first.check())
        first.release()
        self.assertTrue(second.take())
        with second.db.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        self.assertFalse(second.check())
        self.assertFalse(second.held)

    def test_a_pooler_is_gone_past(self) -> None:
        there = connection.settings_dict
        pooled = {"DISABLE_SERVER_SIDE_CURSORS": True, "HOST": "pooler.invalid", "PORT": "6432"}
        with patch.dict(there, pooled):
            with self.assertRaisesRegex(ImproperlyConfigured, "DATABASE_HOST and DATABASE_PORT"):
                Lock({})
            lock = Lock({"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": "1"})
        self.assertEqual(lock.db.settings_dict["HOST"], "127.0.0.1")
        self.assertEqual(lock.db.settings_dict["PORT"], "1")
