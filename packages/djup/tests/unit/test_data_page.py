"""tests/faults/README.md: each fault that it lists is a test, on these runtimes."""

import re
from pathlib import Path

from djup import ROOT

FAULTS = ROOT / "tests" / "faults"
ROW = re.compile(r"(?m)^\| .+ \| yes \|(?: yes)? \| .+ \| `(\w+)\.(\w+)` \|$")


def test_each_row_of_the_table_is_a_test() -> None:
    page = (FAULTS / "README.md").read_text()
    rows = ROW.findall(page)
    assert len(rows) > 20 and len(rows) == page.split("result | test |")[1].count("\n| ") - 1
    for module, name in rows:
        assert f"\ndef {name}(" in (FAULTS / f"{module}.py").read_text(), f"{module}.{name}"


def test_each_test_of_the_data_is_a_row() -> None:
    told = set(ROW.findall((FAULTS / "README.md").read_text()))
    tests = {
        (file.stem, name)
        for file in FAULTS.glob("test_data_*.py")
        for name in re.findall(r"(?m)^def (test_\w+)", Path(file).read_text())
    }
    assert tests - told == set()
