"""An app `made_up` in a folder of its own, whose migrations a test writes."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.test import modify_settings

SETTINGS = "from config.settings import *\nINSTALLED_APPS += ['made_up']\n"
FAILS = "[migrations.RunSQL(['CREATE TABLE made_up_kept (x int)', 'SELECT no_such_column'])]"


def migration(after: str = "", **attributes: str) -> str:
    """The text of a migration; the attributes are Python's, such as `operations`."""
    parents = f"[('made_up', {after!r})]" if after else "[]"
    lines = [f"    {key} = {code}\n" for key, code in attributes.items()]
    head = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
    return f"{head}    dependencies = {parents}\n{''.join(lines)}"


FIRST = {"0001_first": migration()}
TWO_LAST = {**FIRST, "0002_b": migration("0001_first"), "0002_a": migration("0001_first")}
NO_PARENT = {**FIRST, "0003_third": migration("0002_gone")}


def write_app(folder: Path, migrations: Mapping[str, str]) -> None:
    """The app, and settings `made_up_settings` that have it."""
    package = folder / "made_up" / "migrations"
    package.mkdir(parents=True)
    (folder / "made_up_settings.py").write_text(SETTINGS)
    # Without a module of models Django sends an app no signal of migrating.
    for path in ("__init__.py", "models.py", "migrations/__init__.py"):
        (folder / "made_up" / path).touch()
    for name, text in migrations.items():
        (package / f"{name}.py").write_text(text)


@contextmanager
def installed_app(folder: Path, migrations: Mapping[str, str]) -> Iterator[None]:
    """The app in this process."""
    write_app(folder, migrations)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with modify_settings(INSTALLED_APPS={"append": "made_up"}):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "made_up"]:
            del sys.modules[name]
