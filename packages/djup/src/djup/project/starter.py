"""What a new project consists of: the starter of the toolkit's repository, and what differs there.

The starter's own files stand once, at the root of that repository. `templates/` has those that are
other ones there, where the toolkit is developed as well.
"""

from collections.abc import Iterator
from pathlib import Path

from djup import FILES
from djup.project import locks

# Of the repository, by git: taken as they are, but for those that templates/ has.
SOURCES = (
    *("inv", ".env.example", ".gitignore", ".gitattributes", ".dockerignore"),
    *("compose", "project", "requirements"),
)
TEMPLATES = Path(__file__).parent / "templates"
# These install what only the toolkit's own suites need.
NOT_THEIRS = ("requirements/browser", "requirements/test")
PROGRAMS = {
    "inv",
    *("compose/web/add-user", "compose/web/entrypoint", "compose/web/healthcheck"),
    *("compose/web/system-packages", "compose/web/prod/entrypoint"),
    *("compose/web/prod/healthcheck", "project/manage.py"),
}


def files(name: str, wheels: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a new project called `name`; `wheels` are the hashes of the
    toolkit's, by their file names."""
    texts = {path: (FILES / path).read_text() for path in _starter()}
    for template in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        path = str(template.relative_to(TEMPLATES)).removesuffix(".template")
        texts[path] = template.read_text().replace("{{ name }}", name)
    for path, text in sorted(texts.items()):
        is_lock = path.startswith("requirements/") and path.endswith(".txt")
        yield path, locks.with_wheels(Path(path).stem, text, wheels) if is_lock else text


def _starter() -> list[str]:
    """The paths of the starter's files that a project takes over."""
    found = []
    for source in SOURCES:
        path = FILES / source
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [str(one.relative_to(FILES)) for one in inside if _is_text(one)]
    return [path for path in found if not path.startswith(NOT_THEIRS)]


def _is_text(path: Path) -> bool:
    return path.is_file() and path.suffix not in (".pyc", ".sqlite3", ".whl")
