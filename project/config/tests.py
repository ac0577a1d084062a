import os
import subprocess
import sys

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from service import exits

from . import env
from .database import BASE_DIR, SQLITE, database

SERVER = {
    "SQL_ENGINE": "django.db.backends.postgresql",
    "SQL_DATABASE": "shop",
    "SQL_USER": "ann",
    "SQL_PASSWORD": " sp ace$ ",
    "SQL_HOST": "db",
}


class EnvTests(SimpleTestCase):
    def test_booleans_in_any_case(self) -> None:
        for text in ("1", "true", "Yes", "ON", " on "):
            self.assertIs(env.boolean({"DEBUG": text}, "DEBUG"), True, text)
        for text in ("0", "False", "no", "OFF", ""):
            self.assertIs(env.boolean({"DEBUG": text}, "DEBUG"), False, text)

    def test_any_other_boolean_is_named_with_what_is_allowed(self) -> None:
        for text in ("False!", "2", "t", "None"):
            with self.assertRaisesMessage(ImproperlyConfigured, f"DEBUG is '{text}': it must be"):
                env.boolean({"DEBUG": text}, "DEBUG")

    def test_integers_keep_their_bounds(self) -> None:
        self.assertEqual(env.integer({}, "N", 5, low=1, high=9), 5)
        self.assertEqual(env.integer({"N": "9"}, "N", 5, low=1, high=9), 9)
        for text in ("0", "10", "-1", "+5", "1_0", "5.0", "x", "\u0665"):
            with self.assertRaisesMessage(ImproperlyConfigured, "N is "):
                env.integer({"N": text}, "N", 5, low=1, high=9)

    def test_words(self) -> None:
        self.assertEqual(env.words({}, "ALLOWED_HOSTS"), [])
        self.assertEqual(env.words({"ALLOWED_HOSTS": "a, b,,"}, "ALLOWED_HOSTS"), ["a", "b"])

    def test_secret_key_is_random_in_debug_only(self) -> None:
        self.assertNotEqual(env.secret_key({}, debug=True), env.secret_key({}, debug=True))
        self.assertEqual(env.secret_key({"SECRET_KEY": "s"}, debug=False), "s")
        with self.assertRaisesMessage(ImproperlyConfigured, "SECRET_KEY is missing"):
            env.secret_key({"SECRET_KEY": ""}, debug=False)


class DatabaseTests(SimpleTestCase):
    def test_server(self) -> None:
        expected = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "shop",
            "USER": "ann",
            "PASSWORD": " sp ace$ ",
            "HOST": "db",
            "PORT": "5432",
            "OPTIONS": {"connect_timeout": 3},
        }
        self.assertEqual(database(SERVER, debug=False), expected)

    def test_socket_directory_and_port(self) -> None:
        found = database({**SERVER, "SQL_HOST": "/run/pg", "SQL_PORT": "6543"}, debug=False)
        self.assertEqual((found["HOST"], found["PORT"]), ("/run/pg", "6543"))

    def test_other_servers_get_no_option_of_postgresql(self) -> None:
        found = database({**SERVER, "SQL_ENGINE": "django.db.backends.mysql"}, debug=False)
        self.assertEqual(found["OPTIONS"], {})

    def test_no_key_is_sqlite_in_debug(self) -> None:
        for environ in ({}, dict.fromkeys(SERVER, "")):
            expected = {"ENGINE": SQLITE, "NAME": str(BASE_DIR / "db.sqlite3")}
            self.assertEqual(database(environ, debug=True), expected)

    def test_sqlite_by_name(self) -> None:
        for name in ("/data/x", ":memory:"):
            found = database({"SQL_ENGINE": SQLITE, "SQL_DATABASE": name}, debug=False)
            self.assertEqual(found["NAME"], name)

    def test_each_error_names_the_key(self) -> None:
        without = {key: {**SERVER, key: ""} for key in SERVER}
        cases = [
            ({}, f"SQL_ENGINE={SQLITE} uses SQLite"),
            (without["SQL_ENGINE"], "SQL_ENGINE is missing, but SQL_DATABASE"),
            (without["SQL_DATABASE"], "SQL_DATABASE is missing"),
            (without["SQL_USER"], "SQL_USER is missing"),
            (without["SQL_PASSWORD"], "SQL_PASSWORD is missing"),
            (without["SQL_HOST"], "SQL_HOST is empty"),
            ({**SERVER, "SQL_ENGINE": "postgres"}, "SQL_ENGINE is 'postgres'"),
            ({**SERVER, "SQL_ENGINE": "no.such.backend"}, "SQL_ENGINE is 'no.such.backend'"),
            ({**SERVER, "SQL_PORT": "x"}, "SQL_PORT is 'x'"),
            ({**SERVER, "SQL_PORT": "70000"}, "SQL_PORT is '70000'"),
        ]
        for environ, message in cases:
            with self.assertRaisesMessage(ImproperlyConfigured, message):
                database(environ, debug=False)

    def test_a_forgotten_engine_is_no_way_to_sqlite_even_in_debug(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "SQL_ENGINE is missing, but SQL_HOST"):
            database({"SQL_HOST": "db"}, debug=True)


class ManageTests(SimpleTestCase):
    def manage(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """`manage.py showmigrations` with these variables alone in place of the stack's."""
        keys = (*SERVER, "SQL_PORT", "DEBUG", "SECRET_KEY")
        environ = {key: value for key, value in os.environ.items() if key not in keys}
        return subprocess.run(
            [sys.executable, "manage.py", "showmigrations"],
            cwd=BASE_DIR,
            env={**environ, **variables},
            capture_output=True,
            text=True,
        )

    def test_a_wrong_setting_is_one_sentence(self) -> None:
        ended = self.manage(DEBUG="maybe")
        allowed = "0, 1, false, true, no, yes, off, on"
        self.assertEqual(ended.stderr, f"DEBUG is 'maybe': it must be one of {allowed}.\n")
        self.assertEqual((ended.returncode, ended.stdout), (exits.SETTINGS, ""))

    def test_a_database_out_of_reach_is_said_with_what_to_type(self) -> None:
        ended = self.manage(DEBUG="1", **{**SERVER, "SQL_HOST": "127.0.0.1"}, SQL_PORT="1")
        self.assertEqual(ended.returncode, 1)
        self.assertNotIn("Traceback", ended.stderr)
        self.assertIn("database at 127.0.0.1 port 1: Connection refused.", ended.stderr)
        self.assertIn("`inv manage -- showmigrations`", ended.stderr)

    def test_a_failed_query_keeps_its_traceback(self) -> None:
        code = (
            "import manage; from django.db import OperationalError;"
            "manage.explain(OperationalError('no such table'))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=BASE_DIR,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"},
            capture_output=True,
            text=True,
        )
        self.assertIn("Traceback", ended.stderr)
        self.assertIn("OperationalError: no such table", ended.stderr)
