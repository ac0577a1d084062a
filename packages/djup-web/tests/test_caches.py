from importlib.machinery import ModuleSpec
from unittest.mock import patch

from django.core.cache.backends.db import DatabaseCache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import SimpleTestCase, TestCase
from djup_web.caches import DATABASE, MEMORY, caches

from .test_serve import on_postgresql


class SettingTests(SimpleTestCase):
    def test_memory_in_development_and_the_database_in_production(self) -> None:
        self.assertEqual(caches({}, production=False), {"default": MEMORY})
        self.assertEqual(caches({"CACHE_URL": ""}, production=True), {"default": DATABASE})

    def test_a_word_chooses_one(self) -> None:
        self.assertEqual(caches({"CACHE_URL": "locmem://"}, production=True)["default"], MEMORY)
        self.assertEqual(caches({"CACHE_URL": "db://"}, production=False)["default"], DATABASE)

    def test_a_url_reaches_the_client_whole(self) -> None:
        for given, wanted in (
            ("redis://:p%40ss@cache:6380/2", "redis://:p%40ss@cache:6380/2"),
            (
                "valkeys://ann:s3@cache/0?ssl_cert_reqs=none",
                "rediss://ann:s3@cache/0?ssl_cert_reqs=none",
            ),
        ):
            with patch("djup_web.caches.find_spec", return_value=ModuleSpec("redis", None)):
                found = caches({"CACHE_URL": given}, production=False)["default"]
            self.assertEqual(found["LOCATION"], wanted)
            self.assertIn("RedisCache", found["BACKEND"])

    def test_what_is_wrong_is_named_without_the_password(self) -> None:
        for wrong in ("memcached://:s3cret@cache", "redis:s3cret", "redis://", "db://s3cret"):
            with self.assertRaisesRegex(ImproperlyConfigured, "must begin with one of") as caught:
                caches({"CACHE_URL": wrong}, production=False)
            self.assertNotIn("s3cret", str(caught.exception))

    def test_a_client_that_is_missing_is_named(self) -> None:
        with (
            patch("djup_web.caches.find_spec", return_value=None),
            self.assertRaisesRegex(ImproperlyConfigured, "needs the package redis"),
        ):
            caches({"CACHE_URL": "redis://cache"}, production=False)


class TableTests(TestCase):
    def test_the_migrations_have_made_it(self) -> None:
        cache = DatabaseCache(DATABASE["LOCATION"], {"OPTIONS": DATABASE["OPTIONS"]})
        cache.set("a", {"b": [1]})
        self.assertEqual(cache.get("a"), {"b": [1]})
        self.assertTrue(cache.add("c", 1))
        self.assertEqual(cache.incr("c"), 2)
        cache.clear()
        self.assertIsNone(cache.get("a"))

    @on_postgresql
    def test_it_is_like_djangos_and_past_the_log(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'djup_cache'")
            self.assertEqual(cursor.fetchone(), ("u",))
            columns = {
                column.name: (column.type_code, column.null_ok)
                for column in connection.introspection.get_table_description(cursor, "djup_cache")
            }
        self.assertEqual(list(columns), ["cache_key", "value", "expires"])
        self.assertFalse(any(null for _, null in columns.values()))
