"""The files of a commit, as an image is built from them: with its submodules, and what is not here.

A submodule that was never checked out is an empty folder, and a file of Git LFS that was never
fetched is a few lines that name it: neither is what the code asks for.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from djup import ROOT
from djup.host import git

POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Part:
    """A commit of a repository, and where its files go: the project's own, or a submodule's."""

    path: str
    commit: str

    @property
    def folder(self) -> Path:
        """Its folder in this checkout."""
        return ROOT / self.path

    @property
    def is_here(self) -> bool:
        """Whether the commit can be read here."""
        if not (self.folder / ".git").exists():  # git would look into the folder above
            return not self.path
        result = git.ask("cat-file", "-e", f"{self.commit}^{{commit}}", folder=self.folder)
        if git.TRUST.search(result.err):
            raise git.cause(result)
        return not result.code


def parts() -> Iterator[Part]:
    """The project, then each submodule that the image takes; of one that is not here nobody knows
    its own."""
    waiting = [Part("", "HEAD")]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += _within(part) if part.is_here else ()


def write(folder: Path) -> None:
    """Write the files of the commit into a new folder."""
    for part in parts():
        if part.is_here:
            _extract(part, folder)


def absent() -> list[str]:
    """The submodules that are not here in the version that the commit names."""
    return [part.path for part in parts() if not part.is_here]


def pointers() -> list[str]:
    """The files of Git LFS that are not fetched."""
    return [path for path in kept_by_lfs() if _is_pointer(ROOT / path)]


def kept_by_lfs() -> Iterator[str]:
    """The files whose content Git LFS keeps."""
    for part in parts():
        if part.is_here:
            words = ("ls-files", "-z", "--", ":(attr:filter=lfs)")
            names = git.answer(*words, folder=part.folder).split("\0")
            paths = (str(Path(part.path, name)) for name in names if name)
            yield from (path for path in paths if _is_taken(path))


def lfs_is_missing() -> bool:
    """Whether git was told to call Git LFS, which is not installed: it then cannot even compare
    such a file with the commit."""
    told = git.ask("config", "--get", "filter.lfs.process").out
    return bool(told) and bool(git.ask("lfs", "version").code)


def _within(part: Part) -> list[Part]:
    # `git ls-tree` prints: 160000 commit 0123…<TAB>path
    listed = git.answer("ls-tree", "-r", "-z", part.commit, folder=part.folder).split("\0")
    entries = (line.partition("\t") for line in listed if line.startswith("160000 "))
    submodules = [Part(str(Path(part.path, name)), head.split()[2]) for head, _, name in entries]
    return [submodule for submodule in submodules if _is_taken(submodule.path)]


def _extract(part: Part, folder: Path) -> None:
    archive = folder.with_name("commit.tar")
    git.answer("archive", f"--output={archive}", part.commit, folder=part.folder)
    with tarfile.open(archive) as tar:
        # An attribute, for extractall() of Python before 3.11.4 knows no filter.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(folder / part.path)


def _is_pointer(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(len(POINTER)) == POINTER


def _is_taken(path: str) -> bool:
    """Whether the build sees this path, or something in it, as .dockerignore says."""
    lines = (ROOT / ".dockerignore").read_text().split()
    named = [line.removeprefix("!").strip("/") for line in lines if line.startswith("!")]
    pairs = ((f"{path}/", f"{name}/") for name in named)
    return "*" not in lines or any(a.startswith(b) or b.startswith(a) for a, b in pairs)
