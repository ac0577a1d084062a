"""Starts whose migrations fail, each a process of its own on SQLite; two that migrate at once."""

import contextlib
import io
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from django.core.management import call_command
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from djup_web import exits, own_code
from djup_web.databases import SQLITE
from djup_web.management.commands.migrate import alone, has_sessions
from djup_web.migrating import migrate
from djup_web.testing import changed, database_down

from .made_app import FAILS, FIRST, NO_PARENT, TWO_LAST, migration, write_app
from .test_serve import END_SECONDS, on_postgresql, serve

CALLS_COMMAND = "[migrations.RunPython(lambda *_: management.call_command('loaddata'))]"
AFTER_MIGRATING = """
from django.apps import AppConfig
from django.db.models.signals import post_migrate

class MadeConfig(AppConfig):
    name = "made_up"

    def ready(self):
        post_migrate.connect(lambda **_: 1 / 0, sender=self, weak=False)
"""


class FailedMigrationTests(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "db.sqlite3"

    def start(self, migrations: Mapping[str, str], extra: str = "") -> tuple[int, str]:
        """The status and the output of a start that fails."""
        write_app(self.folder, migrations)
        (self.folder / "made_up" / "apps.py").write_text(extra)
        return self.start_again()

    def start_again(self) -> tuple[int, str]:
        server = serve(
            SQL_ENGINE=SQLITE,
            SQL_DATABASE=str(self.file),
            PYTHONPATH=str(self.folder),
            DJANGO_SETTINGS_MODULE="made_up_settings",
        )
        self.addCleanup(server.kill)
        printed, _ = server.communicate(timeout=END_SECONDS)
        return server.returncode, printed

    def by_hand(self, log: Path | str, *target: str) -> tuple[int, str]:
        """The same of a migrate that somebody types, whose caller says what to do."""
        made = {"SQL_ENGINE": SQLITE, "SQL_DATABASE": str(self.file), "MIGRATE_LOG": str(log)}
        where = {"PYTHONPATH": str(self.folder), "DJANGO_SETTINGS_MODULE": "made_up_settings"}
        done = subprocess.run(
            [sys.executable, "manage.py", "migrate", *target],
            cwd=own_code.folder(),
            env={**os.environ, "DEBUG": "1", **made, **where},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def query(self, statement: str) -> list[tuple[str]]:
        with contextlib.closing(sqlite3.connect(self.file)) as db, db:
            return db.execute(statement).fetchall()

    def kept(self) -> bool:
        return bool(self.query("SELECT name FROM sqlite_master WHERE name = 'made_up_kept'"))

    def test_an_atomic_one_leaves_nothing(self) -> None:
        bad = migration("0001_first", operations=FAILS)
        status, printed = self.start({**FIRST, "0002_bad": bad})
        sentence = "Migration made_up.0002_bad failed; the database is unchanged."
        self.assertIn("OperationalError: no such column: no_such_column\n" + sentence, printed)
        self.assertEqual((status, printed.splitlines()[-1]), (exits.NOT_MIGRATED, sentence))
        self.assertEqual(printed.count("Applying made_up.0001_first... OK"), 1)
        self.assertFalse(self.kept())

    def test_another_leaves_what_it_had_done(self) -> None:
        status, printed = self.start({"0001_bad": migration(operations=FAILS, atomic="False")})
        sentence = "Migration made_up.0001_bad failed; what it had done before the error stays."
        self.assertEqual((status, printed.splitlines()[-1]), (exits.NOT_MIGRATED, sentence))
        self.assertTrue(self.kept())

    def test_a_command_error_in_one_is_no_conflict(self) -> None:
        text = "from django.core import management\n" + migration(operations=CALLS_COMMAND)
        status, printed = self.start({"0001_bad": text})
        self.assertIn("Traceback", printed)
        self.assertIn("Migration made_up.0001_bad failed;", printed.splitlines()[-1])
        self.assertEqual(status, exits.NOT_MIGRATED)

    def test_an_error_after_the_last_one(self) -> None:
        status, printed = self.start(FIRST, AFTER_MIGRATING)
        self.assertIn("ZeroDivisionError", printed)
        sentence = "All migrations are applied, but a later step failed."
        self.assertEqual((status, printed.splitlines()[-1]), (exits.NOT_MIGRATED, sentence))

    def test_two_last_ones_in_djangos_words(self) -> None:
        status, printed = self.start(TWO_LAST)
        self.assertEqual(status, exits.MIGRATIONS_CONFLICT)
        self.assertEqual(
            printed,
            "Conflicting migrations detected; multiple leaf nodes in the migration graph: "
            "(0002_a, 0002_b in made_up).\n"
            "To fix them run 'python manage.py makemigrations --merge'\n",
        )

    def test_a_history_that_does_not_fit_is_one_sentence(self) -> None:
        self.start({**FIRST, "0002_bad": migration("0001_first", operations=FAILS)})
        self.query("UPDATE django_migrations SET name = '0002_bad' WHERE app = 'made_up'")
        sentence = "migration made_up.0002_bad is applied, but made_up.0001_first, "
        sentence += "which it depends on, is not.\n"
        self.assertEqual(self.start_again(), (exits.HISTORY, sentence))

    def test_a_parent_that_is_gone_is_one_sentence(self) -> None:
        status, printed = self.start(NO_PARENT)
        sentence = (
            "migration made_up.0003_third depends on made_up.0002_gone, which is not a file.\n"
        )
        self.assertEqual((status, printed), (exits.MIGRATION_MISSING, sentence))

    def test_a_file_that_is_no_python_keeps_its_traceback(self) -> None:
        status, printed = self.start({"0001_bad": "class Migration("})
        self.assertIn("Traceback", printed)
        sentence = "The migrations cannot be read: '(' was never closed (0001_bad.py, line 1)."
        self.assertEqual((status, printed.splitlines()[-1]), (exits.NOT_MIGRATED, sentence))

    def test_by_hand_the_traceback_goes_into_a_file(self) -> None:
        write_app(self.folder, {**FIRST, "0002_bad": migration("0001_first", operations=FAILS)})
        log = self.folder / "log"
        status, printed = self.by_hand(log)
        self.assertEqual(status, exits.NOT_MIGRATED)
        self.assertNotIn("Traceback", printed)
        sentence = "Migration made_up.0002_bad failed; the database is unchanged.\n"
        self.assertTrue(printed.endswith(f"no such column: no_such_column\n{sentence}"), printed)
        self.assertIn("Traceback (most recent call last):", log.read_text())
        status, printed = self.by_hand(log, "made_up")
        self.assertEqual(status, exits.NOT_MIGRATED)
        self.assertTrue(printed.endswith("migration named above failed.\n"), printed)
        for no_file in ("-", self.folder):
            status, printed = self.by_hand(no_file)
            self.assertIn("Traceback (most recent call last):", printed)
            self.assertEqual((status, printed.endswith(sentence)), (exits.NOT_MIGRATED, True))

    def test_by_hand_a_target_that_is_not_there_is_djangos_own_sentence(self) -> None:
        write_app(self.folder, FIRST)
        status, printed = self.by_hand("-", "no_such_app")
        self.assertEqual((status, len(printed.splitlines())), (1, 1), printed)


class LostDatabaseTests(TestCase):
    def test_is_no_failed_migration(self) -> None:
        printed = io.StringIO()
        with (
            database_down(),
            contextlib.redirect_stderr(printed),
            self.assertRaises(SystemExit) as caught,
        ):
            migrate(verbosity=0)
        self.assertEqual(caught.exception.code, exits.NO_DATABASE)
        self.assertRegex(printed.getvalue(), r"^Lost the database at .* while migrating: .*\.\n$")


@on_postgresql
class OneAtATimeTests(TransactionTestCase):
    """Two connections to the same server, each of which wants to migrate."""

    def setUp(self) -> None:
        self.first, self.second = changed(), changed()
        self.addCleanup(self.first.close)
        self.addCleanup(self.second.close)
        self.first.inc_thread_sharing()
        self.told: list[str] = []

    def is_free(self) -> bool:
        with alone(self.second, self.told.append):
            return not self.told

    def test_the_second_waits_for_the_first(self) -> None:
        with alone(self.first, self.told.append):
            threading.Timer(0.5, self.first.close).start()  # as its process is killed
            self.assertFalse(self.is_free())
        waiting = r"^Waiting for another migrate on this database to finish \(server process \d+\)$"
        self.assertEqual(len(self.told), 1)
        self.assertRegex(self.told[0], waiting)

    def test_a_failed_one_lets_go(self) -> None:
        with self.assertRaises(ZeroDivisionError), alone(self.first, self.told.append):
            raise ZeroDivisionError
        self.assertTrue(self.is_free())

    def test_migrate_waits_and_its_plan_does_not(self) -> None:
        with alone(self.first, self.told.append):
            call_command("migrate", plan=True, verbosity=0, stdout=io.StringIO())
            out = io.StringIO()
            threading.Timer(0.5, self.first.close).start()
            call_command("migrate", verbosity=0, stdout=out)
        self.assertIn("Waiting for another migrate", out.getvalue())
        self.assertTrue(self.is_free())

    def test_behind_a_pooler_there_is_no_session_to_hold_it(self) -> None:
        self.assertTrue(has_sessions(self.first))
        self.assertFalse(has_sessions(changed(DISABLE_SERVER_SIDE_CURSORS=True)))
