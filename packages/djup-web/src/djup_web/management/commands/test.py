"""Django's test, which fails as well where it finds no test, or passes over some in silence."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import TestSuite

from django.conf import settings
from django.core.management.commands import test
from django.test.runner import DiscoverRunner, get_max_test_processes
from django.test.utils import get_runner, override_settings
from djup_web import own_code
from djup_web.unrun import PATTERN, unrun

NONE_FOUND = (
    "No tests were found, so this run fails: a test is a method test_… of a django.test.TestCase, "
    "in tests.py or test_….py of an app; check labels, tags and -k as well."
)


class Command(test.Command):
    def handle(self, *test_labels: str, **options: Any) -> None:
        if options.get("parallel") == "auto":
            options["parallel"] = get_max_test_processes()
        runner = strict(get_runner(settings, options["testrunner"]))(**options)
        with _uploads_aside():
            failed = runner.run_tests(test_labels)
        if failed:
            sys.exit(1)


@contextmanager
def _uploads_aside() -> Iterator[None]:
    """Have the tests' uploads go to a folder of their own, where djup says where uploads go."""
    if not os.environ.get("MEDIA_ROOT"):
        yield
        return
    with TemporaryDirectory() as folder, override_settings(MEDIA_ROOT=folder):
        yield


def strict(runner: type) -> type:
    """The project's runner, made strict if it is Django's, or made from that."""
    if not issubclass(runner, DiscoverRunner):
        return runner
    return type(runner.__name__, (Strict, runner), {})


class Strict(DiscoverRunner):
    """Counts what it found, and fails for none."""

    silent: Sequence[str] = ()

    def build_suite(
        self, test_labels: Sequence[str] | None = None, *arguments: Any, **kwargs: Any
    ) -> TestSuite:
        before = set(sys.modules)
        # Django 4.2 passes one argument more.
        suite = super().build_suite(test_labels, *arguments, **kwargs)
        if self.pattern in (None, PATTERN):
            self.silent = unrun(own_code.folder(), _loaded(before) if test_labels else None)
        if not suite.countTestCases():
            self.silent = [*self.silent, NONE_FOUND]
        return suite

    def suite_result(self, suite: TestSuite, result: Any, **kwargs: Any) -> int:
        for sentence in self.silent:
            print(sentence, file=sys.stderr)
        return super().suite_result(suite, result, **kwargs) + len(self.silent)


def _loaded(before: set[str]) -> list[Path]:
    """The files of the modules that were loaded since."""
    modules = [sys.modules[name] for name in set(sys.modules) - before]
    return [Path(file).resolve() for one in modules if (file := getattr(one, "__file__", None))]
