"""docs/problems.md has the words of every problem, and the tasks raise nothing that it lacks."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import SOURCE
from invoke.parser import Parser

from djup import ROOT, problems
from djup.doctor import explain
from djup.problems import Problem, problem
from djup.terminal import console
from tasks import namespace

PAGE = ROOT / problems.PAGE
SECTIONS = problems.sections()
RUNTIMES = ("docker", "embedded")


@dataclass(frozen=True)
class Raised:
    """A call of problem(): where, the names that it may be called with, and its fields."""

    where: str
    names: tuple[str, ...]
    fields: frozenset[str]


def raised() -> Iterator[Raised]:
    for file in (ROOT / "tasks.py", *sorted((ROOT / "packages/djup/src").rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("problem", "Problem")
            ):
                where = f"{file.relative_to(ROOT)} line {node.lineno}"
                assert ast.unparse(node.func) == "problem" or file.parent.name == "problems", where
                if ast.unparse(node.func) == "problem":
                    fields = frozenset(keyword.arg or "**" for keyword in node.keywords)
                    yield Raised(where, tuple(literals(node.args[0], where)), fields)


def literals(code: ast.expr, where: str) -> Iterator[str]:
    if isinstance(code, ast.IfExp):
        yield from (*literals(code.body, where), *literals(code.orelse, where))
        return
    assert isinstance(code, ast.Constant), f"{where}: the code is no literal"
    yield code.value


RAISED = list(raised())
NAMES = {name for one in RAISED for name in one.names}


def asked(name: str) -> set[str]:
    """The fields of what is printed for a code, or for a variant of it."""
    code, _, variant = name.partition(".")
    shown = [SECTIONS[code].template(key, variant) for key in problems.KEYS]
    return set(re.findall(problems.FIELD, " ".join(shown)))


@pytest.mark.parametrize("one", RAISED, ids=lambda one: one.where)
def test_a_raise_names_a_section_and_its_fields(one: Raised) -> None:
    for name in one.names:
        assert name.partition(".")[0] in SECTIONS
        assert one.fields == asked(name), name


@pytest.mark.parametrize("code", SECTIONS)
def test_a_section_is_whole_and_raised(code: str) -> None:
    section = SECTIONS[code]
    assert section.title and section.text and {"what", "fix"} <= set(section.words)
    named = {name.partition(".")[2] for name in section.words} - {""}
    assert {name.partition(".")[0] for name in section.words} <= set(problems.KEYS)
    variants = {name.partition(".")[2] for name in NAMES if name.partition(".")[0] == code}
    assert variants and variants - {""} == named


def test_each_heading_is_a_section_and_the_codes_of_a_kind_are_in_order() -> None:
    headings = re.findall(r"(?m)^### (.+)$", PAGE.read_text())
    assert headings == list(SECTIONS), "one that cannot be read, or is there twice"
    assert len(headings) > 150
    for kind in {code.rstrip("0123456789") for code in headings}:
        own = [code for code in headings if code.rstrip("0123456789") == kind]
        assert own == sorted(own)


def fixes() -> Iterator[tuple[str, str]]:
    """Each command of `inv` that is written in a fix, with its code."""
    for code, section in SECTIONS.items():
        for name, template in section.words.items():
            if name.startswith(("fix", "log")):
                text = template.replace("{task}", "nuke")
                starts = re.finditer(r"(?<![\w./-])inv (?=[a-z-])", text)
                yield from ((code, text[start.end() :]) for start in starts)


def words(text: str) -> Iterator[str]:
    """Those of a command, as far as they can be told from the sentence that goes on after it."""
    for word in text.removeprefix("--help ").split(" "):
        if word in ("--", ""):
            return
        yield word.rstrip(",.;:)")
        if word[-1] in ",.;:)":
            return


@pytest.mark.parametrize(("code", "text"), list(fixes()))
def test_the_commands_of_a_fix_are_those_of_the_tasks(code: str, text: str) -> None:
    if text.startswith("where the engine runs"):  # DOCKER13 speaks of inv itself
        return
    contexts = deepcopy(namespace).to_contexts()  # which takes the help out of its tasks
    task, *rest = words(text)
    known = next((c for c in contexts if task in (c.name, *c.aliases)), None)
    assert known, f"there is no task {task}"
    taken = [task]
    for word, before in zip(rest, [task, *rest], strict=False):
        flag = known.flags.get(before)
        value = (flag and flag.takes_value) or len(known.missing_positional_args) == len(taken)
        if not word.startswith("--") and not value:
            break
        taken.append(word)
    Parser(contexts=contexts).parse_argv(taken)


def test_a_problem_reads_as_the_page_has_it() -> None:
    found = problem("DB10", "one\n\ntwo", reason="no {user} here")
    assert str(found).splitlines() == [
        "  | one",
        "  |",
        "  | two",
        "error DB10: the database rejects the connection: no {user} here",
        "  fix: correct what the answer names, then run: inv up",
        "  docs: docs/problems.md#db10",
    ]
    other = problem("DB10.remote", reason="so", fix="do this")
    assert (other.code, other.what, other.fix) == (
        "DB10",
        "the database rejects the connection: so",
        "do this",
    )
    log = problem("WEB10", service="web", container="x", code=1).log
    assert log == "docker inspect --format '{{json .State.Health.Log}}' x"


def test_without_the_page_the_facts_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "ROOT", tmp_path)
    problems.sections.cache_clear()
    try:
        found = problem("DB02", user="shop")
    finally:
        problems.sections.cache_clear()
    assert "error DB02: docs/problems.md" in str(found) and "(user shop)" in found.what
    assert found.fix.startswith("git checkout -- docs/problems.md")


def test_the_page_is_not_read_before_something_fails() -> None:
    code = "import tasks; from djup import problems; print(problems.sections.cache_info().misses)"
    argv = [sys.executable, "-c", code]
    env = os.environ | {"PYTHONPATH": SOURCE}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_the_page_says_truly_which_are_tried() -> None:
    rows = re.findall(r"(?m)^\| ([A-Z]+\d\d) \| (yes)? *\| (yes)? *\|$", PAGE.read_text())
    told = {code: dict(zip(RUNTIMES, map(bool, cells), strict=True)) for code, *cells in rows}
    tried = set(faults())
    assert [code for code, *_ in rows] == list(SECTIONS)
    assert told == {
        code: {runtime: (code, runtime) in tried for runtime in RUNTIMES} for code in SECTIONS
    }


def faults() -> Iterator[tuple[str, str]]:
    """(code, runtime) of every `fault` mark in the fault suites."""
    for file in (*ROOT.glob("tests/faults/test_*.py"), *ROOT.glob("tests/cluster/test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                code, *runtimes = map(ast.unparse, node.args)
                names = RUNTIMES if runtimes == ["*BOTH"] else map(ast.literal_eval, runtimes)
                assert runtimes and ast.literal_eval(code) in SECTIONS, f"{file.name}: {code}"
                yield from ((ast.literal_eval(code), name) for name in names)


def explained(code: str) -> str:
    done = subprocess.run([ROOT / "inv", "explain", code], capture_output=True, text=True)
    return done.stdout if not done.returncode else done.stderr


def test_explain_prints_a_section_for_a_terminal() -> None:
    said = explained("db02")
    assert said == explained("DB02")
    assert said.startswith("DB02: SQL_PASSWORD is not the password in the database\n")
    assert "\nwhat: SQL_PASSWORD in .env is not the password of <user> in the database." in said
    assert "### " not in said and "```" not in said and "](#" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_explain_shows_the_fields_of_a_case_in_angle_brackets() -> None:
    assert "\nfix: (in the error)\n" in explained("ENV01")
    assert "\nfix: <end session>, then run: " in explained("MIG05")
    log = "docker inspect --format '{{json .State.Health.Log}}' <container>"
    assert log in " ".join(explained("WEB10").split())


def test_explain_names_codes_that_are_near() -> None:
    assert "error TASK08: no error has the code 'DB2'. Similar: DB02" in explained("DB2")
    assert "error TASK08: no error has the code 'x'.\n" in explained("x")


@pytest.mark.parametrize("code", SECTIONS)
def test_a_section_can_be_shown(code: str) -> None:
    shown = explain.as_text(SECTIONS[code], 80)
    text = console.as_typed(SECTIONS[code].text)
    plain = re.sub(r"(?m)\[([^\]]+)\]\([^)]*\)|^```\w*$", r"\1", text)
    told = re.sub(r"\s\((?:docs/|README|https:)[^)]+\)", "", shown)
    assert told.split()[-len(plain.split()) :] == plain.split(), "no word is lost"
    assert isinstance(problem(code), Problem)


def sources() -> Iterator[tuple[str, ast.AST]]:
    """Every module of the toolkit that is not problems/, with its name."""
    for file in (ROOT / "tasks.py", *sorted((ROOT / "packages/djup/src").rglob("*.py"))):
        if file.parent.name != "problems":
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def constants(tree: ast.AST) -> set[ast.Constant]:
    return {node for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def test_nothing_branches_on_the_code_of_a_problem() -> None:
    """A code, or the letters of its kind, is a word for people: programs ask for the class."""
    kinds = "|".join({code.rstrip("0123456789") for code in SECTIONS})
    spelled = re.compile(rf"(?:{kinds})(?:\d\d(?:\.\w+)?)?")
    found = []
    for name, tree in sources():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        raised = [c.args[0] for c in calls if ast.unparse(c.func) == "problem"]
        others = constants(tree).difference(*map(constants, raised))
        found += [
            f"{name} line {node.lineno}: {node.value}"
            for node in others
            if isinstance(node.value, str) and spelled.fullmatch(node.value)
        ]
    assert found == []


@pytest.mark.parametrize(("code", "class_"), problems.CLASSES.items())
def test_a_class_is_that_of_its_code(code: str, class_: type[Problem]) -> None:
    for named in SECTIONS:
        own = code in (named, named.rstrip("0123456789"))
        assert isinstance(problem(named), class_) == own
