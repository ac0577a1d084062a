"""The file `.env`, and `.env.example` beside it: read, and edited where a task is asked to."""

import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from djup import ROOT
from djup.checkout import blocks
from djup.host import ownership
from djup.problems import BelongsToAnother, problem

ENV = ROOT / ".env"
EXAMPLE = ROOT / ".env.example"


def example() -> str:
    """The text of `.env.example`; of one that is the project's own, the toolkit's block in it."""
    return blocks.inside(read(EXAMPLE))


def read(path: Path) -> str:
    """The text of one of them; a problem if it cannot be read, or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise problem("ENV02", name=path.name, line=line) from error
    except OSError as error:
        cause = ownership.problem_of(error)
        closed = isinstance(cause, BelongsToAnother)
        reason = cause.what.rstrip(".") if closed else error.strerror or str(error)
        raise problem("ENV01", name=path.name, reason=reason, fix=cause.fix) from error


def write_values(values: Mapping[str, str]) -> None:
    """Set these keys in `.env`, and touch nothing else in it: the user has asked for this.

    Keys that it lacks are appended. Each value is written as it is, so it must need no quotes.
    """
    text = _current()
    for key, value in values.items():
        text = with_value(text, key, value)
    _replace(text)


def add_from_example(keys: Collection[str]) -> None:
    """Append these keys to `.env` as they stand in `.env.example`, under the same comments."""
    append(paragraphs(example(), keys))


def paragraphs(text: str, keys: Collection[str]) -> list[str]:
    """The paragraphs of a text that set one of these keys, without the lines of other keys."""
    return [part for paragraph in text.split("\n\n") if (part := _only(keys, paragraph))]


def append(added: Sequence[str]) -> None:
    """Append these paragraphs to `.env`."""
    _replace("\n\n".join((_current().rstrip(), *added)) + "\n")


def _only(keys: Collection[str], paragraph: str) -> str:
    """The comments of a paragraph and those of its lines that set one of `keys`, if any does."""
    lines = paragraph.strip().splitlines()
    wanted = [line for line in lines if line.startswith("#") or line.partition("=")[0] in keys]
    return "\n".join(wanted) if any(not line.startswith("#") for line in wanted) else ""


def with_value(text: str, key: str, value: str) -> str:
    """The text with another value of a key, which is appended where it lacks it."""
    line = rf"(?m)^(\ufeff?\s*(?:export\s+)?{key}=)[^\r\n]*"
    changed, count = re.subn(line, lambda match: match[1] + value, text)
    return changed if count else f"{text.rstrip()}\n{key}={value}\n"


def _current() -> str:
    return ENV.read_bytes().decode("utf-8")  # bytes: line endings and a BOM stay as they are


def _replace(text: str) -> None:
    """Replace the text of `.env` at once; its mode and its owner stay."""
    target = ENV.resolve()  # a link stays one
    part = target.with_name(f".env.part{os.getpid()}")
    part.touch(0o600, exist_ok=False)
    try:
        part.write_bytes(text.encode())
        shutil.copystat(target, part)
        if os.geteuid() == 0:
            os.chown(part, target.stat().st_uid, target.stat().st_gid)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
