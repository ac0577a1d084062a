"""What a new project may be called, where it may be, and what its locks pin."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from djup import REQUIREMENTS, ROOT, SOURCES, __version__
from djup.cli import in_short
from djup.cli.tasks import every_task
from djup.problems import Problem
from djup.project import locks, new, starter

PINS = {f"djup_web-{__version__}-py3-none-any.whl": "a" * 64, "djup-9-py3-none-any.whl": "b" * 64}


@pytest.mark.parametrize("name", ["shop", "My_Shop", "shop-2", "s" * 32])
def test_names_that_do(name: str) -> None:
    new.refuse_name(name)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("2shop", "shop"),
        ("my shop", "my-shop"),
        ("shop.example", "shop-example"),
        ("class", "class-site"),
        ("Ünder", "nder"),
        ("___", "shop"),
        ("s" * 40, "s" * 32),
    ],
)
def test_names_that_do_not_and_what_would(name: str, like: str) -> None:
    with pytest.raises(Problem, match="NEW01") as caught:
        new.refuse_name(name)
    assert caught.value.fix.endswith(f"such as: {like}")
    new.refuse_name(like)


def test_a_folder_that_holds_anything(tmp_path: Path) -> None:
    new.refuse_occupied(tmp_path / "none")
    new.refuse_occupied(tmp_path)
    (tmp_path / ".hidden").touch()
    for occupied in (tmp_path, tmp_path / ".hidden"):
        with pytest.raises(Problem, match="NEW02"):
            new.refuse_occupied(occupied)


@pytest.mark.parametrize("name", ["base", "embedded", "lint", "prod", "tasks"])
def test_a_lock_gains_the_wheel_and_keeps_what_it_pins(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    changed = locks.with_wheels(name, text, PINS)
    assert "\n--find-links wheels\n\n" in changed
    pinned, before = (re.findall(r"(?m)^([\w.-]+)(?:\[serve\])?==", it) for it in (changed, text))
    package = locks.ENTRIES[name]
    assert sorted(pinned) == pinned
    assert set(pinned) - set(before) == {package}
    assert set(before) - set(pinned) <= set(locks.UNUSED)
    kept = [line for line in text.splitlines() if "--hash" in line]
    lost = [line for line in kept if line not in changed]
    assert len(lost) == (0 if name != "lint" else len(lost)) and changed.count("--hash") > 0


@pytest.mark.parametrize("lock", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda lock: lock.stem)
def test_the_head_of_a_lock_is_a_command_that_renovate_reads(lock: Path) -> None:
    head = re.match(r"(?:#.*\n)+# {4}(\S*) (.*)\n", lock.read_text())
    assert head and head[1] == "uv"
    options = [word for word in head[2].split() if word.startswith("-")]
    allowed = ("--universal", "--generate-hashes")
    values = ("--python-version=", "--constraints=", "--output-file=")
    assert all(word in allowed or word.startswith(values) for word in options)
    named = {word.partition("=")[2] for word in options if word.startswith("--constraints")}
    assert not any(name.startswith(starter.NOT_THEIRS) for name in named)


def test_updates_leave_the_toolkit_and_its_locks_alone() -> None:
    found = json.loads((starter.TEMPLATES / "renovate.json").read_text())
    [pattern] = found["pip-compile"]["managerFilePatterns"]
    paths = [f"requirements/{lock.name}" for lock in REQUIREMENTS.glob("*.txt")]
    assert all(re.search(pattern.strip("/"), path) for path in paths)
    [names] = re.findall(r"requirements/\{(.*)\}\.\*", found["ignorePaths"][0])
    managed = {Path(path).stem for path in paths if starter.is_managed(path)}
    assert set(names.split(",")) == managed
    [off] = [rule for rule in found["packageRules"] if not rule["enabled"]]
    assert set(off["matchPackageNames"]) == {locks.WEB, locks.TOOLKIT}


def test_a_version_is_the_same_wherever_it_stands() -> None:
    for folder, module in (("djup", "djup"), ("djup-web", "djup_web")):
        pyproject = tomllib.loads((SOURCES / folder / "pyproject.toml").read_text())
        init = (SOURCES / folder / "src" / module / "__init__.py").read_text()
        assert pyproject["project"]["version"] == __version__
        assert f'__version__ = "{__version__}"' in init
    newest = re.findall(r"(?m)^## (\S+)$", (ROOT / "CHANGELOG.md").read_text())[0]
    assert newest == __version__


def test_each_file_of_the_starter_is_text_and_has_its_name() -> None:
    files = dict(starter.files("shop", PINS))
    assert {"inv", "tasks.py", "README.md", "pyproject.toml", ".env.example"} <= files.keys()
    assert files["README.md"].startswith("# shop\n")
    assert not [path for path in files if "test_" in path or path.startswith(("docs/", "bench/"))]
    assert not [path for path, text in files.items() if "{{ name }}" in text]
    assert files.keys() >= starter.PROGRAMS


def test_the_page_for_assistants_has_each_task_and_which_has_json() -> None:
    tasks = every_task()
    text = " ".join(in_short.as_markdown(tasks).split())
    listed = re.findall(r"`([\w.]+)`( \(json\))?:\s", text)
    names = {min((full, *aliases), key=len) for full, aliases in tasks.task_names.items()}
    assert sorted(name for name, _ in listed) == sorted(names)
    with_json = {name for name in names if "--json prints" in str(tasks[name].__doc__)}
    assert {name for name, mark in listed if mark} == with_json >= {"status", "deploy"}
    for group in {tasks[name].group for name in names}:
        assert f"**{group}**: " in text


def test_each_task_that_the_templates_name_exists() -> None:
    texts = [file.read_text() for file in starter.TEMPLATES.rglob("*") if file.is_file()]
    named = {
        name for text in texts for name in re.findall(r"\./inv (?:--\w+ )?([a-z][\w.]*)", text)
    }
    known = {min((full, *aliases), key=len) for full, aliases in every_task().task_names.items()}
    assert named and named <= known


def test_the_template_of_base_in_asks_for_what_its_lock_has() -> None:
    """Else the first `inv lock` of a new project would take packages out of it."""
    names = re.compile(r"(?m)^([A-Za-z][\w.-]*)")
    ours = set(names.findall((ROOT / "requirements" / "base.in").read_text()))
    theirs = set(names.findall((starter.TEMPLATES / "requirements" / "base.in").read_text()))
    assert ours - {"dj-database-url"} <= theirs, "djup-web brings that one"
