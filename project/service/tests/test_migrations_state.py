import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import TestCase, override_settings

from service import exits
from service.migrations_state import MigrationsState, current, known, read_migrations, several_last

from .broken import database_down
from .made_app import FIRST, NO_PARENT, TWO_LAST, installed_app, migration


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
        wanted = "migration made_up.0002_a is applied, and made_up.0001_first, which it needs, not"
        self.assertEqual((state.refusal, state.status), (wanted, exits.HISTORY))

    def test_a_parent_that_is_gone(self) -> None:
        state = self.state(NO_PARENT)
        wanted = "migration made_up.0003_third needs made_up.0002_gone, which is no file"
        self.assertEqual((state.refusal, state.status), (wanted, exits.MIGRATION_MISSING))

    def test_a_file_that_is_no_python(self) -> None:
        state = self.state({"0001_first": "class Migration("})
        self.assertIn("cannot be read: '(' was never closed (0001_first.py, line 1)", state.refusal)

    def test_a_database_out_of_reach_is_not_part_of_the_state(self) -> None:
        with database_down(), self.assertRaises(OperationalError):
            read_migrations()
