"""Tests that Django's runner passes over in silence, which would be taken for tests that passed."""

import ast
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

PATTERN = "test*.py"  # of the files that Django looks into
PATTERNS = (PATTERN, "*_test.py")  # of those that other runners look into as well
PYTEST = "is written for pytest, which is not used here: make it a method of a django.test.TestCase"


def unrun(folder: Path, chosen: Iterable[Path] | None = None) -> list[str]:
    """A sentence for each file below `folder` with tests that Django does not run.

    Where only some files were `chosen`, such as by a label, the others are no concern.
    """
    files = sorted(set(_files(folder)) & set(chosen) if chosen is not None else _files(folder))
    return [
        f"{file.relative_to(folder)}: {why}" for file in files if (why := _reason(folder, file))
    ]


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        # Packages of others are none of the project's tests.
        folders[:] = [
            name
            for name in folders
            if name[0] not in "._"
            and name != "node_modules"
            and not Path(path, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(path, n) for n in names if any(fnmatch(n, p) for p in PATTERNS))


def _reason(folder: Path, file: Path) -> str:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return ""  # the runner itself says so
    if not any(_is_test(node) for node in ast.walk(tree)):
        return ""
    if not fnmatch(file.name, PATTERN):
        return f"its name does not match {PATTERN}, so its tests are not found: rename it"
    above = file.relative_to(folder).parents[:-1]
    if bare := [path for path in above if not (folder / path / "__init__.py").exists()]:
        return f"its tests are not found, since {bare[-1]}/ has no __init__.py: create it"
    pytests = (name for node in tree.body if (name := _for_pytest(node)))
    return f"{name} {PYTEST}" if (name := next(pytests, "")) else ""


def _is_test(node: ast.AST) -> bool:
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    return isinstance(node, functions) and node.name.startswith("test_")


def _for_pytest(node: ast.stmt) -> str:
    """The name of a function, or of a class without a base, that pytest takes for tests."""
    if isinstance(node, ast.ClassDef):
        named = node.name.startswith("Test") and not node.bases
        return node.name if named and any(_is_test(inner) for inner in node.body) else ""
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    return node.name if isinstance(node, functions) and _is_test(node) else ""
