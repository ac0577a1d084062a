"""An app `shop` in a folder of its own, whose migrations a test writes."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.test import modify_settings

SETTINGS = "from config.settings import *\nINSTALLED_APPS += ['shop']\n"
FAILS = "[migrations.RunSQL(['CREATE TABLE shop_kept (x int)', 'SELECT no_such_column'])]"


def migration(after: str = "", **attributes: str) -> str:
    """The text of a migration; the attributes are Python's, such as `operations`."""
    parents = f"[('shop', {after!r})]" if after else "[]"
    lines = [f"    {key} = {code}\n" for key, code in attributes.items()]
    head = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
    return f"{head}    dependencies = {parents}\n{''.join(lines)}"


FIRST = {"0001_first": migration()}
TWO_LAST = {**FIRST, "0002_b": migration("0001_first"), "0002_a": migration("0001_first")}
NO_PARENT = {**FIRST, "0003_third": migration("0002_gone")}


def write_shop(folder: Path, migrations: Mapping[str, str]) -> None:
    """The app, and settings `shop_settings` that have it."""
    package = folder / "shop" / "migrations"
    package.mkdir(parents=True)
    (folder / "shop_settings.py").write_text(SETTINGS)
    # Without a module of models Django sends an app no signal of migrating.
    for path in ("__init__.py", "models.py", "migrations/__init__.py"):
        (folder / "shop" / path).touch()
    for name, text in migrations.items():
        (package / f"{name}.py").write_text(text)


@contextmanager
def installed_shop(folder: Path, migrations: Mapping[str, str]) -> Iterator[None]:
    """The app in this process."""
    write_shop(folder, migrations)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        with modify_settings(INSTALLED_APPS={"append": "shop"}):
            yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
            del sys.modules[name]
