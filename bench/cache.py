"""What a cache costs: memory, Valkey and the database, each on this machine's Docker engine.

    .venv/bin/python -m pip install -r requirements/base.txt redis
    .venv/bin/python bench/cache.py

Medians of 1,000 calls with a value of 1 kB. Between two machines a network comes on top, but for
memory. The database is asked with its table as the migrations make it, and with one that has a log.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CALLS, VALUE = 1000, "x" * 1000
ROWS = (0, 10_000)  # the setting's MAX_ENTRIES: each set counts the rows
POSTGRES, VALKEY = "postgres:18-alpine", "valkey/valkey:8-alpine"
FILL = """
    INSERT INTO djup_cache SELECT 'filled-' || n, repeat('x', 1350), now() + interval '1 day'
    FROM generate_series(1, %s) n
"""


@contextmanager
def container(image: str, port: int, *words: str) -> Iterator[str]:
    """Run an image, and give the port of this machine that leads to it."""
    argv = ["docker", "run", "--detach", "--rm", "--publish", f"127.0.0.1::{port}", *words, image]
    name = subprocess.check_output(argv, text=True).strip()
    try:
        found = subprocess.check_output(["docker", "port", name, str(port)], text=True)
        yield found.strip().rpartition(":")[2]
    finally:
        subprocess.run(["docker", "kill", name], stdout=subprocess.DEVNULL, check=False)


def median(call: Callable[[int], object]) -> float:
    """The median of a call, in ms."""
    times = []
    for number in range(CALLS):
        begun = time.perf_counter()
        call(number)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def measure(what: str, cache: Any) -> None:
    """Print a line of the table."""
    call = {
        "set": lambda n: cache.set(f"key-{n}", VALUE),
        "get": lambda n: cache.get(f"key-{n}"),
        "miss": lambda n: cache.get(f"none-{n}"),
    }
    found = [f"{median(one):.2f} ms" for one in call.values()]
    print(f"| {what} | {' | '.join(found)} |", flush=True)


def bench_database(cache: Any) -> None:
    """The table with rows of others in it, as it is and as it would be with a log."""
    from django.db import connection

    for kind, rows in ((kind, rows) for kind in ("UNLOGGED", "LOGGED") for rows in ROWS):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE djup_cache")
            cursor.execute(f"ALTER TABLE djup_cache SET {kind}")
            cursor.execute(FILL, [rows])
            cursor.execute("VACUUM ANALYZE djup_cache")
        log = ", with a log" if kind == "LOGGED" else ""
        measure(f"PostgreSQL, {rows:,} rows{log}", cache)


def settings(port: str) -> None:
    """Django's, of the starter on this server."""
    sys.path[:0] = [str(ROOT / "project"), str(ROOT / "packages/djup-web/src")]
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "1",
        "DATABASE_URL": f"postgres://postgres:bench@127.0.0.1:{port}/postgres",
    }
    import django

    django.setup()
    django.conf.settings.DEBUG = False  # or each query is kept
    from django.core.management import call_command
    from django.db import connection
    from djup_web.wait import wait_for

    wait_for(connection, 60, print)
    time.sleep(3)  # the image starts its server twice
    connection.close()
    wait_for(connection, 60, print)
    call_command("migrate", verbosity=0)


def main() -> None:
    """Measure one after the other."""
    with (
        container(POSTGRES, 5432, "--env", "POSTGRES_PASSWORD=bench") as database,
        container(VALKEY, 6379) as valkey,
    ):
        settings(database)
        from django.core.cache.backends.db import DatabaseCache
        from django.core.cache.backends.locmem import LocMemCache
        from django.core.cache.backends.redis import RedisCache

        print("| cache | set | get | miss |\n| --- | --- | --- | --- |")
        many = {"OPTIONS": {"MAX_ENTRIES": 1_000_000}}
        measure("memory of the process", LocMemCache("bench", many))
        measure("Valkey", RedisCache(f"redis://127.0.0.1:{valkey}/0", {}))
        bench_database(DatabaseCache("djup_cache", many))


if __name__ == "__main__":
    main()
