"""The settings of a project that djup did not write, with the environment's say over them."""

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import djup_web
from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase
from djup_web import adopted, errors, media

KEY = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"
DATABASE = {
    "SQL_ENGINE": "django.db.backends.postgresql",
    "SQL_DATABASE": "shop",
    "SQL_USER": "ann",
    "SQL_PASSWORD": "secret",
    "SQL_HOST": "db",
}
DEVELOPMENT = {"DJUP": "1", "DEBUG": "1", "SECRET_KEY": KEY, **DATABASE}
PRODUCTION = {
    **{"DJUP": "1", "DEBUG": "0", "PRODUCTION": "1", "HTTPS": "1", "SECRET_KEY": KEY},
    **{"ALLOWED_HOSTS": "shop.example.org", **DATABASE},
}
MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def configured(environ: dict[str, str], **settings: Any) -> dict[str, Any]:
    """These settings after the call, in a process with this environment alone."""
    with (
        mock.patch.dict("os.environ", environ, clear=True),
        mock.patch.object(errors, "install"),
    ):
        djup_web.configure(settings)
    return settings


class ConfigureTests(SimpleTestCase):
    def test_nothing_where_djup_did_not_start_it(self) -> None:
        theirs = {"DEBUG": True, "INSTALLED_APPS": ["shop"]}
        without = {key: value for key, value in DEVELOPMENT.items() if key != "DJUP"}
        self.assertEqual(configured(without, **theirs), theirs)

    def test_what_differs_between_machines_is_replaced(self) -> None:
        found = configured(PRODUCTION, DEBUG=True, SECRET_KEY="theirs", ALLOWED_HOSTS=["*"])
        self.assertIs(found["DEBUG"], False)
        self.assertEqual(found["SECRET_KEY"], KEY)
        self.assertEqual(found["ALLOWED_HOSTS"], ["shop.example.org"])

    def test_no_secret_and_no_database_is_asked_for_while_the_image_is_built(self) -> None:
        built = {"DJUP": "build", "DEBUG": "0", "PRODUCTION": "1", "SECRET_KEY": "build"}
        self.assertIs(configured(built)["DEBUG"], True)
        with self.assertRaises(ImproperlyConfigured):
            configured({**built, "DJUP": "1"})

    def test_a_cache_is_theirs_unless_they_ask_for_ours(self) -> None:
        self.assertNotIn("CACHES", configured(PRODUCTION, INSTALLED_APPS=["shop"]))
        asked = {"INSTALLED_APPS": ["shop", "djup_web.cache"]}
        found = configured(PRODUCTION, **asked)["CACHES"]["default"]
        self.assertEqual(found["LOCATION"], "djup_cache")
        theirs = {"default": {"BACKEND": "shop.cache"}}
        self.assertEqual(configured(PRODUCTION, **asked, CACHES=theirs)["CACHES"], theirs)

    def test_a_list_stays_a_list_and_a_tuple_a_tuple(self) -> None:
        for kind in (list, tuple):
            found = configured(DEVELOPMENT, INSTALLED_APPS=kind(["shop"]), MIDDLEWARE=kind(["x"]))
            self.assertEqual(found["INSTALLED_APPS"], kind(["djup_web", "shop"]))
            self.assertIsInstance(found["MIDDLEWARE"], kind)
            self.assertEqual(found["MIDDLEWARE"][-1], "x")

    def test_twice_is_once(self) -> None:
        """As where development imports everything from production, and both have the line."""
        once = configured(DEVELOPMENT, INSTALLED_APPS=["shop"], MIDDLEWARE=[])
        self.assertEqual(configured(DEVELOPMENT, **once), once)

    def test_an_empty_origin_is_none(self) -> None:
        """As of `environ["ORIGINS"].split(",")`, with an empty variable."""
        theirs = ["", "https://shop.example.org"]
        found = configured(PRODUCTION, CSRF_TRUSTED_ORIGINS=theirs)
        self.assertEqual(found["CSRF_TRUSTED_ORIGINS"], theirs[1:])

    def test_other_databases_and_what_is_not_about_the_place_stay(self) -> None:
        theirs = {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x", "ATOMIC_REQUESTS": 1},
            "archive": {"ENGINE": "django.db.backends.sqlite3", "NAME": "y"},
        }
        found = configured(DEVELOPMENT, DATABASES=theirs)["DATABASES"]
        self.assertEqual(found["archive"], theirs["archive"])
        self.assertEqual(found["default"]["HOST"], "db")
        self.assertEqual(found["default"]["ATOMIC_REQUESTS"], 1)
        self.assertEqual(found["default"]["ENGINE"], "django.db.backends.postgresql")

    def test_a_backend_on_postgresql_stays(self) -> None:
        gis = "django.contrib.gis.db.backends.postgis"
        options = {"options": "-c search_path=app", "sslmode": "disable", "pool": True}
        theirs = {"default": {"ENGINE": gis, "NAME": "x", "OPTIONS": options}}
        found = configured(DEVELOPMENT, DATABASES=theirs)["DATABASES"]["default"]
        self.assertEqual((found["ENGINE"], found["NAME"]), (gis, "shop"))
        self.assertEqual(found["OPTIONS"]["options"], "-c search_path=app")
        self.assertTrue({"sslmode", "pool"}.isdisjoint(found["OPTIONS"]))

    def test_options_of_another_database_do_not_reach_postgresql(self) -> None:
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {"isolation_level": None}}
        found = configured(DEVELOPMENT, DATABASES={"default": sqlite})["DATABASES"]["default"]
        self.assertNotIn("isolation_level", found["OPTIONS"])

    def test_a_database_url_that_was_made_of_the_keys_does_not_count(self) -> None:
        """In production its password is that of the settings file, its host may be a pooler's."""
        url = {"DATABASE_URL": "postgresql://x:x@pooler/x", adopted.BY_KEYS: "1"}
        found = configured({**PRODUCTION, **url})["DATABASES"]["default"]
        self.assertEqual((found["HOST"], found["NAME"]), ("db", "shop"))
        user = {"DATABASE_URL": "postgresql://x:x@elsewhere/x"}
        found = configured({**DEVELOPMENT, **user})["DATABASES"]["default"]
        self.assertEqual(found["HOST"], "elsewhere")

    def test_static_files_in_production_alone(self) -> None:
        self.assertNotIn("STORAGES", configured(DEVELOPMENT, BASE_DIR=Path("/srv")))
        found = configured(PRODUCTION, BASE_DIR=Path("/srv"))
        self.assertEqual(found["STATIC_ROOT"], Path("/srv/staticfiles"))
        self.assertEqual(found["STORAGES"]["staticfiles"]["BACKEND"], adopted.STORAGE)
        self.assertIn("default", found["STORAGES"])

    def test_storages_that_are_set_stay(self) -> None:
        theirs = {"staticfiles": {"BACKEND": MANIFEST}}
        found = configured(PRODUCTION, STORAGES=theirs, STATIC_ROOT="/collected")
        self.assertEqual((found["STORAGES"], found["STATIC_ROOT"]), (theirs, "/collected"))
        found = configured(PRODUCTION, STATICFILES_STORAGE=MANIFEST)
        self.assertNotIn("STORAGES", found)
        found = configured(PRODUCTION, DEFAULT_FILE_STORAGE="theirs.Storage")
        self.assertEqual(found["STORAGES"]["default"], {"BACKEND": "theirs.Storage"})
        self.assertNotIn("DEFAULT_FILE_STORAGE", found)

    def test_uploads_where_they_are_asked_for(self) -> None:
        theirs = {"MEDIA_ROOT": "/theirs", "MEDIA_URL": "/files/", "STATICFILES_STORAGE": MANIFEST}
        self.assertEqual(configured(PRODUCTION, **theirs)["MEDIA_ROOT"], "/theirs")
        files = Path("/srv/media/files")
        volume = {**PRODUCTION, "MEDIA_ROOT": "/srv/media/files"}
        found = configured(volume, DEFAULT_FILE_STORAGE="x", **theirs)
        self.assertEqual((found["MEDIA_ROOT"], found["MEDIA_URL"]), (files, "/files/"))
        self.assertEqual(found["STORAGES"]["default"]["BACKEND"], media.STORAGE)
        self.assertEqual(found["STORAGES"]["staticfiles"]["BACKEND"], MANIFEST)
        self.assertEqual(found["MIDDLEWARE"][0], adopted.FULL_DISK)
        once = configured(volume)
        self.assertEqual(configured(volume, **once), once)
        bucket = configured({**volume, "MEDIA": "s3://b"})["STORAGES"]
        self.assertEqual(bucket["default"]["BACKEND"], media.BUCKET)

    def test_logging_and_cookies_that_are_set_stay(self) -> None:
        theirs = {"LOGGING": {"version": 1}, "SESSION_COOKIE_NAME": "ours"}
        found = configured({**DEVELOPMENT, "COMPOSE_PROJECT_NAME": "shop-1"}, **theirs)
        self.assertEqual({key: found[key] for key in theirs}, theirs)
        self.assertEqual(found["CSRF_COOKIE_NAME"], "csrftoken_shop-1")
        self.assertEqual(configured(PRODUCTION)["LOGGING"]["root"]["level"], "INFO")

    def test_https_and_what_a_project_says_of_it(self) -> None:
        found = configured(PRODUCTION)
        self.assertIs(found["SESSION_COOKIE_SECURE"], True)
        self.assertEqual(found["SECURE_HSTS_SECONDS"], adopted.A_MONTH)
        found = configured(PRODUCTION, SECURE_HSTS_SECONDS=1)
        self.assertEqual(found["SECURE_HSTS_SECONDS"], 1)
        theirs = dict.fromkeys(adopted.OF_HTTPS, True)
        found = configured(DEVELOPMENT, **theirs)
        self.assertEqual([found[name] for name in theirs], [False] * 3)

    def test_a_key_that_the_project_reads_as_well(self) -> None:
        """Production has secrets as files; the variable is there for the project's settings."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(KEY)
            file.flush()
            both = {**PRODUCTION, "SECRET_KEY": "theirs", "SECRET_KEY_FILE": file.name}
            self.assertEqual(configured(both)["SECRET_KEY"], KEY)

    def test_a_weak_key_is_refused_in_production(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "SECRET_KEY is too weak"):
            configured({**PRODUCTION, "SECRET_KEY": "short"})
