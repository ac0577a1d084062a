"""What a new project consists of: the starter of the toolkit's repository, and what differs there.

The starter's own files stand once, at the root of that repository. `templates/` has those that are
other ones there, where the toolkit is developed as well.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from djup import FILES, IS_INSTALLED
from djup.host import git, packages
from djup.project import locks

# Of the repository, by git: taken as they are, but for those that templates/ has.
SOURCES = (
    *("inv", ".env.example", ".gitignore", ".gitattributes", ".dockerignore"),
    *("compose", "project", "requirements"),
)
TEMPLATES = Path(__file__).parent / "templates"
# Brought up to date by an upgrade. All else is the user's from the first day.
MANAGED = (
    *("inv", ".env.example", ".gitignore", ".gitattributes", ".dockerignore", "compose/"),
    *("requirements/build.", "requirements/tasks."),
)
# These install what only the toolkit's own suites and its manual need.
NOT_THEIRS = ("requirements/browser", "requirements/docs", "requirements/s3", "requirements/test")
# Tasks read these from the toolkit, unless the project has a file of that name.
OF_TOOLKIT = (
    *("compose/caddy/Caddyfile", "compose/prod/encryption.yaml", "compose/prod/pooler.yaml"),
    *("compose/worker.yaml", "compose/schedule.yaml", "compose/mail.yaml"),
    *("compose/prod/worker.yaml", "compose/prod/schedule.yaml"),
    *("compose/prod/media-nfs.yaml", "compose/prod/https.yaml", "compose/prod/http.yaml"),
    *(f"compose/prod/{name}.yaml" for name in ("keeper", "archive", "standby", "edge")),
    *(f"requirements/{name}." for name in packages.SHARED_LOCKS),
)
PROGRAMS = {"inv", "project/manage.py"}


def files(name: str, wheels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path and text of each file of a new project called `name`; `wheels` are the hashes of the
    toolkit's, by their file names."""
    texts = {path: (FILES / path).read_text() for path in _starter()}
    for template in sorted(path for path in TEMPLATES.rglob("*") if path.is_file()):
        path = str(template.relative_to(TEMPLATES)).removesuffix(".template")
        texts[path] = template.read_text().replace("{{ name }}", name)
    for path, text in sorted(texts.items()):
        is_lock = path.startswith("requirements/") and path.endswith(".txt")
        yield path, locks.with_wheels(Path(path).stem, text, wheels) if is_lock else text


def managed(wheels: Mapping[str, str]) -> dict[str, str]:
    """The texts of the files that are the toolkit's, by their paths."""
    return {path: text for path, text in files("", wheels) if is_managed(path)}


def held() -> dict[str, str]:
    """The texts of what a project may have in place of the toolkit's own: upgrades merge that."""
    paths = [path for path in _sources() if path.startswith(OF_TOOLKIT)]
    return {path: (FILES / path).read_text() for path in paths if path.startswith("compose/")}


def is_managed(path: str) -> bool:
    """Whether a file is the toolkit's, which upgrades bring up to date; others are the user's."""
    return path.startswith(MANAGED)


def _starter() -> list[str]:
    """The paths of the starter's files that a project takes over."""
    left_out = (*NOT_THEIRS, *OF_TOOLKIT)
    return [path for path in _sources() if not path.startswith(left_out)]


def _sources() -> list[str]:
    """The paths of the starter's files: in the toolkit's repository those that git knows, since
    others lie there as well."""
    if IS_INSTALLED:
        found = (path for path in FILES.rglob("*") if path.is_file())
        # pip compiles what it installs, the starter's modules too.
        paths = [str(path.relative_to(FILES)) for path in found if path.suffix != ".pyc"]
    else:
        paths = git.listed(*SOURCES)
    return [path for path in paths if path.startswith(SOURCES)]
