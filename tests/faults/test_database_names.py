"""Names that every server has a database of: they work, and no row is left behind for another."""

import pytest
from stacks import Checkout, Make, Runtime

ROWS = "select string_agg(t, ',' order by t) from kept_here"


@pytest.mark.fault("DB04", "docker", "embedded")
def test_the_name_postgres(make: Make, runtime: Runtime) -> None:
    stack = make(runtime, name="named", SQL_DATABASE="postgres", SQL_USER="postgres")
    stack.inv("up")
    stack.sql("create table kept_here as select 'before' as t")
    backup = stack.inv("db.backup", "--verify").stdout.strip()
    stack.sql("insert into kept_here values ('later')")
    stack.inv("db.snapshot", "--name", "later")
    stack.inv("db.restore", backup)
    assert stack.sql(ROWS) == "before"
    stack.inv("undo")
    assert stack.sql(ROWS) == "before,later"
    stack.inv("db.restore", "later")
    stack.inv("nuke", "--yes")
    stack.inv("undo")
    assert stack.sql(ROWS) == "before,later" and "later" in stack.snapshots()
    stack.inv("down")
    stack.set("SQL_DATABASE", "another")
    assert "It has: postgres" in stack.refused("DB04")
    assert "DB04" in stack.found_by_doctor()
    stack.inv("db.create")
    stack.inv("up")
    stack.inv("nuke", "--yes")
    assert {"another", "postgres"} <= {one["database"] for one in stack.backups()[:6]}
    stack.inv("undo")
    stack.set("SQL_DATABASE", "postgres")
    stack.inv("up")
    assert stack.sql(ROWS) == "before,later"


@pytest.mark.fault("DB20", "docker", "embedded")
def test_from_another_name_to_postgres(stack: Checkout) -> None:
    """That database is there, and empty: the page would be, too."""
    before = stack.values["SQL_DATABASE"]
    stack.set("SQL_DATABASE", "postgres")
    assert f"the server also has {before}" in stack.refused("DB20")
    assert "DB20" in stack.found_by_doctor()
    stack.inv("down")
    stack.refused("DB20")
    stack.set("SQL_DATABASE", before)


def test_a_long_name_with_quotes(stack: Checkout) -> None:
    """Of 63 bytes there is but the beginning in the names of the databases beside it."""
    stack.set("SQL_DATABASE", "'Ä\"select " + "x" * 53 + "'")
    stack.inv("db.create")
    stack.inv("up")
    stack.sql("create table kept as select 'kept' as text")
    stack.inv("db.snapshot", "--name", "one")
    stack.inv("db.snapshot", "--name", "one")
    assert stack.snapshots() == ["one", "one~1"]
    stack.sql("drop table kept")
    stack.inv("db.restore", "one")
    assert stack.sql("select text from kept") == "kept"
    stack.inv("undo")
    assert stack.sql("select to_regclass('kept') is null") == "t"
