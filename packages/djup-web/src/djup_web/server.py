"""The production server: gunicorn, with an end that loses no request."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.core.servers.basehttp import get_internal_wsgi_application
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger

from . import static_files

# Longer than any proxy keeps an idle connection (Caddy: 2 minutes): who closes it first must be the
# one who knows that no request is on its way.
KEEPALIVE_SECONDS = 150
# What a request may take after the drain: with that, less than 30 seconds.
GRACEFUL_SECONDS = 25


@dataclass(frozen=True)
class Options:
    workers: int
    threads: int
    drain_seconds: int


class DrainingArbiter(Arbiter):
    """Goes on accepting for a while after SIGTERM: proxies hear of the end later than we do."""

    def __init__(self, app: BaseApplication, drain_seconds: int) -> None:
        super().__init__(app)
        self.drain_seconds = drain_seconds
        self.until: float | None = None

    def handle_term(self) -> None:
        # Told twice, it ends no sooner and no later.
        self.until = self.until or time.monotonic() + self.drain_seconds

    def wait_for_signals(self, timeout: float | None = 1.0) -> list[int]:
        if self.until is None:
            return super().wait_for_signals(timeout)
        if (left := self.until - time.monotonic()) <= 0:
            raise StopIteration  # as gunicorn's own handler of SIGTERM does
        return super().wait_for_signals(left if timeout is None else min(timeout, left))


class Log(Logger):
    """The server's own records go where all others go, in the same form."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


@dataclass(frozen=True)
class Bodiless:
    """An answer whose body stays unsent, and which ends as any other does."""

    answer: Any

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        if close := getattr(self.answer, "close", None):
            close()


def bodiless_to_head(application: Callable[..., Any]) -> Callable[..., Any]:
    """Django makes a body for HEAD as well. No server sends it; gunicorn would warn of each."""

    def answered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        answer = application(environ, start_response)
        return Bodiless(answer) if environ["REQUEST_METHOD"] == "HEAD" else answer

    return answered


class Server(BaseApplication):
    def __init__(self, options: Options) -> None:
        self.options = options
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": "0.0.0.0:8000",
            "worker_class": "gthread",
            "workers": self.options.workers,
            "threads": self.options.threads,
            "preload_app": True,  # the workers share what Django takes
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACEFUL_SECONDS,
            "control_socket_disable": True,
            "logger_class": Log,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        return static_files.served_before(bodiless_to_head(get_internal_wsgi_application()))

    def run(self) -> None:
        DrainingArbiter(self, self.options.drain_seconds).run()


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; does not return."""
    Server(options).run()
