"""What the tasks say: sentences on stderr, tables and answers on stdout."""

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from djup import ROOT
from djup.terminal.task import this_task

DEPLOY = re.compile(r"\binv deploy(?:\.\w+)?(?![\w.])(?! --(?:local|context|env))")
KEY = re.compile(r"(?<![\w./-])(?:PROD_)?([A-Z][A-Z0-9_]*)(?![\w/-])")
QUOTED = "  | "  # a line of a log, as a problem shows it
COMMAND = re.compile(r"(?<![\w./-])inv (?=[a-z-])")


def say(sentence: str) -> None:
    """Tell the person at the terminal; pipes do not see it."""
    print(as_typed(sentence), file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print the task's result."""
    print(text, flush=True)


def as_typed(text: str) -> str:
    """`inv up` as it can be typed here: ./inv up, where no inv is on PATH, and with the target of a
    deploy; a key of a stage by the name that it has there."""
    if this_task.deploys:
        text = text.replace("then run: inv up", "then run: inv deploy")
    if this_task.target:
        text = DEPLOY.sub(rf"\g<0> {this_task.target}", text)
    if this_task.prefix:
        text = "\n".join(map(_by_keys_of_stage, text.split("\n")))
    if "inv " not in text or shutil.which("inv"):
        return text
    launcher = os.path.relpath(ROOT / "inv")
    return COMMAND.sub(f"{launcher if '/' in launcher else f'./{launcher}'} ", text)


def _by_keys_of_stage(line: str) -> str:
    return line if line.startswith(QUOTED) else KEY.sub(_key_of_stage, line)


def _key_of_stage(found: re.Match[str]) -> str:
    return f"{this_task.prefix}{found[1]}" if found[1] in this_task.keys else found[0]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under their heads."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in (heads, *rows))
    return "\n".join(line.rstrip() for line in lines)


def few(names: Sequence[str]) -> str:
    """Some names in a sentence, and how many more there are."""
    more = [f"and {len(names) - 5} more"] if len(names) > 5 else []
    return ", ".join([*names[:5], *more]) or "none"


def size(count: int) -> str:
    """A size in words, from bytes."""
    return f"{count / 1e6:,.1f}MB" if count >= 1e6 else f"{count / 1e3:.1f}kB"


def age(created: str) -> str:
    """The time since `created`, in its largest unit: '3 days'."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def as_json(record: Any) -> str:
    """A dataclass or a plain record, or a list of either, for scripts."""
    return json.dumps(record, indent=2, default=asdict)
