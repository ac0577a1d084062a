from unittest import skipUnless

from django.db import InterfaceError, OperationalError, connection
from django.test import SimpleTestCase, TestCase
from djup_web.database import address, hopeless, reason, unreachable
from djup_web.testing import unreachable_database

REFUSED = (
    'connection to server at "db" (172.18.0.2), port 5432 failed: Connection refused\n'
    "\tIs the server running on that host and accepting TCP/IP connections?\n"
)
WRONG_PASSWORD = (
    'connection to server at "localhost" (::1), port 5432 failed: Connection refused\n'
    'connection to server at "localhost" (127.0.0.1), port 5432 failed: '
    'FATAL:  password authentication failed for user "ann"\n'
)
# psycopg 3, of a host with two addresses.
SEVERAL = (
    'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
    'FATAL:  password authentication failed for user "ann"\n'
    "Multiple connection attempts failed. All failures were:\n"
    "- host: 'localhost', port: '5432', hostaddr: '::1': connection failed: "
    'connection to server at "::1", port 5432 failed: Connection refused\n'
)
BAD = 'connection is bad: connection to server on socket "/s" failed: No such file or directory\n'
AT = 'connection to server at "db" (172.18.0.2), port 5432 failed: '
SERVER = f"{AT}FATAL:  "


class TextTests(SimpleTestCase):
    def test_reason_is_the_telling_line(self) -> None:
        wanted = 'password authentication failed for user "ann"'
        self.assertEqual(reason(OperationalError(WRONG_PASSWORD)), wanted)
        self.assertEqual(reason(OperationalError(SEVERAL)), wanted)
        for text in (REFUSED, f"connection failed: {REFUSED}"):
            self.assertEqual(reason(OperationalError(text)), "Connection refused")
        self.assertEqual(reason(OperationalError(BAD)), "No such file or directory")
        self.assertEqual(reason(OperationalError()), "OperationalError")

    def test_what_no_waiting_cures(self) -> None:
        for text in (
            WRONG_PASSWORD,
            SERVER + 'role "ann" does not exist',
            SERVER + 'database "shop" does not exist',
            SERVER + 'no pg_hba.conf entry for host "172.18.0.3", user "ann"',
            "server does not support SSL, but SSL was required",
            AT + "SSL error: certificate verify failed",
            AT + 'server certificate for "b" (and 1 other name) does not match host name "a"',
            AT + 'root certificate file "/ca.pem" does not exist',
        ):
            self.assertTrue(hopeless(OperationalError(text)), text)

    def test_what_waiting_cures(self) -> None:
        for text in (
            REFUSED,
            'could not translate host name "db" to address: Name does not resolve',
            SERVER + "the database system is starting up",
            SERVER + "the database system is shutting down",
            SERVER + "sorry, too many clients already",
        ):
            self.assertFalse(hopeless(OperationalError(text)), text)


class ConnectionTests(TestCase):
    def test_no_connection_is_unreachable(self) -> None:
        db = unreachable_database()
        with self.assertRaises(OperationalError) as caught:
            db.ensure_connection()
        self.assertTrue(unreachable(caught.exception))
        self.assertIn(address(db), (f"{db.settings_dict['HOST']} port 1", db.settings_dict["NAME"]))

    def test_a_failed_query_is_not(self) -> None:
        with self.assertRaises(Exception) as caught, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM no_such_table")
        self.assertFalse(unreachable(caught.exception))
        self.assertFalse(unreachable(InterfaceError("cursor already closed")))

    @skipUnless(connection.vendor == "postgresql", "SQLite has no server to end a connection")
    def test_an_ended_connection_is_unreachable(self) -> None:
        db = connection.copy()
        with self.assertRaises(OperationalError) as caught, db.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        self.assertTrue(unreachable(caught.exception))
        # psycopg2 calls it the one, psycopg 3 the other.
        with self.assertRaises((InterfaceError, OperationalError)) as again:
            db.cursor()
        self.assertTrue(unreachable(again.exception))
        db.close()

    @skipUnless(connection.vendor == "postgresql", "SQLite has no statement_timeout")
    def test_a_query_that_timed_out_is_not(self) -> None:
        with self.assertRaises(OperationalError) as caught, connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")
        self.assertFalse(unreachable(caught.exception))
