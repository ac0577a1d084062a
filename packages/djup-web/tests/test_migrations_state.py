import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import SimpleTestCase, TestCase, override_settings
from djup_web import exits, own_code
from djup_web.databases import SQLITE
from djup_web.migrations_state import MigrationsState, current, known, read_migrations, several_last
from djup_web.testing import database_down

from .made_app import FIRST, NO_PARENT, TWO_LAST, installed_app, migration, write_app


class MigrationsStateTests(TestCase):
    def state(self, migrations: Mapping[str, str], *applied: str) -> MigrationsState:
        """With these migrations on disk and those recorded as applied."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(installed_app(Path(folder), migrations))
        for name in applied:
            MigrationRecorder(connection).record_applied("made_up", name)
        return read_migrations()

    def test_all_applied(self) -> None:
        self.assertEqual(self.state(FIRST, "0001_first"), MigrationsState())

    def test_waiting_ones_in_their_order(self) -> None:
        state = self.state({"0001_last": migration("0002_first"), "0002_first": migration()})
        self.assertEqual(state.unapplied, ["made_up.0002_first", "made_up.0001_last"])
        self.assertEqual(state.obstacle, "there are migrations to apply")
        self.assertEqual((state.refusal, current().unapplied), ("", state.unapplied))

    @override_settings(PRODUCTION=True)
    def test_where_the_code_stays_the_graph_is_kept_and_the_database_asked(self) -> None:
        self.addCleanup(known.clear)
        known.clear()
        first = current()
        with self.assertNumQueries(2):
            self.assertIs(current(), first)
        MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
        self.assertEqual(current().unapplied, ["sessions.0001_initial"])

    def test_unknown_ones_are_no_obstacle(self) -> None:
        MigrationRecorder(connection).record_applied("no_such_app", "0001_first")
        state = self.state(FIRST, "0003_b", "0001_first", "0002_a")
        self.assertEqual(state.unknown, ["made_up.0002_a", "made_up.0003_b"])
        self.assertEqual(state.obstacle, "")

    def test_squashed_ones_are_not_unknown(self) -> None:
        squash = migration(replaces="[('made_up', '0001_first'), ('made_up', '0002_a')]")
        state = self.state({"0001_squashed": squash}, "0001_first", "0002_a")
        self.assertEqual(state, MigrationsState())

    def test_partly_applied_squash_waits_for_the_rest(self) -> None:
        squash = migration(replaces="[('made_up', '0001_first'), ('made_up', '0002_a')]")
        files = {**FIRST, "0002_a": migration("0001_first"), "0001_squashed": squash}
        state = self.state(files, "0001_first")
        self.assertEqual((state.unapplied, state.unknown), (["made_up.0002_a"], []))

    def test_several_last_ones(self) -> None:
        state = self.state(TWO_LAST, "0001_first")
        self.assertEqual(state.conflicts, {"made_up": ["0002_a", "0002_b"]})
        self.assertEqual(sorted(state.unapplied), ["made_up.0002_a", "made_up.0002_b"])
        self.assertEqual(
            state.obstacle, "two migrations of made_up are both the last: 0002_a, 0002_b"
        )

    def test_more_than_two_last_ones(self) -> None:
        wanted = "3 migrations of made_up are all the last: a, b, c"
        self.assertEqual(several_last("made_up", ["a", "b", "c"]), wanted)

    def test_a_history_that_does_not_fit(self) -> None:
        state = self.state({**FIRST, "0002_a": migration("0001_first")}, "0002_a")
        wanted = "migration made_up.0002_a is applied, but made_up.0001_first, "
        wanted += "which it depends on, is not"
        self.assertEqual((state.refusal, state.status), (wanted, exits.HISTORY))

    def test_a_parent_that_is_gone(self) -> None:
        state = self.state(NO_PARENT)
        wanted = "migration made_up.0003_third depends on made_up.0002_gone, which is not a file"
        self.assertEqual((state.refusal, state.status), (wanted, exits.MIGRATION_MISSING))

    def test_a_file_that_is_no_python(self) -> None:
        state = self.state({"0001_first": "class Migration("})
        self.assertIn("cannot be read: '(' was never closed (0001_first.py, line 1)", state.refusal)

    def test_a_database_out_of_reach_is_not_part_of_the_state(self) -> None:
        with database_down(), self.assertRaises(OperationalError):
            read_migrations()


MODEL = "from django.db import models\nclass Made(models.Model):\n    x = models.IntegerField()\n"
CANNOT_BE_COMPARED = """\
from django.db import models
class Odd(models.IntegerField):
    def deconstruct(self):
        raise TypeError
class Made(models.Model):
    x = Odd()
"""
READ = """\
import django; django.setup()
from django.apps import apps
from djup_web import migrations_state
migrations_state.ours = lambda: [apps.get_app_config("made_up")]  # it lies in another folder
state = migrations_state.read_migrations()
print(state.unmade, state.broken)
"""


class ModelsWithoutMigrationTests(SimpleTestCase):
    def read(self, models: str, *, folder: bool = True) -> str:
        """What a development server would say of an app with these models."""
        where = Path(self.enterContext(tempfile.TemporaryDirectory()))
        write_app(where, FIRST if folder else {})
        (where / "made_up" / "models.py").write_text(models)
        if not folder:
            (where / "made_up" / "migrations" / "__init__.py").unlink()
            (where / "made_up" / "migrations").rmdir()
        env = {"DEBUG": "1", "SQL_ENGINE": SQLITE, "SQL_DATABASE": ":memory:"}
        env |= {"PYTHONPATH": str(where), "DJANGO_SETTINGS_MODULE": "made_up_settings"}
        argv = [sys.executable, "-c", READ]
        done = subprocess.run(
            argv, cwd=own_code.folder(), env={**os.environ, **env}, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_a_model_that_no_migration_makes(self) -> None:
        self.assertEqual(self.read(MODEL), "['made_up']")

    def test_one_of_an_app_that_has_no_folder_for_them(self) -> None:
        self.assertEqual(self.read(MODEL, folder=False), "['made_up']")

    def test_no_model(self) -> None:
        self.assertEqual(self.read(""), "[]")
        self.assertEqual(self.read("", folder=False), "[]")

    def test_one_that_cannot_be_compared_is_no_reason_not_to_serve(self) -> None:
        self.assertEqual(self.read(CANNOT_BE_COMPARED), "[]")
