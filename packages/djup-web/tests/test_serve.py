import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import skipUnless

from django.db import connection
from django.test import SimpleTestCase, TransactionTestCase
from djup_web import exits, own_code
from djup_web.databases import SQLITE
from djup_web.testing import changed, unreachable_database
from djup_web.wait import NoDatabase, wait_for

from .made_app import SETTINGS, TWO_LAST, write_app

on_postgresql = skipUnless(connection.vendor == "postgresql", "SQLite has no server to wait for")

END_SECONDS = 60  # for a process to end: the machine may be busy with other suites


def serve(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "serve", "127.0.0.1:0", *arguments],
        cwd=own_code.folder(),
        env={**os.environ, "DEBUG": "1", "PYTHONUNBUFFERED": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@on_postgresql
class WaitTests(TransactionTestCase):
    def setUp(self) -> None:
        self.told: list[str] = []

    def test_a_database_that_answers_is_not_waited_for(self) -> None:
        db = changed()
        wait_for(db, 0, self.told.append)
        db.close()
        self.assertEqual(self.told, [])

    def test_an_unreachable_host_is_waited_for_within_bounds(self) -> None:
        message = r"at 127.0.0.1 port 1 after 1 s \(DB_WAIT_SECONDS\): Connection refused\.$"
        with self.assertRaisesRegex(NoDatabase, message):
            wait_for(unreachable_database(), 1, self.told.append)
        self.assertEqual(
            self.told,
            ["Waiting for the database at 127.0.0.1 port 1 (at most 1 s): Connection refused"],
        )

    def test_a_missing_database_is_said_at_once(self) -> None:
        with self.assertRaisesRegex(NoDatabase, r'database "no_such_one" does not exist\.$'):
            wait_for(changed(NAME="no_such_one"), 60, self.told.append)
        self.assertEqual(self.told, [])

    def test_a_wrong_password_is_said_at_once_and_not_shown(self) -> None:
        with self.assertRaises(NoDatabase) as caught:
            wait_for(changed(PASSWORD="wr0ng"), 60, self.told.append)
            self.skipTest("this server asks for no password")
        self.assertIn("password authentication failed", str(caught.exception))
        self.assertNotIn("wr0ng", str(caught.exception))


class ServeTests(SimpleTestCase):
    """In a process of its own, on SQLite: a database that each test can have to itself."""

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = Path(folder, "db.sqlite3")
        self.variables = {"SQL_ENGINE": SQLITE, "SQL_DATABASE": str(self.file)}

    def start(self, *arguments: str) -> tuple[subprocess.Popen[str], str]:
        """A server and its address, read from the line that it prints."""
        server, _, url = self.start_and_read(*arguments)
        return server, url

    def start_and_read(self, *arguments: str) -> tuple[subprocess.Popen[str], str, str]:
        """A server, what it printed before its address, and that."""
        server = serve(*arguments, **self.variables)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        assert server.stdout
        printed = ""
        for line in server.stdout:
            if found := re.search(r"http://\S+", line):
                return server, printed, found[0]
            printed += line
        raise AssertionError(printed)

    def refused(self, url: str) -> dict[str, Any]:
        """The answer, which is a 503."""
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        with caught.exception as answer:
            self.assertEqual(answer.code, 503)
            found: dict[str, Any] = json.load(answer)
        return found

    def test_migrates_serves_and_ends_at_sigterm(self) -> None:
        server, url = self.start()
        with urllib.request.urlopen(f"{url}readyz") as answer:
            self.assertEqual(answer.status, 200)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(timeout=END_SECONDS), 0)

    def test_no_migrate_leaves_the_database_alone(self) -> None:
        _, url = self.start("--no-migrate")
        self.refused(f"{url}readyz")
        self.assertFalse(self.file.stat().st_size)

    def test_a_wait_of_no_number_is_one_sentence(self) -> None:
        server = serve(**self.variables, DB_WAIT_SECONDS="soon")
        printed, _ = server.communicate(timeout=END_SECONDS)
        self.assertEqual(
            printed, "DB_WAIT_SECONDS is 'soon': it must be a number from 0 to 86400.\n"
        )
        self.assertEqual(server.returncode, exits.SETTINGS)

    def test_a_database_that_never_answers_is_one_sentence(self) -> None:
        self.variables["SQL_DATABASE"] = "/nonexistent/db.sqlite3"
        server = serve(**self.variables)
        printed, _ = server.communicate(timeout=END_SECONDS)
        wanted = "Cannot connect to the database at /nonexistent/db.sqlite3: "
        self.assertEqual(printed, f"{wanted}unable to open database file.\n")
        self.assertEqual(server.returncode, exits.NO_DATABASE)

    def with_app(self, migrations: Mapping[str, str], settings: str = SETTINGS) -> None:
        folder = self.file.parent
        write_app(folder, migrations)
        (folder / "made_up_settings.py").write_text(settings)
        self.variables.update(PYTHONPATH=str(folder), DJANGO_SETTINGS_MODULE="made_up_settings")

    def test_a_failed_check_is_the_last_thing_printed(self) -> None:
        self.with_app({}, SETTINGS + "STATICFILES_DIRS = 'static'\n")
        server = serve(**self.variables)
        printed, _ = server.communicate(timeout=END_SECONDS)
        self.assertRegex(printed, r"^SystemCheckError: (.*\n)+ERRORS:\n.*staticfiles.E001")
        self.assertIn("HINT", printed.splitlines()[-1])
        self.assertEqual(server.returncode, 1)

    def test_no_migrate_serves_with_migrations_that_do_not_fit(self) -> None:
        self.with_app(TWO_LAST)
        _, printed, url = self.start_and_read("--no-migrate")
        reason = "two migrations of made_up are both the last: 0002_a, 0002_b"
        self.assertEqual(printed, f"Cannot migrate: {reason}.\n")
        self.assertEqual(self.refused(f"{url}readyz")["reason"], reason)
