"""Which code is the project's own, rather than a package's."""

import os
from pathlib import Path

from django.conf import settings

PACKAGES = {"site-packages", "dist-packages", "node_modules"}


def folder() -> Path:
    """The project's folder: BASE_DIR of its settings, else the one that it was started in."""
    return Path(getattr(settings, "BASE_DIR", "") or Path.cwd()).resolve()


def is_own(path: Path) -> bool:
    """Whether a file or a folder lies in the project, and in no package installed there."""
    inside = path.resolve()
    return inside.is_relative_to(folder()) and PACKAGES.isdisjoint(inside.parts)


def shown(path: Path) -> str:
    """A path of the project from the folder above it, such as project/shop/urls.py."""
    return os.path.relpath(path.resolve(), folder().parent)
