"""The tree is the map: each folder imports from those below it alone, and nothing in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

from djup import ROOT

SOURCE = ROOT / "packages/djup/src"
# The lowest first, as in the docstring of djup.
FLOORS = (
    *("problems", "terminal", "host", "settings", "docker", "checkout", "postgres", "code"),
    *("stack/causes", "stack", "data", "keeper"),
    *("deploy/swarm", "deploy", "doctor", "project", "cli", "tasks"),
)


def modules() -> dict[str, Path]:
    """Each module by its dotted name."""
    files = sorted(SOURCE.rglob("*.py"))
    names = (".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in files)
    return {name.removesuffix(".__init__"): file for name, file in zip(names, files, strict=True)}


MODULES = modules()


def imported(file: Path) -> set[str]:
    """What a module imports of djup, at its top, in a function, or for its types alone."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    found = {
        name if (name := f"{node.module}.{alias.name}") in MODULES else str(node.module)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    return found & MODULES.keys()


IMPORTS = {name: imported(file) for name, file in MODULES.items()}


def floor(name: str) -> int:
    """Of a module: its folder's; of djup itself, from which everybody takes ROOT, the lowest."""
    parts = name.split(".")[1:]
    if not parts:
        return -1
    inner = "/".join(parts[:2])
    return FLOORS.index(inner if inner in FLOORS else parts[0])


def test_each_folder_has_its_floor_and_says_what_it_is() -> None:
    folders = {name.split(".")[1] for name in MODULES if "." in name}
    assert folders == {name for name in FLOORS if "/" not in name}
    assert {FLOORS[floor(name)] for name in MODULES if "." in name} == set(FLOORS)
    map_of_djup = ast.get_docstring(ast.parse(MODULES["djup"].read_text())) or ""
    told = [line.split()[0] for line in map_of_djup.split("\n\n", 1)[1].splitlines()]
    assert told == list(FLOORS)


def test_nothing_imports_from_a_floor_above() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in sorted(others)
        if floor(other) > floor(name)
    ]
    assert upward == []


def test_nothing_imports_in_a_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()  # CycleError names the circle


def test_the_runtime_is_asked_for_where_one_is_chosen_alone() -> None:
    """Whatever differs between the runtimes is a method of their stacks."""
    asking = {
        name
        for name, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "in_containers"
    }
    assert asking == {"djup.stack.runtimes", "djup.doctor.doctor"}  # the latter: its checks


def test_no_import_of_djup_is_hidden() -> None:
    """None of these tests would see what is imported by a name that a program makes."""
    called = {
        (name, ast.unparse(node))
        for name, file in MODULES.items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("import_module", "__import__"))
    }
    assert called == {
        ("djup.data.dump_file", "import_module('compression.zstd')"),
        ("djup.data.dump_file", "import_module('backports.zstd')"),
        ("djup.host.uploads_tool", "importlib.import_module(name)"),  # one of the same two
    }
