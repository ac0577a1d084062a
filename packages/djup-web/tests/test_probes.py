import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import skipUnless

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import SimpleTestCase, TestCase, override_settings
from djup_web import exits
from djup_web.probes import is_routine
from djup_web.testing import changed, database_down, default_connection

from .made_app import NO_PARENT, TWO_LAST, installed_app

NOTHING_KNOWN: dict[str, Any] = {
    "ready": False,
    "unapplied": [],
    "unknown": [],
    "unmade": [],
    "conflicts": {},
    "host_allowed": False,
}


@override_settings(ALLOWED_HOSTS=["example.org"], SECURE_SSL_REDIRECT=True)
class HealthzTests(SimpleTestCase):
    # No `databases`: a query would fail these tests.
    def test_whatever_the_host(self) -> None:
        for host in ("10.0.0.7", "no such host!", ""):
            answer = self.client.get("/healthz", headers={"host": host})
            self.assertEqual((answer.status_code, answer.json()), (200, {"status": "ok"}))

    def test_is_never_cached(self) -> None:
        self.assertIn("no-store", self.client.get("/healthz")["Cache-Control"])

    def test_reads_only(self) -> None:
        self.assertEqual(self.client.head("/healthz").status_code, 200)
        self.assertEqual(self.client.post("/healthz").status_code, 405)


class Unready(TestCase):
    def unready(self) -> dict[str, Any]:
        """The answer of /readyz, which is a 503 and, past debugging, a line in the log."""
        with self.assertLogs("djup_web.probes", logging.WARNING) as written:
            answer = self.client.get("/readyz")
        self.assertEqual((answer.status_code, len(written.records)), (503, 1))
        found: dict[str, Any] = answer.json()
        return found


@override_settings(ALLOWED_HOSTS=["example.org"], SECURE_SSL_REDIRECT=True)
class ReadyzTests(Unready):
    def test_ready_whatever_the_host(self) -> None:
        for host, allowed in (("example.org", True), ("10.0.0.7", False), ("no such!", False)):
            answer = self.client.get("/readyz", headers={"host": host})
            facts = {"unknown": [], "unmade": [], "conflicts": {}, "host_allowed": allowed}
            wanted = {"ready": True, **facts}
            self.assertEqual((answer.status_code, answer.json()), (200, wanted))

    def test_names_unapplied_migrations(self) -> None:
        MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
        found = self.unready()
        self.assertEqual(found["unapplied"], ["sessions.0001_initial"])
        self.assertEqual(found["reason"], "there are migrations to apply")

    def test_unknown_migrations_do_not_make_it_unready(self) -> None:
        MigrationRecorder(connection).record_applied("sessions", "0002_of_another_branch")
        answer = self.client.get("/readyz")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json()["unknown"], ["sessions.0002_of_another_branch"])

    def with_app(self, migrations: Mapping[str, str]) -> dict[str, Any]:
        """The answer, which is a 503, with these migrations on disk."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with installed_app(Path(folder), migrations):
            return self.unready()

    def test_names_conflicting_migrations(self) -> None:
        found = self.with_app(TWO_LAST)
        self.assertEqual(found["conflicts"], {"made_up": ["0002_a", "0002_b"]})
        self.assertIn("two migrations of made_up are both the last", found["reason"])

    def test_migrations_that_cannot_be_read_are_a_reason(self) -> None:
        found = self.with_app(NO_PARENT)
        self.assertIn("made_up.0002_gone, which is not a file", found.pop("reason"))
        self.assertEqual(found, {**NOTHING_KNOWN, "status": exits.MIGRATION_MISSING})

    def test_without_the_database_and_with_it_again(self) -> None:
        with database_down():
            found = self.unready()
        self.assertIn("the database does not answer", found.pop("reason"))
        self.assertEqual(found, NOTHING_KNOWN)
        self.assertEqual(self.client.get("/readyz").status_code, 200)


@skipUnless(connection.vendor == "postgresql", "SQLite has no server to end a connection")
class LostConnectionTests(Unready):
    def end_backend_of(self, db: BaseDatabaseWrapper) -> None:
        with db.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()
        with changed().cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", pid)

    def test_is_replaced_by_itself(self) -> None:
        db = changed()
        with default_connection(db):
            self.assertEqual(self.client.get("/readyz").status_code, 200)
            self.end_backend_of(db)
            self.unready()
            self.assertEqual(self.client.get("/readyz").status_code, 200)


class AccessLogTests(SimpleTestCase):
    def routine(self, *args: str) -> bool:
        record = logging.LogRecord("django.server", logging.INFO, "", 0, "%s", args, None)
        return is_routine(record)

    def test_probes_that_went_well_are_routine(self) -> None:
        self.assertTrue(self.routine("GET /healthz HTTP/1.1", "200", "16"))
        self.assertTrue(self.routine("HEAD /readyz HTTP/1.1", "200", "0"))

    def test_everything_else_is_logged(self) -> None:
        self.assertFalse(self.routine("GET /readyz HTTP/1.1", "503", "90"))
        self.assertFalse(self.routine("GET / HTTP/1.1", "200", "90"))
        self.assertFalse(self.routine("GET /healthz-x HTTP/1.1", "200", "90"))
        self.assertFalse(self.routine("- Broken pipe"))
        self.assertFalse(self.routine())
