"""The manual is true and readable: its commands are tasks, its links lead somewhere, its sentences
are short, and it does not grow."""

import re
import shlex
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import cache

import manual
import pytest
from invoke.collection import Collection
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext

from djup import ROOT
from djup.cli import outside
from djup.cli.program import Tasks
from djup.host import git
from docs.tools import reference, website
from tasks import namespace

PAGES, WRITTEN = manual.pages(), manual.written()
LONGEST, AVERAGE = 40, 20  # words of a sentence
MOST_WORDS, LONGEST_README = 21_500, 207
LARGEST = 60_000  # bytes of a picture
# Words for which the field has others: fix, again, next to, permanently, previous, remote.
HOMELY = re.compile(
    r"(?i)\b(?:mends?|anew|beside|for good|the one of before|elsewhere|whosoever)\b"
)
# A list of names, which no shorter sentence would make clearer.
MAY_BE_LONG: set[str] = set()
ENDS = ("--", "<", ">", "|", "&&", ";")


@cache
def contexts(program: str) -> list[ParserContext]:
    """What the tasks of a program accept: those of `inv`, or those of `djup`."""
    tasks = {"inv": namespace, "djup": Collection(outside.new, outside.adopt)}[program]
    return deepcopy(tasks).to_contexts()  # which takes the help out of its tasks


@cache
def core() -> ParserContext:
    """The flags that stand before a task, as in `inv --dry nuke`."""
    return ParserContext(args=Tasks(namespace=namespace).core_args())


def called(line: str) -> list[tuple[str, list[str]]]:
    """Each call of `inv` or `djup` in a line of a shell, with the words that it parses itself."""
    parts = shlex.split(line.replace("<(", " < ").rstrip(")"), comments=True)
    found = []
    for number, word in enumerate(parts):
        program = word.rpartition("/")[2]
        before = parts[number - 1] if number else ""
        first = not before or before in ENDS or (program == "djup" and before.endswith(".whl"))
        if program in ("inv", "djup") and first:
            rest = parts[number + 1 :]
            end = next((n for n, other in enumerate(rest) if other in ENDS), len(rest))
            found.append((program, rest[:end]))
    return found


def calls(lines: Callable[[str], Iterable[str]]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every call in these lines of each page: the page, the program, its words."""
    found = ((page, call) for page in PAGES for line in lines(page) for call in called(line))
    return list(dict.fromkeys((page, program, tuple(words)) for page, (program, words) in found))


CALLS, NAMED = calls(manual.commands), calls(manual.spans)


def test_calls_are_found() -> None:
    assert len(CALLS) > 50 and len(NAMED) > 50
    assert called("cd ../shop && ./inv --dry nuke -- x") == [("inv", ["--dry", "nuke"])]
    assert called("uvx --from djup-1.whl djup new shop") == [("djup", ["new", "shop"])]
    assert not called("inv: not in a checkout") and not called("git commit -m inv")
    assert called("source <(inv --print-completion-script bash)") == [
        ("inv", ["--print-completion-script", "bash"])
    ]


@pytest.mark.parametrize(("page", "program", "words"), CALLS)
def test_a_command_is_one_of_the_tasks(page: str, program: str, words: tuple[str, ...]) -> None:
    """Every task and flag in a code block exists, and gets the values that it needs."""
    parse(program, words)


@pytest.mark.parametrize(("page", "program", "words"), NAMED)
def test_a_command_in_a_sentence_is_one_of_the_tasks(
    page: str, program: str, words: tuple[str, ...]
) -> None:
    """It may leave out the values, as in `inv up --port`, and the task, as in `inv --help TASK`."""
    if not {"TASK", "report"} & set(words):
        try:
            parse(program, words)
        except ParseError as error:
            assert re.search("needed value|required positional", str(error)), error


@pytest.mark.parametrize("typed", ["inv upp", "inv up --prot 1", "inv --help upp", "inv logs x"])
def test_another_command_would_be_found(typed: str) -> None:
    [(program, words)] = called(typed)
    with pytest.raises((ParseError, AssertionError)):
        parse(program, tuple(words))


def parse(program: str, words: tuple[str, ...]) -> None:
    """Raise unless the program would accept these words."""
    before = Parser(initial=deepcopy(core()), ignore_unknown=True).parse_argv(list(words))
    tasks = before.unparsed
    named = before[0].args.help.value if before else None
    assert not named or any(named in (c.name, *c.aliases) for c in contexts(program)), named
    if tasks and not named:
        Parser(contexts=contexts(program), initial=deepcopy(core())).parse_argv(tasks)


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_section_that_is_there(page: str) -> None:
    for path, anchor in manual.links(page):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        assert not anchor or anchor in manual.anchors(target), f"{path}#{anchor}"


def test_each_page_is_in_the_index() -> None:
    """Each kind of page is listed in docs/README.md, which the README leads to."""
    listed = {f"docs/{path}" for path, _ in manual.links("docs/README.md")}
    pages = {page for page in PAGES if page.startswith("docs/")} - {"docs/README.md"}
    assert pages - listed == set()


@pytest.mark.parametrize("page", WRITTEN)
def test_no_sentence_is_too_long(page: str) -> None:
    long = [one for one in manual.sentences(page) if len(one.split()) > LONGEST]
    assert [one for one in long if one not in MAY_BE_LONG] == []


@pytest.mark.parametrize("page", (*WRITTEN, "README.md", manual.CATALOGUE))
def test_words_are_those_of_the_field(page: str) -> None:
    assert HOMELY.findall(re.sub(r"`[^`]*`", "", manual.prose(page))) == []


@pytest.mark.parametrize("page", WRITTEN)
def test_sentences_are_short_on_the_whole(page: str) -> None:
    lengths = [len(one.split()) for one in manual.sentences(page)]
    assert sum(lengths) / max(1, len(lengths)) <= AVERAGE


def test_the_toolkit_names_pages_and_sections_that_are_there() -> None:
    """What errors, settings and sources say after `docs/`: a page, and a section of it."""
    places = ("compose", "packages", "tests", "bench", "project", "tasks.py", "CHANGELOG.md")
    listed = git.listed(*places, ".env.example", ".dockerignore")
    sources = [file for path in listed if (file := ROOT / path).is_file()]
    named = re.compile(r"(?<![\w./-])(docs/[\w/-]+\.md)(?:#([\w-]+))?")
    for file in sources:
        for page, anchor in named.findall(file.read_text(errors="ignore")):
            assert (ROOT / page).is_file(), f"{file.relative_to(ROOT)}: {page}"
            assert not anchor or anchor in manual.anchors(ROOT / page), f"{file}: {page}#{anchor}"


def test_the_site_has_lists_that_go_on_after_a_block() -> None:
    """And leaves code alone that looks like one."""
    page = "1. Run:\n\n   ```sh\n   inv up\n   ```\n\n2. Look\n   again\n\nEnd\n"
    assert website.indented(page) == page.replace("   ", "    ")
    page = "- one\n  - two\n\n```yaml\n- a\n  b: c\n```\n\n  text\n"
    assert website.indented(page) == page.replace("  - two", "    - two")


def test_the_readme_is_one_screen_of_links() -> None:
    assert len(manual.text("README.md").splitlines()) < LONGEST_README


def test_the_manual_does_not_grow() -> None:
    """By its words outside of code: what is generated, and the catalogue, are not counted."""
    counted = [manual.words(page) for page in (*WRITTEN, "README.md")]
    assert sum(counted) <= MOST_WORDS


def test_each_picture_is_small_and_shown() -> None:
    shown = {((ROOT / p).parent / path).resolve() for p in PAGES for path, _ in manual.links(p)}
    for picture in (ROOT / "docs/pictures").iterdir():
        if picture.suffix in (".svg", ".png", ".webp"):
            assert picture.stat().st_size < LARGEST and picture in shown, picture.name


def test_a_picture_of_a_terminal_names_no_machine() -> None:
    """Else docs/pictures/make.py has a name to learn."""
    for picture in (ROOT / "docs/pictures").glob("*.svg"):
        words = picture.read_text()
        assert not re.search(r"/(?:tmp|root|home|work)/|:(?!8000/|8443/)\d{4,5}/", words), (
            picture.name
        )


@pytest.mark.parametrize("page", manual.GENERATED)
def test_a_page_is_what_it_is_made_from(page: str) -> None:
    """Else run `inv docs --write`."""
    assert manual.text(page) == reference.pages(namespace)[page]


def test_the_readme_lists_the_tasks_as_they_are() -> None:
    made = reference.pages(namespace)
    assert made.get("README.md", manual.text("README.md")) == manual.text("README.md")


def test_the_reference_has_every_argument_of_every_task() -> None:
    page = manual.text("docs/reference/tasks.md")
    for name, task in reference.named(namespace).items():
        shown = {
            section.partition("\n### ")[0] for section in page.split(f"\n### inv {name}\n")[1:]
        }
        shown |= {page.partition(f"\n### inv {name} (djup)\n")[2].partition("\n### ")[0]}
        flags = {flag.replace("_", "-") for flag in task.help}
        assert any(all(flag in text.lower() for flag in flags) for text in shown if text), name
