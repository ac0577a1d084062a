"""The pages of the manual, as the tests read them: prose, commands, links, and headings."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from djup import ROOT

KINDS = ("how-to", "reference", "explanation")
GENERATED = ("docs/reference/tasks.md", "docs/reference/settings.md", "docs/reference/tool-djup.md")
CATALOGUE = "docs/problems.md"
FENCE = re.compile(r"(?ms)^( *)```(\w*)[^\n]*\n(.*?)^\1```")
LINK = re.compile(
    r"!?\[[^\]]*\]\(<?([^)\s>]*)>?(?:\s+\"[^\"]*\")?\)"  # Markdown's, with or without a title
    r"|(?:src|srcset|href)=\"([^\"]+)\""
)


def pages() -> list[str]:
    """Every page that a reader of the repository may come to, from its root."""
    found = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench/README.md"]
    found += sorted((ROOT / "docs").rglob("*.md"))
    return [str(page.relative_to(ROOT)) for page in found if page.is_file()]


def written() -> list[str]:
    """The pages of the manual that people write: neither the catalogue nor what is generated."""
    single = ("docs/README.md", "docs/tutorial.md", "bench/README.md")
    folders = tuple(f"docs/{kind}/" for kind in KINDS)
    found = [page for page in pages() if page in single or page.startswith(folders)]
    return [page for page in found if page not in GENERATED]


def text(page: str) -> str:
    """The source of a page."""
    return (ROOT / page).read_text()


def words(page: str) -> int:
    """How many words a page has, without code blocks and what is generated in it."""
    own = re.sub(r"(?s)<!-- tasks -->.*?<!-- /tasks -->", "", FENCE.sub("", text(page)))
    return sum(1 for word in own.split() if re.search("[A-Za-z]", word))


def commands(page: str) -> Iterator[str]:
    """Each command line of the page's shell blocks, with lines that a backslash ends joined."""
    for _, language, block in FENCE.findall(text(page)):
        if language in ("sh", "bash", "console"):
            joined = re.sub(r"\\\n\s*", "", block)
            yield from (line.strip() for line in joined.splitlines() if line.strip())


def spans(page: str) -> list[str]:
    """Each command of the tasks that stands as code in a sentence or a table."""
    found = re.findall(r"`((?:\./)?inv [^`]+)`", FENCE.sub("", text(page)))
    return [" ".join(one.split()).replace(r"\|", "|") for one in found]


def links(page: str) -> Iterator[tuple[str, str]]:
    """Path and anchor of each link and picture that leads to a file of the repository."""
    for markdown, tag in LINK.findall(re.sub(r"`[^`\n]*`", "", FENCE.sub("", text(page)))):
        target = html.unescape(markdown or tag)
        if target and not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The names that links may give to the sections of a page, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"(?m)^#+ (.+)", FENCE.sub("", page.read_text())):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w -]", "", plain.strip().lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return names


def prose(page: str) -> str:
    """The text of a page without code blocks, tables, headings and marks of Markdown."""
    plain = re.sub(r"<!--.*?-->|<[^>\n]+>", "", FENCE.sub("\n\n", text(page)), flags=re.DOTALL)
    plain = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", plain)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    return re.sub(r"(?m)^(?:#+ .*|\s*\|.*| {4,}\S.*(?<!\.))$", "\n", plain)


def sentences(page: str) -> list[str]:
    """The sentences of a page: items of lists and lines before a colon stand for themselves."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*] |\d+\. ))", prose(page)):
        said = " ".join(re.sub(r"^\s*(?:[-*] |\d+\. |> )", "", block).split())
        said = re.sub(r"`[^`]*`", "`code`", said)  # a command is one word
        found += [one for one in re.split(r"(?<=[.!?:;])\*{0,2}\s+(?=\S)", said) if len(one) > 1]
    return found
