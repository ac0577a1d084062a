"""Dumps that were made elsewhere, and files that are damaged or no dump at all."""

import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sessions import DROP_ASIDE
from stacks import Checkout, Docker, docker

from djup.data import dump_file

# Somebody else's database: owners, grants, default rights and policies of roles that will be gone.
THEIRS = r"""
create role "the owner"; create role reader; create role "o'brien";
\connect app@theirs
grant create on database "app@theirs" to "the owner";
create extension pg_trgm;
set role "the owner";
create schema shop;
create table shop.rows (i serial primary key, t text);
insert into shop.rows (t) select 'row ' || n || E'\n\\.\\connect x' from generate_series(1, 50) n;
create index on shop.rows (t);
grant select on shop.rows to reader with grant option;
grant usage on schema shop to reader, "o'brien";
set role reader; grant select on shop.rows to "o'brien"; set role "the owner";
alter default privileges in schema shop grant select on tables to reader;
alter table shop.rows enable row level security;
create policy mine on shop.rows for select to reader, "o'brien" using (t <> 'to nobody');
create materialized view shop.later as select * from shop.rows with no data;
reset role;
create index trigrams on shop.rows using gin (t public.gin_trgm_ops);
"""
GONE = r"""
drop database "app@theirs";
drop role reader, "o'brien", "the owner";
"""
IN_A_FOLDER = """
rm -rf /tmp/theirs; mkdir /tmp/theirs
pg_dump --format=directory --file=/tmp/theirs/d app@theirs
tar -C /tmp/theirs -c d && rm -r /tmp/theirs
"""
FORMATS = {
    "custom": ["--format=custom"],
    "tar": ["--format=tar"],
    "sql": ["--format=plain"],
    "create.sql": ["--format=plain", "--create"],
    "clean.sql": ["--format=plain", "--clean", "--create", "--inserts"],
}


def tool(stack: Checkout, *argv: str) -> bytes:
    """What one of PostgreSQL's programs prints, beside the stack's server."""
    names = ("SQL_USER", "SQL_PASSWORD")
    if isinstance(stack.runtime, Docker):
        line = ["docker", "exec", "--env", f"PGUSER={stack.values[names[0]]}"]
        line += [f"{stack.project}-db-1", *argv]
        return subprocess.run(line, capture_output=True, check=True).stdout
    line = [str(stack.root / "inv"), "shell", "--", "-c", 'exec "$0" "$@"', *argv]
    return subprocess.run(line, capture_output=True, check=True, cwd=stack.root).stdout


@pytest.fixture(scope="module")
def theirs(kept: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of dumps of a database and roles that this server does not have any more."""
    folder = tmp_path_factory.mktemp("theirs")
    kept.inv("up")
    kept.inv("db.snapshot", "--name", "theirs")  # with migrations, so that the web finds them
    kept.inv("psql", "--", "-v", "ON_ERROR_STOP=1", stdin=THEIRS)
    for name, flags in FORMATS.items():
        (folder / name).write_bytes(tool(kept, "pg_dump", *flags, "app@theirs"))
    (folder / "all.sql").write_bytes(tool(kept, "pg_dumpall"))
    packed = tool(kept, "sh", "-c", IN_A_FOLDER)
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    (folder / "sql.gz").write_bytes(gzip.compress((folder / "sql").read_bytes()))
    (folder / "sql.zst").write_bytes(dump_file.zstd().compress((folder / "sql").read_bytes()))
    kept.inv("psql", "--", "-v", "ON_ERROR_STOP=1", stdin=GONE)
    return folder


@pytest.fixture(scope="module")
def shared(kept: Checkout) -> Iterator[Checkout]:
    kept.inv("db.snapshot", "--name", "ours")
    yield kept
    kept.script(DROP_ASIDE)


@pytest.fixture
def stack(shared: Checkout) -> Iterator[Checkout]:
    yield shared
    shared.assert_kept()


FOUND = """
select count(*), max(i), nextval('shop.rows_i_seq'), (select count(*) from pg_roles),
  (select min(tableowner) from pg_tables where schemaname = 'shop') = current_user,
  exists (select from pg_extension where extname = 'pg_trgm') from shop.rows
"""


def test_dumps_from_elsewhere(stack: Checkout, theirs: Path) -> None:
    roles = stack.sql("select count(*) from pg_roles")
    for name in ("custom", "tar", "d", "sql", "sql.gz", "sql.zst", "create.sql", "clean.sql"):
        stack.inv("db.restore", str(theirs / name))
        assert stack.sql(FOUND) == f"50|50|51|{roles}|t|t", name
        stack.sql("drop schema shop cascade")
    stack.inv("db.restore", "ours")


def cut(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def flip(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


Damage = Callable[[bytes], bytes]
DAMAGED: list[tuple[str, str, Damage]] = [
    ("BAK04", "sql", cut),
    ("BAK04", "sql.gz", cut),
    ("BAK04", "sql.gz", flip),
    ("BAK04", "sql.zst", cut),
    ("BAK07", "custom", cut),
    ("BAK04", "tar", cut),
    ("BAK02", "sql", lambda whole: b""),
    ("BAK02", "custom", lambda whole: bytes(range(255, -1, -1)) * 9),
    ("BAK07", "sql", lambda whole: b"<html>Not found</html>\n"),
    ("BAK05", "all.sql", bytes),
    ("BAK18", "custom", lambda whole: whole[:6] + b"\x63" + whole[7:]),  # of version 1.99
    ("BAK07", "sql", lambda whole: whole.replace(b"NOT EXISTS pg_trgm", b"NOT EXISTS nowhere")),
]


@pytest.mark.fault("BAK02", "docker", "embedded")
@pytest.mark.fault("BAK04", "docker", "embedded")
@pytest.mark.fault("BAK05", "docker", "embedded")
@pytest.mark.fault("BAK07", "docker", "embedded")
@pytest.mark.fault("BAK18", "docker", "embedded")
def test_files_that_cannot_be_restored(stack: Checkout, theirs: Path, tmp_path: Path) -> None:
    for code, name, damage in DAMAGED:
        file = tmp_path / f"damaged {name}"
        file.write_bytes(damage((theirs / name).read_bytes()))
        assert str(file) in stack.refused(code, "db.restore", str(file))


@pytest.mark.fault("BAK02", "docker", "embedded")
def test_a_folder_that_is_no_dump(stack: Checkout, tmp_path: Path) -> None:
    assert "without a toc.dat" in stack.refused("BAK02", "db.restore", str(tmp_path))


@pytest.mark.fault("BAK03", "docker", "embedded")
def test_a_backup_that_was_damaged(stack: Checkout) -> None:
    path = Path(stack.inv("db.backup").stdout.strip())
    whole = path.read_bytes()
    for damage in (cut, flip):
        path.write_bytes(damage(whole))
        said = stack.refused("BAK03", "db.restore", path.stem)
        assert ("its contents have changed" in said) == (damage is flip)
    path.unlink()


@pytest.mark.fault("BAK07", "docker", "embedded")
def test_a_restore_that_fails_half_way(stack: Checkout) -> None:
    """Rows that only the database of before would take."""
    stack.sql("create table ours as select 1 as n")
    stack.sql("alter table ours add check (current_database() = 'app')")
    path = Path(stack.inv("db.backup").stdout.strip())
    said = stack.refused("BAK07", "db.restore", path.stem)
    assert "violates check constraint" in said
    assert stack.sql("select n from ours") == "1"
    assert stack.sql("select count(*) from pg_database where datname ~ '@part-'") == "0"
    stack.sql("drop table ours")


@pytest.mark.fault("BAK08", "docker", "embedded")
def test_a_backup_that_gives_something_else_back(stack: Checkout) -> None:
    stack.sql("create materialized view ours as select 1 where current_database() = 'app'")
    said = stack.refused("BAK08", "db.backup", "--verify")
    assert "table public.ours: 1 rows before, 0 after" in said
    assert not stack.backups()[0]["verified"]
    stack.sql("drop materialized view ours")


@pytest.mark.fault("BAK06", "docker", "embedded")
@pytest.mark.fault("BAK16", "docker", "embedded")
def test_a_table_that_is_damaged(stack: Checkout) -> None:
    """Neither a backup is made of it, nor does a nuke go on without one."""
    stack.sql("create table torn as select 1 as n")
    path = "select current_setting('data_directory') || '/' || pg_relation_filepath('torn')"
    file = stack.sql(path)
    stack.sql("checkpoint")
    if isinstance(stack.runtime, Docker):
        docker("exec", f"{stack.project}-db-1", "rm", file)
    else:
        Path(file).unlink()
    before = [one["dump"] for one in stack.backups()]
    stack.refused("BAK06", "db.backup")
    stack.refused("BAK16", "nuke", "--yes")
    assert [one["dump"] for one in stack.backups()] == before
    stack.sql("drop table torn")


@pytest.mark.fault("BAK01", "docker", "embedded")
def test_a_name_that_is_nowhere(stack: Checkout) -> None:
    assert "nowhere" in stack.refused("BAK01", "db.restore", "nowhere")


@pytest.mark.fault("BAK09", "docker", "embedded")
def test_no_room_for_a_second_database(stack: Checkout, tmp_path: Path) -> None:
    huge = tmp_path / "huge.sql"
    huge.write_text("-- PostgreSQL database dump\n" * 40)
    os.truncate(huge, 1 << 43)  # a file with a hole: it takes no room itself
    stack.refused("BAK09", "db.restore", str(huge))
