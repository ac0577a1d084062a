"""What the tasks say: sentences on stderr, tables and answers on stdout."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def say(sentence: str) -> None:
    """Tell the person at the terminal; pipes do not see it."""
    print(sentence, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print the task's result."""
    print(text, flush=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under their heads."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in (heads, *rows))
    return "\n".join(line.rstrip() for line in lines)


def as_json(record: Any) -> str:
    """A dataclass or a plain record, or a list of either, for scripts."""
    return json.dumps(record, indent=2, default=asdict)
