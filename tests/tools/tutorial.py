"""docs/tutorial.md as steps: commands with what they print, and edits of files, in its order."""

import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from djup import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(
    r"(?ms)^## (?P<heading>.+?)$"
    r"|(?:^In `(?P<file>[^`]+)`:\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$"
)
# What differs between two runs, and the word that stands for it.
VARIES = (
    (r"shop-[0-9a-f]{6}", "NAME"),
    (r"\d{8}T\d{6}Z", "TIME"),
    (r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT"),
    (r"port \d+", "port N"),
    (r"\d+(\.\d+)?(B|kB|MB|GB)\b", "SIZE"),
    (r"\d+\.\d+s\b", "SECONDS"),
    (r"\b\d+ (files|rows|tables|tests|test\(s\))", r"N \1"),
    (r"^\.+$", "DOTS"),
    (r"(Up )?(less than a (minute|second)|\d+ (second|minute)s?)\b", "AGE"),
    (r"\[main [0-9a-f]+\]", "[main COMMIT]"),
    (r"commit [0-9a-f]{7,}", "commit COMMIT"),
    (r"ago by .*", "ago by SOMEBODY"),
    (r"web:[0-9a-f]{12}-[0-9a-f]{12}", "web:TAG"),
    (rf"\b{re.escape(platform.node())}\b", "laptop"),
    (r"\S*/shop(?=[/:]|$)", "FOLDER"),
    (r"(runtime|on) (docker|embedded)", r"\1 RUNTIME"),
    (r"\s+", " "),
)


@dataclass(frozen=True)
class Command:
    """A line of a shell block, and the lines that the page shows of what it prints."""

    section: str
    line: str
    shown: Sequence[str]


@dataclass(frozen=True)
class Edit:
    """The text of a whole file or, in a block of the language diff, a change to one."""

    section: str
    path: str
    text: str
    is_diff: bool

    def apply(self, root: Path) -> None:
        file = root / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_changed(file.read_text(), self.text) if self.is_diff else self.text)


def steps() -> Iterator[Command | Edit]:
    """All steps of the page. Shown output belongs to the last command before it, and a block of any
    other language to the file that is named before it."""
    section = ""
    blocks = list(BLOCK.finditer(PAGE.read_text()))
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        section = block["heading"] or section
        if block["file"]:
            yield Edit(section, block["file"], block["text"], block["language"] == "diff")
        elif block["language"] == "sh":
            shown = after["text"].splitlines() if after and after["language"] == "text" else []
            *first, last = (line.split("  #")[0] for line in block["text"].splitlines())
            yield from (Command(section, line, ()) for line in first)
            yield Command(section, last, shown)
        else:
            assert block["heading"] or block["language"] == "text", block[0]


def missing(shown: Sequence[str], printed: str) -> list[str]:
    """The shown lines that were not printed in this order; `...` stands for any lines."""
    rest = iter([stable(line) for line in printed.splitlines()])
    return [line for line in shown if line.strip() != "..." and stable(line) not in rest]


def stable(line: str) -> str:
    """A line of output with what varies replaced."""
    for pattern, word in VARIES:
        line = re.sub(pattern, word, line)
    return line.strip()


def _changed(text: str, diff: str) -> str:
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if not line.startswith("+"))
    new = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(old) == 1, f"not once in the file:\n{old}"
    return text.replace(old, new)
