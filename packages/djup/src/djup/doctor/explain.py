"""Print a section of docs/problems.md in a terminal, for `inv explain`."""

import re
import shutil
import textwrap
from collections.abc import Iterator

from djup import problems
from djup.problems import Problem, Section, documents, problem
from djup.terminal import console

WIDEST = 100  # a longer line is hard to read


def run(code: str) -> None:
    """Print the section of a code, in upper or lower case."""
    section = problems.sections().get(code.upper())
    if section is None:
        raise _unknown(code)
    width = min(shutil.get_terminal_size().columns, WIDEST)
    console.answer(as_text(section, width))


def as_text(section: Section, width: int) -> str:
    """Format a section without Markdown, in lines of that width; commands and tables stay as is."""
    heading, text = f"{section.code}: {section.title}", console.as_typed(section.text)
    said = (console.as_typed(f"{key}: {_named(words)}") for key, words in section.words.items())
    templates = "\n".join(_fill(line, width, "  ") for line in said)
    return "\n\n".join((heading, templates, *_blocks(text, width)))


def _named(template: str) -> str:
    """Show each field as `<user>`; one that is a whole sentence is only in the error."""
    if re.fullmatch(rf"{problems.FIELD}\.?", template):
        return "(in the error)"
    return re.sub(problems.FIELD, lambda field: f"<{field[1].replace('_', ' ')}>", template)


def _blocks(text: str, width: int) -> Iterator[str]:
    # Before, within and after each fence by turns.
    for number, part in enumerate(re.split(r"(?m)^```.*\n?", text)):
        if number % 2:
            yield textwrap.indent(part.rstrip("\n"), "    ")
        else:
            yield from (_prose(block, width) for block in part.strip("\n").split("\n\n") if block)


def _prose(block: str, width: int) -> str:
    plain = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", _link, block)
    if plain.startswith("|"):
        return plain
    items = re.split(r"\n(?=- |\d+\. )", plain)
    hangs = " " * plain.find(" ", 0, 3) if re.match(r"- |\d+\. ", plain) else ""
    return "\n".join(_fill(item, width, f"{hangs} " if hangs else "") for item in items)


def _fill(text: str, width: int, hangs: str) -> str:
    joined = " ".join(line.strip() for line in text.split("\n"))
    return textwrap.fill(
        joined, width, subsequent_indent=hangs, break_long_words=False, break_on_hyphens=False
    )


def _link(match: re.Match[str]) -> str:
    """Return the text of a link and its target, unless that is on the page itself."""
    text, target = match.groups()
    if target.startswith("#"):
        return text
    where = target if ":" in target else f"docs/{target}".replace("docs/../", "")
    return f"{text} ({documents.located(where)})"


def _unknown(code: str) -> Problem:
    from difflib import get_close_matches

    near = get_close_matches(code.upper(), problems.sections(), n=5)
    if not near:
        return problem("TASK08", code=repr(code))
    return problem("TASK08.near", code=repr(code), near=", ".join(sorted(near)))
