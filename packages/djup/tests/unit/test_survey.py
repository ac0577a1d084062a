"""What is found in a Django project: from its files alone, of the shapes that people have."""

from pathlib import Path

import pytest

from djup.problems import Problem
from djup.project.survey import Choices, Survey, survey

MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\n'
SETTINGS = "DEBUG = True\n"
FLAT = {
    "manage.py": MANAGE.format("shop.settings"),
    "shop/settings.py": SETTINGS,
    "requirements.txt": "Django==5.2.1\n",
}
PACKAGE = {
    "manage.py": MANAGE.format("shop.settings.local"),
    **{f"shop/settings/{name}.py": SETTINGS for name in ("base", "production")},
    "shop/settings/local.py": "from .base import *\n",
    "requirements.txt": "",
}


def found(root: Path, files: dict[str, str], choices: Choices | None = None) -> Survey:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return survey(root, [*files], choices or Choices())


def test_a_flat_project(tmp_path: Path) -> None:
    seen = found(tmp_path, FLAT)
    assert (seen.project, seen.settings.name, seen.requirements) == (
        *(".", "shop.settings"),
        ["requirements.txt"],
    )
    assert seen.production == seen.settings and seen.packages["django"] == "==5.2.1"


def test_a_package_of_settings(tmp_path: Path) -> None:
    seen = found(tmp_path, PACKAGE)
    assert seen.settings.name == "shop.settings.local"
    assert seen.production.name == "shop.settings.production"


def test_a_manage_py_that_names_production(tmp_path: Path) -> None:
    seen = found(tmp_path, {**PACKAGE, "manage.py": MANAGE.format("shop.settings.production")})
    assert seen.settings.name == "shop.settings.local"
    assert seen.production.name == "shop.settings.production"


def test_what_the_user_names_counts(tmp_path: Path) -> None:
    chosen = Choices(settings="shop.settings.base", production_settings="shop.settings.local")
    seen = found(tmp_path, PACKAGE, chosen)
    assert (seen.settings.name, seen.production.name) == (
        *("shop.settings.base", "shop.settings.local"),
    )


def test_the_nearest_manage_py_counts(tmp_path: Path) -> None:
    deeper = {f"examples/one/{path}": text for path, text in FLAT.items()}
    below = {f"backend/{path}": text for path, text in FLAT.items()}
    seen = found(tmp_path, {**deeper, **below})
    assert (seen.project, seen.requirements) == ("backend", ["backend/requirements.txt"])


@pytest.mark.parametrize(
    ("files", "main", "further"),
    [
        (("requirements/base.txt", "requirements/local.txt"), "base", ["requirements/local.txt"]),
        (("requirements/base.txt", "requirements/production.txt"), "production", []),
        (("requirements.txt", "requirements-dev.txt"), "", ["requirements-dev.txt"]),
        (("requirements.txt", "dev-requirements.txt"), "", ["dev-requirements.txt"]),
    ],
)
def test_files_of_requirements(
    tmp_path: Path, files: tuple[str, ...], main: str, further: list[str]
) -> None:
    others = {path: text for path, text in FLAT.items() if path != "requirements.txt"}
    seen = found(tmp_path, {**others, **dict.fromkeys(files, "Django\n")})
    assert seen.requirements == [f"requirements/{main}.txt" if main else "requirements.txt"]
    assert seen.dev_requirements == further


@pytest.mark.parametrize(
    ("text", "oldest", "image"),
    [
        ('[project]\nrequires-python = ">=3.12"\n', "3.12", "3.13"),
        ('[project]\nrequires-python = "==3.14.*"\n', "3.14", "3.14"),
        ('[project]\nrequires-python = "~=3.12"\n', "3.12", "3.12"),
        ('[tool.poetry.dependencies]\npython = "^3.14"\n', "3.14", "3.14"),
        ("", "3.11", "3.13"),
    ],
)
def test_the_python(tmp_path: Path, text: str, oldest: str, image: str) -> None:
    seen = found(tmp_path, {**FLAT, "pyproject.toml": text})
    assert (seen.python, seen.image_python) == (oldest, image)


@pytest.mark.parametrize(
    ("name", "text", "image"),
    [
        (".python-version", "3.12.3\n", "3.12"),
        ("runtime.txt", "python-3.10.2\n", "3.10"),
        ("Dockerfile", "# ours\nFROM docker.io/python:3.12-slim AS base\n", "3.12"),
        (".python-version", "3.9\n", "3.10"),
    ],
)
def test_the_python_that_it_runs_on(tmp_path: Path, name: str, text: str, image: str) -> None:
    assert found(tmp_path, {**FLAT, name: text}).image_python == image


def test_django_6_needs_a_newer_python(tmp_path: Path) -> None:
    assert found(tmp_path, {**FLAT, "requirements.txt": "Django==6.0\n"}).python == "3.12"


@pytest.mark.parametrize("wanted", ["==3.2.1", "~=4.1", "==2.*", "==4.1.13", "<4", "==3.*"])
def test_an_old_django(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(Problem) as caught:
        found(tmp_path, {**FLAT, "requirements.txt": f"Django{wanted}\n"})
    assert caught.value.code == "NEW11"


@pytest.mark.parametrize("wanted", ["==4.2.1", "~=5.2", ">=4.2,<5", "", ">=3.2", "<6", "==5.*"])
def test_a_django_that_is_new_enough(tmp_path: Path, wanted: str) -> None:
    assert found(tmp_path, {**FLAT, "requirements.txt": f"Django{wanted}\n"}).project == "."
