"""The format of `.env`: what python-dotenv and Docker Compose read alike, and nothing else."""

import re
from functools import cache
from io import StringIO

from djup.problems import problem

# What python-dotenv (without interpolation) and Compose read alike: a plain value, one in single
# quotes with \' for a quote, one in double quotes without $; a comment after a space. In single
# quotes python-dotenv halves \\ and Compose does not; elsewhere Compose expands $.
LINE = re.compile(r"\s*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=[ \t]*(.*?)[ \t]*")
VALUE = re.compile(
    r"""(?: (?:[^\s'"\#$`\x00-\x1f] (?: (?!\s\#) [^$\x00-\x1f])*)?
          | ' (?:[^'\\\x00-\x1f] | \\' | \\(?![\\']))* '
          | " (?:[^"\\$\x00-\x1f] | \\["\\n])* "
        ) (?:[ ]+\#.*)?""",
    re.VERBOSE,
)


def quoted(value: str) -> str:
    """`value` as it is written in `.env`; '' if no spelling of it reads the same for all."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    for spelling in (value, "'" + value.replace("'", r"\'") + "'", f'"{escaped}"'):
        if VALUE.fullmatch(spelling) and parse(f"KEY={spelling}") == {"KEY": value}:
            return spelling
    return ""


def parse(text: str) -> dict[str, str]:
    """The pairs of `text`, which every reader would see the same, or `Problem`."""
    return dict(_pairs(text))


def repeated(text: str) -> dict[str, list[int]]:
    """The keys that stand in more than one line of `text`, each with the numbers of its lines."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if match := LINE.fullmatch(line):
            found.setdefault(match[1], []).append(number)
    return {key: lines for key, lines in found.items() if len(lines) > 1}


@cache  # a task asks several times what `.env` and `.env.example` say
def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            _check_line(number, line)
    from dotenv import dotenv_values

    pairs = dotenv_values(stream=StringIO(text.removeprefix("\ufeff")), interpolate=False)
    return tuple((key, value or "") for key, value in pairs.items())


def _check_line(number: int, line: str) -> None:
    match = LINE.fullmatch(line)
    if not match:
        raise problem("ENV03", line=number)
    key, raw = match.groups()
    if VALUE.fullmatch(raw):
        return
    if spelling := _advice(key, raw):
        raise problem("ENV04", line=number, key=key, spelling=spelling)
    raise problem("ENV04.none", line=number, key=key)


def _advice(key: str, raw: str) -> str:
    # The value itself may be a secret and stays out of the sentence.
    body = raw.strip("'\"")
    if raw[0] in "'\"" and raw[0] not in raw[1:] and not body.endswith("\\"):  # never closed
        return (
            f'for several lines, such as a PEM key: write {key}="…\\n…\\n" on one line in double '
            f"quotes, with \\n for each line break; for one line: write {key}='…' in single quotes."
        )
    if "\\\\" in body or body.endswith("\\"):
        return (
            "" if "$" in body else f'write {key}="…" in double quotes, with \\\\ for a backslash.'
        )
    return f"write {key}='…' in single quotes, with \\' for a quote, on one line."
