"""Every problem: a code of its own, a sentence, what to type, and a section of the page."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ops import ROOT, problems
from ops.deploy import problems as deploying
from ops.problems import Problem

SAMPLES: dict[Any, Any] = {
    int: 4,
    bool: True,
    str: "x",
    OSError: OSError(2, "x"),
    "Iterable": ["x"],
    "Sequence": ["x"],
    "None": None,
}
MAKERS: dict[str, Callable[..., Problem]] = {
    f"{module.__name__}.{name}": function
    for module in (problems, deploying)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__
}
PAGE = ROOT / problems.PAGE
RUNTIMES = ("docker", "embedded")


def sample(annotation: Any) -> Any:
    if annotation in SAMPLES:
        return SAMPLES[annotation]
    return next(value for key, value in SAMPLES.items() if str(key) in str(annotation))


def made(maker: Callable[..., Problem]) -> Problem:
    found = inspect.signature(maker).parameters.values()
    return maker(*(sample(parameter.annotation) for parameter in found))


CODES = {name: made(maker).code for name, maker in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_has_a_code_a_sentence_and_a_mend(name: str) -> None:
    problem = made(MAKERS[name])
    assert re.fullmatch(r"[A-Z]+\d\d", problem.code)
    lines = str(problem).splitlines()
    sentence = lines.index(f"error {problem.code}: {problem.what}")
    assert all(line.startswith("  | ") for line in lines[:sentence]), "evidence comes first"
    assert problem.what and lines[sentence + 1] == f"  to mend it: {problem.mend}"
    assert lines[-1] == f"  about it: docs/problems.md#{problem.code.lower()}"


def test_codes_are_unique() -> None:
    assert len(CODES) > 60
    assert sorted(CODES.values()) == sorted(set(CODES.values()))


def test_the_page_has_a_section_for_each_code_with_its_title() -> None:
    sections = re.findall(r"(?m)^### (\w+)\n\n\*\*(.+)\*\*$", PAGE.read_text())
    assert dict(sections) == {CODES[name]: maker.__doc__ for name, maker in MAKERS.items()}
    assert len(sections) == len(CODES)


def test_the_page_says_truly_which_are_tried() -> None:
    rows = re.findall(r"(?m)^\| ([A-Z]+\d\d) \| (yes)? *\| (yes)? *\|$", PAGE.read_text())
    told = {code: dict(zip(RUNTIMES, map(bool, cells), strict=True)) for code, *cells in rows}
    tried = set(faults())
    assert told == {
        code: {runtime: (code, runtime) in tried for runtime in RUNTIMES} for code in CODES.values()
    }


def faults() -> Iterator[tuple[str, str]]:
    """(code, runtime) of every `fault` mark in the fault suites."""
    for file in (*ROOT.glob("tests/faults/test_*.py"), *ROOT.glob("tests/cluster/test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                code, *runtimes = map(ast.unparse, node.args)
                names = RUNTIMES if runtimes == ["*BOTH"] else map(ast.literal_eval, runtimes)
                assert runtimes and ast.literal_eval(code) in CODES.values(), f"{file.name}: {code}"
                yield from ((ast.literal_eval(code), name) for name in names)
