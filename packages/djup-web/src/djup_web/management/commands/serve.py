"""Wait for the database, migrate, serve: one process, so that Django is loaded once."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.management.commands.runserver import Command as Runserver
from django.core.management import CommandParser
from django.db import InterfaceError, OperationalError, connection
from django.utils import autoreload
from djup_web import debugger, exits, supervise
from djup_web.database import address, reason, unreachable
from djup_web.env import integer
from djup_web.migrating import migrate
from djup_web.migrations_state import MigrationsState, read_migrations
from djup_web.reloading import end_with_supervisor
from djup_web.wait import NoDatabase, wait_for


class Command(Runserver):
    help = "Waits for the database, migrates it and runs the development server."
    default_addr = "0.0.0.0"
    addr: str  # Set by runserver's handle().
    migrated = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(use_reloader=False)
        parser.add_argument(
            "--reload",
            action="store_true",
            dest="use_reloader",
            help="Exit with status 3 when the code changes; djup_web.supervise starts it again.",
        )
        parser.add_argument(
            "--no-migrate",
            action="store_false",
            dest="migrate",
            help="Serve at once, without waiting for the database or migrating it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        debugger.listen(os.environ, self.tell)
        # Runserver checks in its thread, whose death the process would outlive.
        if not options["skip_checks"]:
            self.check()
        if options["use_reloader"]:
            autoreload.autoreload_started.connect(reload_if_changed)
            end_with_supervisor()
        if options["migrate"]:
            self.wait_and_migrate(options["verbosity"])
        super().handle(*args, **{**options, "skip_checks": True, "insecure_serving": True})

    def wait_and_migrate(self, verbosity: int) -> None:
        seconds = integer(os.environ, "DB_WAIT_SECONDS", 60, low=0, high=86400)
        try:
            wait_for(connection, seconds, self.tell)
        except NoDatabase as error:
            exits.end(exits.NO_DATABASE, str(error))
        migrate(verbosity)
        connection.close()
        self.migrated = True

    def check_migrations(self) -> None:
        if self.migrated:
            return
        try:
            state = read_migrations()
        except (InterfaceError, OperationalError) as error:
            if not unreachable(error):
                raise
            self.tell(f"Cannot reach the database at {address()}: {reason(error)}.")
        else:
            self.tell_migrations(state)

    def tell_migrations(self, state: MigrationsState) -> None:
        if state.refusal:
            self.tell(f"Cannot migrate: {state.refusal}.")
        elif state.unapplied:
            self.tell(f"Not applied yet: {', '.join(state.unapplied)}. Run `inv migrate`.")

    def on_bind(self, server_port: int) -> None:
        host = f"[{self.addr}]" if ":" in self.addr else self.addr
        version = self.get_version()
        if self.migrated and supervise.READY in os.environ:
            Path(os.environ[supervise.READY]).touch()
        self.tell(f"Django {version} development server at http://{host}:{server_port}/")

    def tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def reload_if_changed(sender: autoreload.BaseReloader, **_: Any) -> None:
    """Catch a file saved while this process was starting, and while the reloader looks around for
    the first time: it sees those alone that are saved after."""
    ticks, before = sender.tick(), supervise.snapshot()
    now = supervise.fingerprint(before)
    if os.environ.get(supervise.FINGERPRINT, now) != now:
        autoreload.trigger_reload(str(supervise.HERE))

    def tick() -> Iterator[None]:
        next(ticks)
        for file, state in supervise.snapshot().items():
            if before.get(file, state) != state:
                autoreload.trigger_reload(str(file))
        yield
        yield from ticks

    sender.tick = tick  # type: ignore[method-assign]
