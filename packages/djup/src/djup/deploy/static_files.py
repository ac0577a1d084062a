"""Static files that templates name and git ignores: known before an image is built."""

import re
from collections.abc import Iterator
from pathlib import Path

from djup import ROOT
from djup.host.git import listed
from djup.settings.layout import layout

NAMED = re.compile(r"""\{%\s*static\s+(["'])([^"']+)\1""")
FOLDER = "/static/"


def left_out() -> dict[str, str]:
    """Each name whose file lies in this folder alone, and a template that has it."""
    files = [*listed(layout().project)]
    tracked = {f"/{file}".partition(FOLDER)[2] for file in files}  # that folder may be at the top
    templates = {name: file for file in reversed(files) for name in _named_in(file)}
    ignored = {
        name: file for name, file in templates.items() if name not in tracked and _is_here(name)
    }
    return dict(sorted(ignored.items()))


def _named_in(file: str) -> Iterator[str]:
    if "/templates/" in f"/{file}" and (ROOT / file).is_file():
        text = (ROOT / file).read_text(errors="replace")
        yield from (match[2] for match in NAMED.finditer(text))


def _is_here(name: str) -> bool:
    """Whether an app of this project has the file, or the project itself; of packages' files
    nothing is known here, though .venv may be within the folder."""
    found = (folder / name for folder in layout().folder.glob("**/static"))
    return any(file.is_file() and not _is_hidden(file) for file in found)


def _is_hidden(file: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(layout().folder).parts)
