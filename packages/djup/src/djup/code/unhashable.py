"""Requirements that have no hash: from a version control system, editable, or a folder.

What is installed is locked by hashes, and neither pip nor uv can check one of these.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from djup import HERE, ROOT
from djup.problems import Problem, problem

VCS = re.compile(r"(?:^|[@\s])(?:git|hg|svn|bzr)\+(\S+)")
EDITABLE = re.compile(r"^(?:-e|--editable)[ =]\s*(\S+)")
FOLDER = re.compile(r"^(?:[\w.\[\],-]+\s*@\s*)?((?:file:|\.{1,2}(?:/|$)|/)\S*|[\w.-]+/\S*)")
NAME = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*@")
# How a host of repositories names the archive of a version.
ARCHIVES = {
    "github.com": "https://github.com/{path}/archive/{ref}.tar.gz",
    "gitlab.com": "https://gitlab.com/{path}/-/archive/{ref}/{name}-{ref}.tar.gz",
    "bitbucket.org": "https://bitbucket.org/{path}/get/{ref}.tar.gz",
}
BRANCHES = ("HEAD", "main", "master", "develop")
LOCAL = (
    "move the imported folder into project/, where Python finds it, and remove the line; "
    "or build a wheel of it and publish that"
)


def find(file: Path) -> Iterator[tuple[int, str, str]]:
    """The lines of a requirements file that cannot have a hash: number, text, what works."""
    text = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        stated = re.sub(r"(^|\s)#.*", "", line).strip().removesuffix("\\").strip()
        if works := spelling(stated):
            yield number, stated, works


def spelling(stated: str) -> str:
    """What works in place of a requirement that cannot have a hash; '' for any other."""
    if match := VCS.search(stated):
        return _archive(stated, match[1])
    if EDITABLE.match(stated):
        return LOCAL
    match = FOLDER.match(stated)
    return LOCAL if match and _is_folder(match[1].split(";")[0].strip()) else ""


def refuse(file: Path) -> None:
    """Raise for the first line of an .in file that cannot have a hash."""
    for number, stated, works in find(file):
        raise problem_of(f"{HERE}/{file.name} line {number}", stated, works)


def refuse_locked(lock: Path) -> None:
    """The same for a compiled lock: a package may ask for another one from git."""
    for _, stated, works in find(lock):
        raise problem_of(f"{HERE}/{lock.stem}.in", stated, works)


def problem_of(where: str, stated: str, works: str) -> Problem:
    """The problem of a requirement that cannot have a hash."""
    shown = re.sub(r"//[^/@\s]+@", "//…@", stated)  # it may hold a token
    return problem("PKG03", where=where, stated=shown, works=works)


def _archive(stated: str, url: str) -> str:
    """The archive of that version at its host, which has a hash like any other file."""
    address, _, fragment = url.partition("#")
    address = re.sub(r"^\w+://(?:[^/@]*@)?", "", address)
    path, _, ref = address.partition("@")
    host, _, path = path.removesuffix(".git").partition("/")
    name = NAME.match(stated) or re.search(r"egg=([\w.-]+)", fragment)
    called = name[1] if name else path.rpartition("/")[2]
    # Of a branch the archive changes, and with it the hash.
    fixed = "COMMIT" if ref in ("", *BRANCHES) else ref
    values = {"path": path, "ref": fixed, "name": path.rpartition("/")[2]}
    form = ARCHIVES.get(host, "https://HOST/PATH/{name}-{ref}.tar.gz")
    within = re.search(r"subdirectory=[^&]+", fragment)
    archive = form.format(**values) + (f"#{within[0]}" if within else "")
    return f"write the URL of the archive of a tag or a commit: {called} @ {archive}"


def _is_folder(path: str) -> bool:
    folder = Path(re.sub(r"^file:(?://)?", "", path))
    return (ROOT / folder).is_dir()
