"""The manual as a site: its pages are copied to where Zensical finds nothing else, and built.

Run as a program, as `inv lint` does, it builds the site.
"""

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from djup import ROOT, STATE
from djup.host import packages, process
from djup.terminal import console
from djup.terminal.task import this_task

STAGE = STATE / "docs"
PAGES = STAGE / "pages"
CONFIG = STAGE / "zensical.toml"
SITE = ROOT / "dist" / "docs"
TOOLS = ROOT / "docs" / "tools"
# From the root, as the pages of the repository name one another.
SOURCES = ("README.md", "CHANGELOG.md", "bench/README.md", "docs/**/*.md", "docs/**/*.css")
PICTURES = ("docs/pictures/*.svg", "docs/pictures/*.png", "docs/pictures/*.webp")
INDEX = "docs/README.md"  # the navigation has the pages in the order of its links
KINDS = {
    "How to": ("docs/how-to/",),
    "Reference": ("docs/reference/", "docs/problems.md"),
    "Explanation": ("docs/explanation/",),
}
LAST = ("bench/README.md", "CHANGELOG.md")
ITEM = r"(?:-|\d\.) "  # of a list, at the beginning of its line
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def build() -> None:
    """Build the site into dist/docs/, or fail where a link leads nowhere."""
    packages.ensure("docs")
    argv = _zensical("build", "--strict", "--clean")
    process.show(argv)
    if this_task.dry:
        return
    stage()
    done = process.run(argv)
    if done.code:
        # Less its colours, and the traceback with which it ends.
        console.say(re.sub(r"\x1b\[[\d;]*m", "", done.out + done.err).partition("Traceback ")[0])
        raise process.ChildFailed(done.code)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(STAGE / "site", SITE)
    console.say(f"{SITE.relative_to(ROOT)}/index.html")


def serve(port: str) -> None:
    """Serve the site on this machine, and build it again after each edit, until Ctrl-C."""
    packages.ensure("docs")
    if not this_task.dry:
        stage()
        threading.Thread(target=_stage_again, daemon=True).start()
    process.attach(_zensical("serve", "--dev-addr", f"127.0.0.1:{port}"))


def _zensical(*words: str) -> list[str]:
    verb, *options = words
    return [".venv/bin/zensical", verb, "--config-file", str(CONFIG.relative_to(ROOT)), *options]


def _stage_again() -> None:
    while True:
        time.sleep(0.5)
        stage()


def stage() -> None:
    """Copy what has changed of the pages, and remove what no longer exists."""
    wanted = dict(_sources())
    for name, content in wanted.items():
        _write(PAGES / name, content)
    for file in [path for path in PAGES.rglob("*") if path.is_file()]:
        if str(file.relative_to(PAGES)) not in wanted:
            file.unlink()
    text = (TOOLS / CONFIG.name).read_text().replace("nav = []", f"nav = [{_navigation()}]")
    _write(CONFIG, text.encode())


def _sources() -> Iterator[tuple[str, bytes]]:
    """Each file of the site by its path from the root, with its content."""
    for path in sorted(found for pattern in (*SOURCES, *PICTURES) for found in ROOT.glob(pattern)):
        content = path.read_bytes()
        if path.suffix == ".md":
            text = _without_links_to_sources(content.decode(), path.parent)
            content = indented(text).encode()
        yield str(path.relative_to(ROOT)), content


def _without_links_to_sources(text: str, folder: Path) -> str:
    """A page whose links to files that only the repository has are plain text."""

    def kept(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        return found[1] if target.exists() and target.suffix != ".md" else found[0]

    return LINK.sub(kept, text)


def indented(text: str) -> str:
    """A page whose lists are indented by four, as Python's Markdown asks; GitHub takes less."""
    lines, width, fence = [], 0, False
    for line in text.split("\n"):
        item = re.match(ITEM, line)
        if not fence and item:
            width = len(item[0])
        elif not fence and line[:1].strip():
            width = 0
        if line.startswith("```") and not width:
            fence = not fence
        inside = width and not fence and line.startswith(" " * width)
        lines.append(" " * (4 - width) + line if inside else line)
    return "\n".join(lines)


def _write(file: Path, content: bytes) -> None:
    if not file.exists() or file.read_bytes() != content:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _navigation() -> str:
    """The pages in the order of the index, by kind: as TOML has them."""
    linked = _linked()
    nav = ['{"Home" = "README.md"}', _entry(INDEX), _entry("docs/tutorial.md")]
    for title, starts in KINDS.items():
        pages = [_entry(page) for page in linked if page.startswith(starts)]
        nav.append(f"{{{json.dumps(title)} = [{', '.join(pages)}]}}")
    return ", ".join((*nav, *map(_entry, LAST)))


def _entry(page: str) -> str:
    heading = re.search(r"(?m)^# (.+)$", (ROOT / page).read_text())
    return f"{{{json.dumps(heading[1] if heading else page)} = {json.dumps(page)}}}"


def _linked() -> list[str]:
    """The pages that the index leads to, in its order."""
    targets = re.findall(r"\]\(([\w./-]+\.md)\)", (ROOT / INDEX).read_text())
    return list(dict.fromkeys(f"docs/{target}" for target in targets))


if __name__ == "__main__":
    try:
        build()
    except process.ChildFailed as failed:
        sys.exit(failed.code)
    except packages.InstallFailed as failed:
        sys.exit(f"{failed.what}: {failed.evidence}")
