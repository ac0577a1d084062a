"""Wait for the migrated database, serve: one process, so that Django is loaded once."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand
from django.db import connection
from djup_web import static_files
from djup_web.env import integer
from djup_web.server import Options, serve
from djup_web.wait import wait_or_end


class Command(BaseCommand):
    help = "Waits for the migrated database and runs the production server."

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # Of a run before, where the container was started again.
        Path(os.environ.get("READY_FILE") or "/tmp/web-ready").unlink(missing_ok=True)
        server = read_options()
        self.share_files()
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400)
        wait_or_end(connection, seconds, self.tell)
        connection.close()  # a process of its own has a connection of its own
        gc.freeze()  # or the workers' collector would write to, and so copy, what they share
        serve(server)

    def share_files(self) -> None:
        try:
            copied = static_files.share_with_proxy()
        except OSError as error:  # then this server serves them, more slowly
            self.tell(f"Static files are not shared with the proxy: {error}.")
        else:
            if copied is not None:
                self.tell(f"Shared {copied} new static files with the proxy")

    def tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def read_options() -> Options:
    return Options(
        workers=integer(os.environ, "WEB_WORKERS", 2, low=1, high=64),
        threads=integer(os.environ, "WEB_THREADS", 4, low=1, high=64),
        drain_seconds=integer(os.environ, "DRAIN_SECONDS", 3, low=0, high=60),
    )
