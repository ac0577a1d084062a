"""CACHES: where `django.core.cache` keeps its values.

CACHE_URL is not read by a package: all of it is a word for the backend, and a URL that Django's own
backend hands to redis-py as it is. django-cache-url drops a user's name and the options of TLS.
"""

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .env import Environ

Cache = dict[str, Any]
BACKENDS = "django.core.cache.backends"
REDIS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
MEMORY: Cache = {"BACKEND": f"{BACKENDS}.locmem.LocMemCache"}
# Django's 300 would empty a third of the cache at every turn of a small site.
DATABASE: Cache = {
    "BACKEND": f"{BACKENDS}.db.DatabaseCache",
    "LOCATION": "djup_cache",
    "OPTIONS": {"MAX_ENTRIES": 10_000},
}
NONE: Cache = {"BACKEND": f"{BACKENDS}.dummy.DummyCache"}
WORDS = {"db": DATABASE, "locmem": MEMORY, "dummy": NONE}


def caches(environ: Environ, production: bool) -> dict[str, Cache]:
    """The setting: what CACHE_URL names, else the database in production, and memory without.

    The table in the database is that of the app `djup_web.cache`."""
    if url := environ.get("CACHE_URL", ""):
        return {"default": _from_url(url)}
    return {"default": DATABASE if production else MEMORY}


def _from_url(url: str) -> Cache:
    scheme, separator, rest = url.partition("://")
    if separator and not rest and scheme in WORDS:
        return WORDS[scheme]
    if not separator or not rest or scheme not in REDIS:  # the rest may hold a password
        known = ", ".join(f"{name}://" for name in (*REDIS, *WORDS))
        raise ImproperlyConfigured(f"CACHE_URL must begin with one of {known}.")
    if not find_spec("redis"):
        raise ImproperlyConfigured(
            "CACHE_URL needs the package redis: add it to your requirements, and lock them."
        )
    return {"BACKEND": f"{BACKENDS}.redis.RedisCache", "LOCATION": f"{REDIS[scheme]}://{rest}"}
