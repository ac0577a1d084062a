"""`[tool.djup]`: what it says, and the sentence for each key that is wrong."""

from pathlib import Path

import pytest

from djup.checkout import blocks
from djup.checkout.web_env import for_build
from djup.problems import Problem
from djup.settings import layout as module
from djup.settings.layout import Layout, parse

WHOLE = """
[tool.djup]
project = "src"
settings = "config.settings.dev"
production-settings = "config.settings.live"
requirements = ["requirements/live.txt"]
dev-requirements = ["pyproject.toml:dev"]
python = "3.12"
system-packages = ["gettext", "libpq5"]
test = ["make", "test"]
[tool.djup.environment]
DJANGO_SECRET_KEY = "SECRET_KEY"
[tool.djup.build-environment]
MAIL_KEY = ""
[tool.djup.suites]
js = ["npm", "test"]
"""


def test_all_of_it() -> None:
    assert parse(WHOLE) == Layout(
        project="src",
        settings="config.settings.dev",
        production_settings="config.settings.live",
        requirements=("requirements/live.txt",),
        dev_requirements=("pyproject.toml:dev",),
        python="3.12",
        system_packages=("gettext", "libpq5"),
        environment={"DJANGO_SECRET_KEY": "SECRET_KEY"},
        build_environment={"MAIL_KEY": ""},
        test=("make", "test"),
        suites={"js": ("npm", "test")},
    )


def test_debug_is_off_for_their_settings_while_the_image_is_built() -> None:
    """What they import with it on may be installed in development alone."""
    facts = {"DEBUG": "DEBUG", "SHOP_DEBUG": "DEBUG_WORD", "SHOP_KEY": "SECRET_KEY"}
    here = Layout(environment=facts, build_environment={"SHOP_KEY": "x"})
    assert for_build(here) == {"DEBUG": "0", "SHOP_DEBUG": "False", "SHOP_KEY": "x"}


def test_settings_that_read_our_names_have_an_engine_while_the_image_is_built() -> None:
    found = for_build(Layout(environment={"SQL_DATABASE": "SQL_DATABASE"}))
    assert found == {"SQL_DATABASE": "build", "SQL_ENGINE": "django.db.backends.postgresql"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('setings = "x"', "setings in [tool.djup] of pyproject.toml must be one of project,"),
        ("project = 1", "project in [tool.djup] of pyproject.toml must be a string"),
        ('requirements = "requirements.txt"', 'must be a list of strings, such as ["requirements'),
        ('python = "python3.12"', 'must be a version such as "3.13"'),
        ('test = "nose"', 'must be "django", "pytest", or a command'),
        ('environment = {KEY = "SECRET"}', "environment (SECRET) in [tool.djup]"),
        ('suites = {js = "npm test"}', "must be a table of commands"),
        ("project = ", "must be TOML: "),
    ],
)
def test_a_key_that_is_wrong(line: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(f"[tool.djup]\n{line}\n")
    assert caught.value.code == "ENV20" and words in caught.value.what


@pytest.mark.parametrize(
    "line",
    [
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")',
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
        'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"',
    ],
)
def test_the_settings_are_those_of_manage_py(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "manage.py").write_text(f"import os\n{line}\n")
    found = Layout(project=".")
    assert (found.settings_module, found.production_module) == ("shop.settings",) * 2
    assert Layout(project="elsewhere").settings_module == ""


def test_a_block_is_added_and_replaced() -> None:
    first = blocks.replaced("*.pyc\n", ".env\n")
    assert first.startswith("*.pyc\n\n# djup: begin") and blocks.find(first) == ".env\n"
    second = blocks.replaced(f"{first}dist\n", ".venv\n")
    assert blocks.find(second) == ".venv\n" and second.endswith("# djup: end\ndist\n")
    assert blocks.find("*.pyc\n") is None and blocks.inside("A=1\n") == "A=1\n"
    assert blocks.find(blocks.replaced("", "x\n")) == "x\n"


def test_a_block_has_the_line_ends_of_its_file() -> None:
    first = blocks.replaced("*.pyc\r\n", ".env\n")
    assert "\n" not in first.replace("\r\n", "") and blocks.find(first) == ".env\n"
    second = blocks.replaced(f"{first}dist\r\n", ".venv\n")
    assert second == f"{first}dist\r\n".replace(".env", ".venv")
    assert blocks.outside(second) == "*.pyc\r\n\r\ndist\r\n"
