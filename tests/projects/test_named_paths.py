"""What a new project says of files: each one is there, or among the documents in its .venv."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shapes import git
from stacks import Checkout

from djup import ROOT, problems
from djup.project import manual

FOLDERS = r"compose|project|requirements|docs|packages|tests|bench|\.devcontainer|\.github|\.venv"
PATH = rf"(?<![\w./:-])(?P<path>(?:{FOLDERS})/[\w./*-]*[\w*]|[\w-]+\.(?:md|yaml|toml))"
NAMED = re.compile(rf"(?P<whose>djup's\s+(?:#\s+)?)?{PATH}(?P<anchor>#[\w-]+)?")
BY_PROGRAMS = (".txt", ".whl", ".djup.json")
IGNORES = (".dockerignore", ".gitignore")  # their lines, but for comments, name what may be there
MAY_BE_MADE = {
    "compose/caddy/Caddyfile": "the how-to of production's extras tells who may want one",
    "compose/local.yaml": "docs/how-to/develop.md says who may want one",
    "project/NAME": "an app of the user's",
    "compose/web/prod": "programs of the user's, in place of those of djup_web",
}
# The words of all problems, by their codes.
WORDS = """
import json
from djup import problems
print(json.dumps({s.code: [*s.words.values(), s.text] for s in problems.sections().values()}))
"""


@pytest.fixture(scope="module")
def documents(made: Checkout) -> Path:
    """Where the README of a new project says that the toolkit's manual is."""
    said = re.search(r"manual is in\s+`([^`]+)/docs/`", (made.root / "README.md").read_text())
    assert said
    [folder] = made.root.glob(said[1])
    return folder


def test_each_file_names_what_is_there(made: Checkout, documents: Path) -> None:
    lacking, found = [], 0
    for name in git(made.root, "ls-files").splitlines():
        if name.endswith(BY_PROGRAMS):
            continue
        for match in NAMED.finditer(_text(made.root / name)):
            found += 1
            folders = [documents] if match["whose"] else [made.root, (made.root / name).parent]
            if not _leads_somewhere(match["path"], match["anchor"] or "", folders):
                lacking.append(f"{name}: {match[0]}")
    assert lacking == [] and found > 30


def test_each_error_names_what_is_there(made: Checkout) -> None:
    python = made.root / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-P", "-c", WORDS], cwd=made.root, capture_output=True)
    named = [
        (code, match["path"], match["anchor"] or "")
        for code, words in json.loads(done.stdout).items()
        for match in NAMED.finditer(" ".join(words[:-1]))
    ]
    assert [one for one in named if not _leads_somewhere(*one[1:], [made.root])] == []
    assert sum("/djup/files/" in path for _, path, _ in named) >= 3


def test_an_error_leads_to_the_task_that_explains_it(made: Checkout) -> None:
    said = made.inv("explain", "x", code=1).stderr
    assert said.splitlines()[-1].strip() == "docs: inv explain TASK08"
    shown = " ".join(made.inv("explain", "DEP13").stdout.split())
    [path] = set(re.findall(r"\(([^()\s]+/docs/how-to/deploy\.md)#migrations\)", shown))
    assert (made.root / path).is_file()


PAGES = [path for path in manual.pages() if path.startswith("docs/")]


@pytest.mark.parametrize("name", PAGES)
def test_links_between_the_documents(documents: Path, name: str) -> None:
    """Links to what only djup's repository has are gone: its measurements, pictures, sources."""
    page = documents / name
    for target, anchor in re.findall(r"\]\(([\w./-]*)(#[\w-]+)?\)", page.read_text()):
        assert _leads_somewhere(target or page.name, anchor, [page.parent]), (target, anchor)


def test_the_documents_are_pages_alone(documents: Path) -> None:
    """Their pictures, and the programs that make them, are in the toolkit's repository."""
    found = [path for path in (documents / "docs").rglob("*") if path.is_file()]
    assert len(found) == len(PAGES) and {path.suffix for path in found} == {".md"}


def test_the_toolkit_names_its_documents_by_one_door() -> None:
    """Any other literal would be a path of this repository, in a project which has not got it."""
    for file in (ROOT / "packages/djup/src").rglob("*.py"):
        for text in _literals(ast.parse(file.read_text())):
            assert text == problems.PAGE or not re.search(r"docs/[\w/-]+\.md", text), file


def _literals(tree: ast.Module) -> Iterator[str]:
    """The texts of a module: not its docstrings, nor what `documents.located` is given."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    asked = [node for node in calls if ast.unparse(node.func) == "documents.located"]
    passed = {id(inner) for node in asked for inner in ast.walk(node)}
    passed |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in passed
        ):
            yield node.value


def _text(file: Path) -> str:
    lines = file.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if file.name not in IGNORES or line.startswith("#"))


def _leads_somewhere(path: str, anchor: str, folders: list[Path]) -> bool:
    """Whether a path, or a pattern, is in one of the folders, with the section of that name."""
    if path in MAY_BE_MADE:
        return True
    found = [file for folder in folders for file in _matching(folder, path)]
    return bool(found) and (not anchor or anchor[1:] in _anchors(found[0]))


def _matching(folder: Path, path: str) -> list[Path]:
    return list(folder.glob(path)) if "*" in path else [folder / path] * (folder / path).exists()


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)", page.read_text())
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
