"""A migrate that waits for a lock: tried again when it was rolled back, and never otherwise."""

import contextlib
import io
import signal
import threading
import time
from collections.abc import Callable, Iterator
from unittest import mock

from django.db import connection, connections, migrations
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState
from django.test import TransactionTestCase
from djup_web import exits, holders, patience
from djup_web.failures import Failure
from djup_web.management.commands.migrate import one
from djup_web.testing import changed

from .test_serve import on_postgresql

LOCK = "LOCK TABLE locked_table IN ACCESS SHARE MODE"
ALTER = "ALTER TABLE locked_table ADD COLUMN more int"
COUNT = "INSERT INTO ran VALUES (1)"


def planned(*operations: object, atomic: bool = True) -> Migration:
    made = Migration("0001_planned", "throwaway")
    vars(made).update(operations=list(operations), atomic=atomic)
    return made


@on_postgresql
class PatienceTests(TransactionTestCase):
    def setUp(self) -> None:
        self.holder = changed()
        self.addCleanup(self.holder.close)
        for module, name, value in (
            (patience, "LOCK_SECONDS", 0.3),
            (patience, "PAUSES", (0.1,)),
            (holders, "SLOW_SECONDS", 0.05),
            (holders, "LOOK_SECONDS", 0.02),
        ):
            self.enterContext(mock.patch.object(module, name, value))
        self.run_sql("CREATE TABLE locked_table (x int); CREATE TABLE ran (x int)")
        self.addCleanup(self.run_sql, "DROP TABLE locked_table, ran")
        self.addCleanup(self.holder.close)  # before the tables go
        self.told: list[str] = []

    def run_sql(self, text: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(text)

    def rows(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ran")
            return int(cursor.fetchone()[0])

    @contextlib.contextmanager
    def held(self, statement: str = LOCK) -> Iterator[None]:
        """Meanwhile another session holds the table, until it is ended."""
        with self.holder.cursor() as cursor:
            cursor.execute(f"BEGIN; {statement}")
        try:
            yield
        finally:
            self.holder.close()

    def tell(self, line: str) -> None:
        self.told.append(line)

    def let_go_when_told(self, line: str) -> None:
        self.told.append(line)
        self.holder.inc_thread_sharing()
        self.holder.close()

    def apply(self, migration: Migration, tell: Callable[[str], object], seconds: int = 30) -> None:
        with (
            mock.patch.dict("os.environ", LOCK_WAIT_SECONDS=str(seconds)),
            one(connections["default"], tell),
            mock.patch.object(patience.PatientExecutor, "record_migration"),
        ):
            executor = patience.PatientExecutor(connections["default"])
            executor.apply_migration(ProjectState(), migration)

    def test_what_was_rolled_back_is_tried_again_and_done_once(self) -> None:
        code = migrations.RunPython(lambda apps, editor: editor.execute(COUNT))
        with self.held():
            self.apply(planned(code, migrations.RunSQL(ALTER)), self.let_go_when_told)
        self.assertEqual((len(self.told), self.rows()), (1, 1))
        self.assertIn("the lock on locked_table is held by server process", self.told[0])

    def test_of_one_that_is_not_atomic_the_statement_alone(self) -> None:
        counted = migrations.RunSQL(COUNT)
        with self.held():
            made = planned(counted, migrations.RunSQL(ALTER), atomic=False)
            self.apply(made, self.let_go_when_told)
        self.assertEqual((len(self.told), self.rows()), (1, 1))

    def test_of_one_that_is_not_atomic_an_operation_that_is(self) -> None:
        def work(apps: object, editor: object) -> None:
            self.run_sql(COUNT)
            self.run_sql(ALTER)

        with self.held():
            made = planned(migrations.RunPython(work, atomic=True), atomic=False)
            self.apply(made, self.let_go_when_told)
        self.assertEqual((len(self.told), self.rows()), (1, 1))

    def test_what_may_have_committed_is_not_tried_again(self) -> None:
        block = f"DO $$ BEGIN {COUNT}; COMMIT; {ALTER}; END $$"
        with self.held(), self.assertRaises(Failure) as caught:
            self.apply(planned(migrations.RunSQL([block]), atomic=False), self.tell)
        self.assertEqual((self.told, self.rows()), ([], 1))
        self.assertIn("its earlier changes stay", str(caught.exception))

    def test_several_rows_outside_a_transaction_are_not_tried_again(self) -> None:
        def work(apps: object, editor: object) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO ran SELECT x FROM (SELECT %s AS x) AS one", [[1], [2]]
                )
                cursor.executemany(ALTER, [[]])

        with self.held(), self.assertRaises(Failure):
            self.apply(planned(migrations.RunPython(work), atomic=False), self.tell)
        self.assertEqual((self.told, self.rows()), ([], 2))

    def test_in_the_end_it_names_the_holder_and_leaves_nothing(self) -> None:
        pid = holders.ask(self.holder, "SELECT pg_backend_pid()")[0][0]
        made = planned(migrations.RunSQL(COUNT), migrations.RunSQL(ALTER))
        with self.held(), self.assertRaises(Failure) as caught:
            self.apply(made, self.tell, seconds=1)
        said = str(caught.exception)
        self.assertEqual((caught.exception.returncode, self.rows()), (exits.LOCKED, 0))
        self.assertRegex(said, rf"locked_table is held by server process {pid} \(user .* idle in ")
        self.assertIn(f"last ran: BEGIN; {LOCK}), which select pg_terminate_backend({pid})", said)
        self.assertTrue(said.endswith("the database is unchanged."), said)

    def test_an_index_that_is_made_concurrently_is_given_the_whole_time(self) -> None:
        index = "CREATE INDEX CONCURRENTLY planned_index ON locked_table (x)"
        made = planned(migrations.RunSQL([index]), atomic=False)
        with (
            mock.patch.object(holders, "TELL_SECONDS", 0.5),
            self.held("LOCK TABLE locked_table IN ROW EXCLUSIVE MODE"),
        ):
            self.apply(made, self.let_go_when_told)
        self.assertEqual(len(self.told), 1)
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'planned_index'::regclass"
        self.assertEqual(holders.ask(connection, valid), [(True,)])

    def test_and_no_more_than_that(self) -> None:
        index = "CREATE INDEX CONCURRENTLY planned_index ON locked_table (x)"
        made = planned(migrations.RunSQL([index]), atomic=False)
        share = "LOCK TABLE locked_table IN ROW EXCLUSIVE MODE"
        with self.held(share), self.assertRaises(Failure) as caught:
            self.apply(made, self.tell, seconds=1)
        self.assertIn("inv doctor lists invalid indexes", str(caught.exception))

    def test_ctrl_c_ends_a_statement_that_is_at_work(self) -> None:
        def interrupt(line: str) -> None:
            signal.raise_signal(signal.SIGINT)

        began = time.monotonic()
        timer = threading.Timer(0.3, interrupt, [""])
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(KeyboardInterrupt):
            timer.start()
            self.apply(planned(migrations.RunSQL("SELECT pg_sleep(60)")), self.tell)
        self.assertLess(time.monotonic() - began, 30)

    def test_no_timeout_is_left(self) -> None:
        self.apply(planned(migrations.RunSQL(ALTER)), self.tell)
        self.assertEqual(holders.ask(connection, "SHOW lock_timeout"), [("0",)])
