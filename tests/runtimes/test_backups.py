"""What backups, restores, snapshots, nuke and undo promise on every runtime.

The tests share one stack, whose database each of them leaves with the row that `keep` has made.
"""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from stacks import Checkout, Make, Runtime, needs_notes

ODD = 'it\'s "mine" = ä 5'  # spaces, quotes, an equals sign and what is no ASCII


@pytest.fixture(scope="module")
def shared(make: Make, runtime: Runtime) -> Checkout:
    stack = make(runtime)
    stack.inv("up")
    stack.keep()
    return stack


@pytest.fixture
def stack(shared: Checkout) -> Iterator[Checkout]:
    yield shared
    shared.assert_kept()
    # The databases that were put aside would make every later backup of the whole server longer.
    drop = "select format('drop database %I', datname) from pg_database where datname ~ '@'"
    shared.script(f"{drop} \\gexec\n")


def change(stack: Checkout) -> None:
    stack.sql("update kept set text = 'changed'")


def text(stack: Checkout) -> str:
    return stack.sql("select text from kept")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def backup(stack: Checkout, *flags: str) -> Path:
    """`inv db.backup`; the file that it says it has made."""
    return Path(stack.inv("db.backup", *flags).stdout.removesuffix("\n"))


def test_a_backup_is_listed_verified_and_pruned(stack: Checkout) -> None:
    first, verified, last = backup(stack), backup(stack, "--verify"), backup(stack)
    assert first.name.startswith(f"{stack.project}-") and first.parent == stack.root / "backups"
    files = [first, first.with_suffix(".json")]
    assert [mode(path) for path in [first.parent, *files]] == [0o700, 0o600, 0o600]

    listed = stack.backups()
    assert [one["dump"] for one in listed] == [last.name, verified.name, first.name]
    assert [one["verified"] for one in listed] == [False, True, False]
    assert listed[0]["contents"]["tables"]["public.kept"] == 1
    assert listed[0]["contents"]["migrations"][-1] in last.name

    assert first.stem in stack.inv("db.backups", "--keep", "1").stderr
    assert [one["dump"] for one in stack.backups()] == [last.name, verified.name]
    assert not any(path.exists() for path in files)


def test_a_restore_is_undone_and_that_as_well(stack: Checkout) -> None:
    path, password = backup(stack), stack.values["SQL_PASSWORD"]
    assert password.encode() not in path.read_bytes() + path.with_suffix(".json").read_bytes()
    change(stack)
    said = stack.inv("--echo", "db.restore", path.stem).stderr
    assert "inv undo restores it" in said and password not in said
    assert text(stack) == "kept"
    for expected in ("changed", "kept"):  # an undo can be undone
        assert "undone: " in stack.inv("undo").stderr
        assert text(stack) == expected


def test_a_file_of_any_name(stack: Checkout, tmp_path: Path) -> None:
    target = tmp_path / f"{ODD}.dump"
    assert backup(stack, "--to", str(target)) == target and mode(target) == 0o600
    assert target.with_suffix(".json").exists() and stack.backups()[0]["dump"] != target.name
    before = target.read_bytes()
    assert "already exists" in stack.refused("BAK10", "db.backup", "--to", str(target))
    assert target.read_bytes() == before
    change(stack)
    stack.inv("db.restore", str(target))


def test_a_backup_writes_over_nothing(stack: Checkout, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text("mine")
    said = stack.refused("BAK10", "db.backup", "--to", str(tmp_path / "rows.dump"))
    assert str(rows) in said and rows.read_text() == "mine"
    said = stack.refused("BAK10", "db.backup", "--to", str(tmp_path / "nowhere" / "x"))
    assert "a folder that does not exist" in said


def test_snapshots(stack: Checkout) -> None:
    for _ in range(2):
        stack.inv("db.snapshot", "--name", ODD)
        change(stack)
    assert stack.snapshots() == [ODD, f"{ODD}~1"]
    stack.inv("db.restore", f"{ODD}~1")
    assert text(stack) == "kept"
    stack.inv("undo")
    assert text(stack) == "changed"
    stack.inv("db.restore", f"{ODD}~1")

    stack.inv("db.snapshot", "--name", ODD)
    stack.inv("db.snapshots", "--remove", f"{ODD}~1")
    stack.inv("db.snapshot", "--name", ODD)
    there = [name for name in stack.snapshots() if name.startswith(ODD)]
    assert there == [ODD, f"{ODD}~3", f"{ODD}~2"]
    assert ODD in stack.refused("BAK17", "db.snapshots", "--remove", "nothing")


def test_a_long_name_is_taken_again_and_again(stack: Checkout) -> None:
    name = "ä" * 40
    for _ in range(3):
        stack.inv("db.snapshot", "--name", name)
    assert stack.snapshots() == [name, f"{name}~2", f"{name}~1"]
    for refused in ("ä" * 41, "part-1", "two\nlines"):
        stack.refused("BAK11", "db.snapshot", "--name", refused)


def test_a_dry_run_does_nothing(stack: Checkout) -> None:
    path = backup(stack)
    before = (stack.backups(), stack.snapshots(), stack.runtime.identities(stack.root))
    for typed in ("db.backup", f"db.restore {path.stem}", "nuke"):
        stack.inv("--dry", *typed.split())
    assert (stack.backups(), stack.snapshots(), stack.runtime.identities(stack.root)) == before


def test_nuke_and_undo_bring_back_all_of_the_server(stack: Checkout) -> None:
    stack.sql(f"create database {quoted(ODD)}")
    in_the_other(stack, "create table theirs as select 7 as n")
    stack.sql("create database hollow")
    stack.inv("db.snapshot", "--name", "old")
    stack.inv("down")
    assert "old" in stack.snapshots()
    assert stack.runtime.identities(stack.root) == set(), "what was down is left so"
    said = stack.inv("nuke", "--yes").stderr
    assert "inv undo restores them" in said and " tables, " in said
    assert stack.runtime.leftovers(stack.root) == {}
    needed = {one["database"] for one in stack.backups()[:4]}
    assert needed == {"app", ODD, "app@old", "hollow"}
    stack.inv("db.backups", "--keep", "0")
    assert {one["database"] for one in stack.backups()} >= needed, "an undo needs them"

    stack.inv("undo")
    stack.assert_kept()
    assert in_the_other(stack, "select n from theirs") == "7"
    assert "old" in stack.snapshots()
    in_the_other(stack, "drop table theirs")
    change(stack)
    stack.inv("db.restore", "old")
    stack.sql(f"drop database {quoted(ODD)}")
    stack.sql("drop database hollow")


def test_an_empty_database_is_nothing_to_go_back_to(stack: Checkout) -> None:
    path = backup(stack)
    stack.inv("nuke", "--yes")
    stack.inv("undo")
    stack.refused("BAK12", "undo")
    stack.inv("nuke", "--yes")
    assert "inv undo" not in stack.inv("db.restore", path.stem).stderr
    assert stack.snapshots() == []
    stack.inv("up")
    change(stack)
    assert "undone: nuke of " in stack.inv("undo").stderr
    assert text(stack) == "kept"
    for expected in ("changed", "kept"):
        stack.inv("undo")
        assert text(stack) == expected


def test_there_is_an_end_to_what_can_be_undone(make: Make, runtime: Runtime) -> None:
    other = make(runtime, name="other")
    other.refused("BAK12", "undo")
    assert json.loads(other.inv("db.backups", "--json").stdout) == [] == other.snapshots()
    other.refused("RUN01", "db.backup")
    assert other.runtime.leftovers(other.root) == {}, "a question makes no server"


WITH_ODD_NAMES = r"""
mkdir -p "a folder/ä"
printf spaces >"a folder/ä/with 'quotes' and \"more\""
printf lines >"$(printf 'two\nlines')"
"""
CONTENTS = "find . -type f -exec cat {} + | sort"


@needs_notes
def test_uploads_are_in_a_backup_and_come_back(stack: Checkout) -> None:
    page = stack.attach("a list.txt", "bread")
    assert stack.get(page) == (200, "bread") and page.startswith("media/notes/")
    stack.files(WITH_ODD_NAMES)
    before = stack.files(), stack.files(CONTENTS)
    path = backup(stack, "--verify")
    made = stack.backups()[0]
    assert made["verified"] and made["files"]["count"] == 3
    archive = path.with_name(f"{path.stem}{made['files']['suffix']}")
    assert mode(archive) == 0o600 and archive.stat().st_size == made["files"]["size"]

    stack.files("rm -r ./*; printf other >other")
    stack.inv("db.restore", path.stem)
    assert (stack.files(), stack.files(CONTENTS)) == before and stack.get(page) == (200, "bread")
    stack.inv("undo")
    assert stack.files() == "./other\n"
    stack.inv("db.snapshot", "--name", "other")
    stack.inv("db.restore", path.stem)

    stack.inv("nuke", "--yes")
    stack.inv("undo")
    assert (stack.files(), stack.files(CONTENTS)) == before and stack.get(page) == (200, "bread")
    stack.inv("db.restore", "other")
    assert stack.files() == "./other\n"
    stack.inv("undo")
    without = backup(stack, "--no-files")
    assert stack.backups()[0]["files"] is None
    stack.inv("db.restore", without.stem)
    assert stack.files() == before[0]

    stack.inv("db.backups", "--keep", "0")
    dumps = {one.stem for one in (stack.root / "backups").glob("*.dump")}
    archives = (stack.root / "backups").glob("*.files.*")
    assert {one.name.partition(".files.")[0] for one in archives} <= dumps
    stack.files("rm -r ./*")
    stack.sql("truncate notes_note")


@needs_notes
def test_a_snapshot_has_the_uploads(stack: Checkout) -> None:
    stack.files("printf one >one")
    stack.inv("db.snapshot", "--name", "with-files")
    stack.files("rm one; printf two >two")
    stack.inv("db.restore", "with-files")
    assert stack.files() == "./one\n"
    stack.inv("undo")
    assert stack.files() == "./two\n"
    kept = int(stack.files("ls ../beside | wc -l"))
    stack.inv("db.snapshots", "--remove", "with-files")
    assert int(stack.files("rm ./*; ls ../beside | wc -l")) == kept - 1


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def in_the_other(stack: Checkout, statement: str) -> str:
    settings = "dbname='" + ODD.replace("'", r"\'") + "'"
    script = f"\\connect {quoted(settings)}\n{statement};\n"
    flags = ("--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1", "--quiet")
    return stack.inv("psql", "--", *flags, stdin=script).stdout.strip()
