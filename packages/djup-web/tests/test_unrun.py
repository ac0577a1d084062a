"""Tests that Django's runner passes over: said, and never called a success."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from django.test import SimpleTestCase
from django.test.runner import DiscoverRunner
from djup_web import own_code
from djup_web.management.commands.test import NONE_FOUND, strict
from djup_web.unrun import unrun

HERE = Path(__file__).parent
OURS = ("--top-level-directory", str(HERE.parent), str(HERE))
METHOD = "from unittest import TestCase\nclass Case(TestCase):\n    def test_it(self): pass\n"
SILENT = {
    "a/tests.py": "def test_it(): assert False\n",
    "b/tests.py": "async def test_it(): assert False\n",
    "c/test_models.py": "class TestIt:\n    def test_it(self): assert False\n",
    "d/models_test.py": METHOD,
    "e/tests/test_models.py": METHOD,
    "f/tests.py": METHOD + "@mark\ndef test_more(): assert False\n",
}
HEARD = {
    "tests.py": METHOD,
    "g/tests/__init__.py": "",
    "g/tests/test_models.py": METHOD,
    "g/tests/test_broken.py": "def test_it(:\n",
    "g/tests/test_helpers.py": "def tested(): pass\nclass TestData: x = 1\n",
    "node_modules/x/tests.py": SILENT["a/tests.py"],
    ".venv/x/tests.py": SILENT["a/tests.py"],
    "env/pyvenv.cfg": "",
    "env/x/tests.py": SILENT["a/tests.py"],
}


class UnrunTests(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        for name, text in (SILENT | HEARD).items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        for app in "abcdefg":
            (self.folder / app / "__init__.py").touch()

    def test_names_each_file_that_django_passes_over_and_no_other(self) -> None:
        found = unrun(self.folder)
        self.assertEqual([one.partition(":")[0] for one in found], sorted(SILENT))
        self.assertIn("since e/tests/ has no __init__.py", found[4])

    def test_only_chosen_files_where_there_is_a_choice(self) -> None:
        chosen = [self.folder / "a/tests.py", self.folder / "tests.py"]
        self.assertEqual(len(unrun(self.folder, chosen)), 1)

    def test_none_of_ours(self) -> None:
        self.assertEqual(unrun(HERE), [])


class CommandTests(SimpleTestCase):
    def run_tests(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`manage.py test`, of tests that need no database."""
        argv = [sys.executable, "manage.py", "test", *arguments]
        environment = {**os.environ, "DEBUG": "1"}
        return subprocess.run(
            argv, cwd=own_code.folder(), env=environment, capture_output=True, text=True
        )

    def test_no_test_is_no_success(self) -> None:
        done = self.run_tests(*OURS, "-k", "no_such_test")
        self.assertEqual(done.returncode, 1)
        self.assertIn(NONE_FOUND, done.stderr)

    def test_some_are(self) -> None:
        done = self.run_tests(*OURS, "-k", "test_none_of_ours")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Ran 1 test ", done.stderr)

    def test_a_runner_of_another_kind_is_left_alone(self) -> None:
        self.assertIs(strict(object), object)
        mine = type("Mine", (DiscoverRunner,), {})
        self.assertTrue(issubclass(strict(mine), mine))
