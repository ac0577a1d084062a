"""`inv test --retry`: which tests run again, with a real pytest; what the outcomes say."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from djup import ROOT
from djup.code.suites import Round, Suite
from djup.host.process import ChildFailed
from tests import suites

UNSTEADY = """
from collections import Counter
from pathlib import Path
ran = Path(__file__).with_name("ran")

def test_that_fails_the_first_time():
    runs = len(ran.read_text()) + 1 if ran.exists() else 1
    ran.write_text("x" * runs)
    assert runs > 1

def test_that_passes():
    Path(__file__).with_name("passed").open("a").write("x")
"""
BROKEN = "def test_that_always_fails():\n    assert False\n"
NOTHING = "def nothing():\n    pass\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Suites of one file each, in the place of ours."""
    made = {}
    for name, text in (("unsteady", UNSTEADY), ("broken", BROKEN), ("nothing", NOTHING)):
        file = tmp_path / name / "test_it.py"
        file.parent.mkdir()
        file.write_text(text)
        argv = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(file.parent), str(file)]
        made[name] = Suite(argv, seconds=1, locks=("test",))
    monkeypatch.setattr(suites, "SUITES", made)
    rounds = (Round(("broken", "nothing"), beside=("unsteady",)),)
    monkeypatch.setattr(suites, "ROUNDS", rounds)
    return tmp_path


def outcomes(said: str) -> dict[str, str]:
    """The last table, by suite."""
    lines = said.rpartition("OUTCOME")[2].strip().splitlines()
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}


def test_what_failed_runs_once_more_and_is_named(
    made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ChildFailed):
        suites.run("", strict=True, arguments=(), retry=True)
    assert outcomes(capfd.readouterr().err) == {
        "unsteady": "passed, some tests only on the second run",
        "broken": "FAILED (exit code 1)",
        "nothing": "FAILED (exit code 5)",
    }
    assert (made / "unsteady/passed").read_text() == "x"


def test_without_the_flag_nothing_runs_again(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ChildFailed):
        suites.run("", strict=True, arguments=())
    assert outcomes(capfd.readouterr().err)["unsteady"] == "FAILED (exit code 1)"
    assert (made / "unsteady/ran").read_text() == "x"


def test_a_suite_alone_may_run_again(made: Path) -> None:
    suites.run("unsteady", strict=False, arguments=(), retry=True)


def test_pytest_can_collect_all_suites_at_once() -> None:
    """Test modules are imported by their names alone: no two may share one."""
    folders = (ROOT / "packages/djup/tests", ROOT / "tests")
    names = Counter(file.name for folder in folders for file in folder.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_each_suite_runs_once() -> None:
    names = [name for one in suites.ROUNDS for name in one.names]
    assert sorted(names) == sorted(suites.SUITES)
