import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import SimpleTestCase
from djup_web import databases, env, errors, exits
from djup_web.databases import ALIVE, KEYS, SQLITE, connections

BASE_DIR = Path(settings.BASE_DIR)
STRONG = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
SERVER = {
    "SQL_ENGINE": "django.db.backends.postgresql",
    "SQL_DATABASE": "shop",
    "SQL_USER": "ann",
    "SQL_PASSWORD": " sp ace$ ",
    "SQL_HOST": "db",
}


def database(environ: env.Environ, debug: bool) -> dict[str, Any]:
    return databases.database(environ, debug, BASE_DIR)


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

    def test_trusted_origins(self) -> None:
        key, codespace = "CSRF_TRUSTED_ORIGINS", {"CODESPACE_NAME": "sunny"}
        self.assertEqual(env.trusted_origins({}, debug=True), [])
        found = env.trusted_origins(
            {key: "https://Shop.example.org, https://*.a.b:8443"}, debug=False
        )
        self.assertEqual(found, ["https://shop.example.org", "https://*.a.b:8443"])
        self.assertIn(
            "https://sunny-8000.app.github.dev", env.trusted_origins(codespace, debug=True)
        )
        self.assertEqual(env.trusted_origins(codespace, debug=False), [])
        # code-server without a domain of its own has a path alone.
        self.assertEqual(
            env.trusted_origins({"VSCODE_PROXY_URI": "./proxy/{{port}}"}, debug=True), []
        )
        for wrong in (
            "shop.example.org",
            "https://shop.example.org/",
            "*",
            "ftp://a.b",
            "https://",
        ):
            with self.assertRaisesMessage(ImproperlyConfigured, f"{key} has '{wrong}'"):
                env.trusted_origins({key: wrong}, debug=True)

    def test_hosts_of_trusted_origins_are_allowed_in_debug_alone(self) -> None:
        tunnel = {"CSRF_TRUSTED_ORIGINS": "https://*.a.b:8443,https://c.d"}
        self.assertEqual(env.allowed_hosts({}, debug=True), [])
        found = env.allowed_hosts(tunnel, debug=True)
        self.assertEqual(found, ["localhost", "127.0.0.1", "[::1]", ".a.b", "c.d"])
        tunnel["ALLOWED_HOSTS"] = "e.f"
        self.assertEqual(env.allowed_hosts(tunnel, debug=True), ["e.f", ".a.b", "c.d"])
        self.assertEqual(env.allowed_hosts(tunnel, debug=False), ["e.f"])

    def test_secret_key_is_random_in_debug_only(self) -> None:
        self.assertNotEqual(env.secret_key({}, debug=True), env.secret_key({}, debug=True))
        self.assertEqual(env.secret_key({"SECRET_KEY": "s"}, debug=True), "s")
        self.assertEqual(env.secret_key({"SECRET_KEY": STRONG}, debug=False), STRONG)

    def test_a_secret_key_that_can_be_guessed_is_refused_and_not_shown(self) -> None:
        for value, message in (
            ("", "SECRET_KEY is missing"),
            ("s3cr3t" * 8, "SECRET_KEY is too weak"),
            ("ab" * 30, "SECRET_KEY is too weak"),
            (f"django-insecure-{STRONG}", "SECRET_KEY is an example"),
            (f"Change-me-{STRONG}", "SECRET_KEY is an example"),
        ):
            with self.assertRaisesMessage(ImproperlyConfigured, message) as caught:
                env.secret_key({"SECRET_KEY": value}, debug=False)
            self.assertNotIn(value or "none", str(caught.exception))

    def test_former_secret_keys(self) -> None:
        found = env.secret_key_fallbacks({"SECRET_KEY_FALLBACKS": f"{STRONG}, {STRONG}"}, False)
        self.assertEqual(found, [STRONG, STRONG])
        self.assertEqual(env.secret_key_fallbacks({"SECRET_KEY_FALLBACKS": "s"}, True), ["s"])
        with self.assertRaisesMessage(ImproperlyConfigured, "SECRET_KEY_FALLBACKS is too weak"):
            env.secret_key_fallbacks({"SECRET_KEY_FALLBACKS": "s"}, False)

    def test_hosts_are_named_with_debug_off(self) -> None:
        self.assertEqual(env.allowed_hosts({"ALLOWED_HOSTS": "*"}, debug=True), ["*"])
        self.assertEqual(env.allowed_hosts({"ALLOWED_HOSTS": "a, b"}, debug=False), ["a", "b"])
        for value, state in (("", "is empty"), (" , ", "is empty"), ("a,*", "has * in it")):
            with self.assertRaisesMessage(ImproperlyConfigured, f"ALLOWED_HOSTS {state}"):
                env.allowed_hosts({"ALLOWED_HOSTS": value}, debug=False)


class FileTests(SimpleTestCase):
    """Secrets and settings that stand in files."""

    def setUp(self) -> None:
        self.file = Path(self.enterContext(tempfile.TemporaryDirectory()), "secret")

    def test_a_secret_is_read_from_the_file_that_is_named(self) -> None:
        self.file.write_text(" sp ace$ \n")
        self.assertEqual(env.secret({"KEY_FILE": str(self.file)}, "KEY"), " sp ace$ ")
        found = database(
            {**SERVER, "SQL_PASSWORD": "", "SQL_PASSWORD_FILE": str(self.file)}, debug=False
        )
        self.assertEqual(found["PASSWORD"], " sp ace$ ")
        self.assertEqual(env.secret({"KEY": "s", "KEY_FILE": ""}, "KEY"), "s")
        self.assertEqual(env.secret({}, "KEY"), "")

    def test_each_fault_of_a_file_is_one_sentence(self) -> None:
        environ = {"KEY_FILE": str(self.file)}
        named = f"KEY_FILE names {self.file}, which"
        for content, message in (
            (None, f"{named} cannot be read: No such file or directory."),
            (b"", f"{named} is empty."),
            (b"\n", f"{named} is empty."),
            (b"\xff", f"{named} cannot be read: it is not UTF-8."),
        ):
            if content is not None:
                self.file.write_bytes(content)
            with self.assertRaisesMessage(ImproperlyConfigured, message):
                env.secret(environ, "KEY")
        with self.assertRaisesMessage(ImproperlyConfigured, "KEY and KEY_FILE are both set"):
            env.secret({**environ, "KEY": "s"}, "KEY")

    def test_settings_of_a_file_stand_behind_those_that_are_set(self) -> None:
        environ = {"SETTINGS_FILE": str(self.file), "A": "environment"}
        self.file.write_text('{"A": "file", "B": "file"}')
        env.add_file(environ)
        self.assertEqual((environ["A"], environ["B"]), ("environment", "file"))

    def test_a_file_of_anything_else_is_refused_and_not_shown(self) -> None:
        for text in ("s3cr3t", '["s3cr3t"]', '{"A": 1}', '{"A": {"B": "s3cr3t"}}'):
            self.file.write_text(text)
            with self.assertRaisesMessage(ImproperlyConfigured, "one JSON object of str") as caught:
                env.add_file({"SETTINGS_FILE": str(self.file)})
            self.assertNotIn("s3cr3t", str(caught.exception))


class DatabaseTests(SimpleTestCase):
    def test_server(self) -> None:
        expected = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "shop",
            "USER": "ann",
            "PASSWORD": " sp ace$ ",
            "HOST": "db",
            "PORT": "5432",
            "OPTIONS": {"connect_timeout": 3, **ALIVE},
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
            ({**SERVER, "SQL_SSLMODE": "on"}, "SQL_SSLMODE is 'on'"),
            ({**SERVER, "SQL_SSLROOTCERT": "no.pem"}, "SQL_SSLROOTCERT names no.pem"),
        ]
        for environ, message in cases:
            with self.assertRaisesMessage(ImproperlyConfigured, message):
                database(environ, debug=False)

    def test_tls(self) -> None:
        tls = {"SQL_SSLMODE": "verify-full", "SQL_SSLROOTCERT": "manage.py"}
        expected = {
            "connect_timeout": 3,
            **ALIVE,
            "sslmode": "verify-full",
            "sslrootcert": str(BASE_DIR / "manage.py"),
        }
        self.assertEqual(database({**SERVER, **tls}, debug=False)["OPTIONS"], expected)
        for scheme in ("postgres", "postgresql"):
            url = f"{scheme}://ann:x@db/shop"
            found = database({**tls, "DATABASE_URL": url}, debug=False)
            self.assertEqual(found["OPTIONS"], expected)
            url += "?sslmode=require&sslrootcert=config/urls.py&application_name=a"
            found = database({**tls, "DATABASE_URL": url}, debug=False)["OPTIONS"]
            self.assertEqual((found["sslmode"], found["application_name"]), ("require", "a"))
            self.assertEqual(found["sslrootcert"], str(BASE_DIR / "config/urls.py"))

    def test_the_systems_authorities_are_found_where_python_finds_them(self) -> None:
        with mock.patch.dict(os.environ):
            os.environ.pop("SSL_CERT_DIR", None)
            os.environ["SSL_CERT_FILE"] = "/mine.pem"
            found = database({**SERVER, "SQL_SSLROOTCERT": "system"}, debug=False)
            self.assertEqual(found["OPTIONS"]["sslrootcert"], "system")
            self.assertEqual(os.environ["SSL_CERT_FILE"], "/mine.pem")
            self.assertTrue(os.environ["SSL_CERT_DIR"])

    def test_url(self) -> None:
        url = "postgres://a%40nn:%20s%2Fp%C3%A9%25@db.example:6543/sh%20op"
        found = database({**SERVER, "SQL_ENGINE": "", "DATABASE_URL": url}, debug=False)
        named = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")
        self.assertEqual(
            [found[name] for name in named],
            [SERVER["SQL_ENGINE"], "sh op", "a@nn", " s/p\u00e9%", "db.example", "6543"],
        )
        without_port = database({"DATABASE_URL": "postgres://a:b@db/shop"}, debug=False)
        self.assertEqual(without_port["PORT"], "5432")

    def test_url_of_sqlite(self) -> None:
        for url, name in (
            ("sqlite:///x.db", str(BASE_DIR / "x.db")),
            ("sqlite:////data/x", "/data/x"),
            ("sqlite://:memory:", ":memory:"),
            ("sqlite://", ":memory:"),
        ):
            expected = {"ENGINE": SQLITE, "NAME": name}
            self.assertEqual(database({"DATABASE_URL": url}, debug=False), expected)

    def test_an_error_shows_no_part_of_the_url(self) -> None:
        secret = "s3cr3t"
        urls = (secret, f"mysql://a:{secret}@db/shop", f"postgres://a:{secret}/x@db/shop")
        for url in (*urls, f"{secret}:a@db"):
            with self.assertRaisesMessage(ImproperlyConfigured, "DATABASE_URL ") as caught:
                database({"DATABASE_URL": url}, debug=False)
            self.assertNotIn(secret, str(caught.exception))

    def test_a_forgotten_engine_is_no_way_to_sqlite_even_in_debug(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "SQL_ENGINE is missing, but SQL_HOST"):
            database({"SQL_HOST": "db"}, debug=True)

    def test_connections_are_kept_where_threads_are(self) -> None:
        kept = {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
        pooled = {"DISABLE_SERVER_SIDE_CURSORS": True}
        straight = {"DISABLE_SERVER_SIDE_CURSORS": False}
        self.assertEqual(connections({}, production=False), straight)
        self.assertEqual(connections({"SQL_POOLED": "1"}, production=True), kept | pooled)


# As the containers of production are given it.
PRODUCTION = {
    **SERVER,
    "DEBUG": "0",
    "HTTPS": "1",
    "ALLOWED_HOSTS": "shop.example",
    "SECRET_KEY": STRONG,
}


class ManageTests(SimpleTestCase):
    def manage(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`manage.py` (showmigrations) with these variables alone in place of the stack's."""
        keys = (*KEYS, "DATABASE_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS")
        environ = {key: value for key, value in os.environ.items() if key not in keys}
        return subprocess.run(
            [sys.executable, "manage.py", *(command or ("showmigrations",))],
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

    def test_a_deployment_passes_djangos_own_check(self) -> None:
        checks = ("check", "--deploy", "--fail-level", "WARNING")
        ended = self.manage(*checks, **PRODUCTION)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("security.W004", self.manage(*checks, **PRODUCTION | {"HTTPS": ""}).stderr)

    def test_each_refusal_of_production_is_one_sentence(self) -> None:
        for changes, sentence in (
            ({"SECRET_KEY": "short"}, "SECRET_KEY is too weak"),
            ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS has *"),
            ({"SECRET_KEY_FILE": "/nonexistent"}, "SECRET_KEY and SECRET_KEY_FILE are both set"),
            ({"SETTINGS_FILE": "/nonexistent"}, "SETTINGS_FILE names /nonexistent, which cannot"),
        ):
            ended = self.manage(**PRODUCTION | changes)
            self.assertEqual((ended.returncode, ended.stdout), (exits.SETTINGS, ""))
            self.assertRegex(ended.stderr, rf"\A{re.escape(sentence)}.*\.\n\Z")

    def test_a_database_out_of_reach_is_said_with_what_to_type(self) -> None:
        ended = self.manage(DEBUG="1", **{**SERVER, "SQL_HOST": "127.0.0.1"}, SQL_PORT="1")
        self.assertEqual(ended.returncode, 1)
        self.assertNotIn("Traceback", ended.stderr)
        self.assertIn("database at 127.0.0.1 port 1: Connection refused.", ended.stderr)
        self.assertIn("`inv manage -- showmigrations`", ended.stderr)

    def test_a_database_that_refuses_is_not_nearer_by_another_command(self) -> None:
        said = 'connection to server failed: FATAL:  database "app" does not exist'
        message = errors.out_of_reach(OperationalError(said))
        self.assertIn("`inv doctor`", message)
        self.assertNotIn("inv manage", message)

    def test_a_failed_query_keeps_its_traceback(self) -> None:
        program = (
            "from django.db import OperationalError; from djup_web import errors;"
            "errors.install(); raise OperationalError('no such table')"
        )
        ended = self.python(program)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("Traceback", ended.stderr)
        self.assertIn("OperationalError: no such table", ended.stderr)

    def test_the_first_process_of_a_container_can_be_ended(self) -> None:
        program = (
            "import os, signal; ours = os.getpid(); os.getpid = lambda: 1;"
            "from djup_web import errors; errors.install();"
            "os.kill(ours, signal.SIGTERM); signal.pause()"
        )
        self.assertEqual(self.python(program).returncode, 128 + 15)

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
