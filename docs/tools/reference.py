"""The pages that are made from the sources: tasks, settings, [tool.djup], and the README's table.

`inv docs --write` writes them. A test fails if one of them differs from what it is made from.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields

from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.util import helpline

from djup import ROOT
from djup.checkout import env_file
from djup.cli import outside
from djup.cli.program import Command
from djup.cli.tasks import every_task
from djup.deploy import production
from djup.settings import layout, settings
from djup.terminal.task import this_task

FOLDER = "docs/reference"
TABLE = re.compile(r"(?s)(<!-- tasks -->\n).*?(<!-- /tasks -->)")
NOTE = "<!-- Made by `inv docs --write`. Edit {source} instead. -->"
WIDTH = 110
EXAMPLE = re.compile(r"(?:inv|djup) \S.*")  # a line of a docstring that is a command
# A command, or flags by themselves, in the prose of a docstring that has no marks.
CODE = re.compile(r"(?<![\w`-])(?:inv [a-z.]+(?: --[a-z][\w-]*)*|--[a-z][\w-]*(?: --[a-z][\w-]*)*)")
NAMED = 3  # keys in a heading; of more, the first and the last
PRODUCTION = "DEPLOY_TO"  # the key of .env.example with which its second half begins
RANGES = {"WEB_PORT": (1, 65535), "SQL_PORT": (1, 65535), **production.LIMITS}
CHOICES = {
    "RUNTIME": settings.RUNTIMES,
    "DEBUG": settings.BOOLEANS,
    "NETWORK_ENCRYPTED": settings.BOOLEANS,
    "SQL_SSLMODE": settings.SSLMODES,
    "TLS": production.TLS_MODES,
}
OWN = (*production.OWN_KEYS, *production.ELSEWHERE_KEYS, production.ORIGINS)


def write(namespace: Collection) -> Iterator[str]:
    """Write every page that is out of date, unless under --dry, and yield its path."""
    for path, text in pages(namespace).items():
        file = ROOT / path
        if not file.exists() or file.read_text() != text:
            yield path
            if not this_task.dry:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)


def pages(namespace: Collection) -> dict[str, str]:
    """The text of each page by its path; `namespace` has the tasks of this repository."""
    made = {
        f"{FOLDER}/tasks.md": _joined(_tasks_page(namespace)),
        f"{FOLDER}/settings.md": _joined(_settings_page()),
        f"{FOLDER}/tool-djup.md": _joined(_layout_page()),
    }
    readme = (ROOT / "README.md").read_text()
    if TABLE.search(readme):
        tables = _joined(_tables(named(namespace)))
        made["README.md"] = TABLE.sub(lambda found: f"{found[1]}\n{tables}\n{found[2]}", readme)
    return made


def _joined(blocks: Iterable[str]) -> str:
    return "\n\n".join(block for block in blocks if block) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, without the columns that have nothing in them."""
    lines = list(rows)
    kept = [n for n in range(len(heads)) if any(line[n] for line in lines)]
    cells = [[line[n].replace("|", r"\|") for n in kept] for line in (heads, *lines)]
    cells.insert(1, ["---"] * len(kept))
    return "\n".join("|".join(("", *(f" {cell} " for cell in line), "")) for line in cells)


# The tasks.


def _tasks_page(namespace: Collection) -> Iterator[str]:
    yield "# Tasks"
    yield NOTE.format(source="the docstrings of the tasks")
    yield _filled(
        "`inv --help TASK` prints the same in a terminal. Some flags work with every task: "
        "`inv --dry nuke` shows its commands and changes nothing, `inv --echo up` shows every "
        "command. `inv --list` lists the tasks. Every task exits with the code of its command."
    )
    theirs = named(every_task())
    yield "\n".join(f"- [{group}](#{_anchor(group)})" for group in _groups(theirs))
    for group, names in _groups(theirs).items():
        yield f"## {group}"
        for name in names:
            yield from _task(f"inv {name}", theirs[name])
    yield "## Before there is a project"
    yield "`djup` comes with the wheel, as in `uvx --from WHEEL djup new shop`."
    for name, task in named(Collection(outside.new, outside.adopt)).items():
        yield from _task(f"djup {name}", task)
    yield "## In djup's own repository"
    yield "These tasks exist only there. Its `inv test` replaces the one of projects."
    for name, task in named(namespace).items():
        if name not in theirs or theirs[name].body is not task.body:
            yield from _task(f"inv {name}", task, " (djup)" if name in theirs else "")


def named(tasks: Collection) -> dict[str, Command]:
    """Each task by the name that one types, in the order of `inv --list`."""
    found = tasks.task_names.items()
    return {min((full, *aliases), key=len): tasks[full] for full, aliases in found}


def _tables(tasks: Mapping[str, Command]) -> Iterator[str]:
    """A table of each group: how a task is typed, and what it does."""
    for group, names in _groups(tasks).items():
        yield _table((group, ""), [_row(name, tasks[name]) for name in names])


def _row(name: str, task: Command) -> tuple[str, str]:
    """A task's line in the README, which says so where a project lacks the task or has another."""
    theirs, said = named(every_task()).get(name), helpline(task) or ""
    if theirs is None:
        said += " Only in djup's repository."
    elif theirs.body is not task.body:
        said += f" In a project: {helpline(theirs)}"
    return f"`{typed(name, task)}`", said


def typed(name: str, task: Command) -> str:
    """A task as one types it, with the arguments that it needs."""
    needed = [one.names[0].upper() for one in task.get_arguments() if one.positional]
    return " ".join(("inv", name, *needed, *(["-- …"] if task.rest else [])))


def _groups(tasks: Mapping[str, Command]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, task in tasks.items():
        groups.setdefault(task.group, []).append(name)
    return groups


def _task(name: str, task: Command, suffix: str = "") -> Iterator[str]:
    yield f"### {name}{suffix}"
    paragraphs = inspect.cleandoc(task.__doc__ or "").split("\n\n")
    prose = [one for one in paragraphs if not EXAMPLE.match(one)]
    examples = [
        line.split("  (") for one in paragraphs if one not in prose for line in one.split("\n")
    ]
    yield from (_filled(_coded(" ".join(one.split()))) for one in prose)
    yield "Arguments after `--` go to the command, word for word." if task.rest else ""
    if arguments := task.get_arguments():
        yield _table(("argument", "default", "meaning"), map(_flag, arguments))
    lines = [
        command + (f"  # {told[0].rstrip(')')}" if told else "") for command, *told in examples
    ]
    yield "\n".join(("```sh", *lines, "```")) if lines else ""


def _flag(argument: Argument) -> tuple[str, str, str]:
    name = argument.names[0].replace("_", "-")
    if argument.positional:
        return f"`{name.upper()}`", "", _meaning(argument)
    if argument.default is True:
        return f"`--no-{name}`", "", _meaning(argument).removeprefix(f"`--no-{name}` ")
    names = [f"`--{name}{' VALUE' if argument.takes_value else ''}`"]
    names += [f"`-{short}`" for short in argument.names if len(short) == 1]
    default = f"`{argument.default}`" if argument.takes_value and argument.default else ""
    return ", ".join(names), default, _meaning(argument)


def _meaning(argument: Argument) -> str:
    return _coded(argument.help or "")


def _coded(text: str) -> str:
    return CODE.sub(lambda found: f"`{found[0].rstrip('.')}`" + "." * found[0].endswith("."), text)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


# The settings.


def _settings_page() -> Iterator[str]:
    head, *blocks = map(_parsed, env_file.example().strip().split("\n\n"))
    names = [key for _, keys in blocks for key in keys]
    yield "# Settings"
    yield NOTE.format(source="`.env.example`")
    yield _filled(_marked(head[0].replace("this file", env_file.EXAMPLE.name), names))
    yield _filled(
        "The web container gets every other key of `.env` as an environment variable, except those "
        f"that begin with `{production.PREFIX}` or `DEPLOY_`. Variables that are rarely needed, "
        "such as `DB_WAIT_SECONDS`, are listed with "
        "[the image](production.md#the-production-image)."
    )
    first = next(n for n, (_, keys) in enumerate(blocks) if PRODUCTION in keys)
    for heading, part in (("Development", blocks[:first]), ("Production", blocks[first:])):
        yield f"## {heading}"
        for said, keys in part:
            yield f"### {_heading(list(keys))}"
            yield _filled(_marked(said, names))
            rows = [_key(*pair) for pair in keys.items()]
            told = len(rows) > NAMED or any(word for _, *words in rows for word in words)
            yield _table(("key", "default", "allowed"), rows) if told else ""
    yield "## Keys that production reads with PROD_ only"
    yield _filled(
        f"In production, `{production.PREFIX}KEY` replaces `KEY`, for any key. For these, "
        f"production never uses the key without `{production.PREFIX}`. Set them, or leave them "
        "empty:"
    )
    yield "\n".join(f"- `{production.PREFIX}{key}`" for key in OWN)


def _parsed(block: str) -> tuple[str, dict[str, str]]:
    """The comment of a block of .env.example, and its keys with their defaults."""
    lines = block.split("\n")
    words = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return words, {key: value for key, _, value in pairs}


def _heading(keys: Sequence[str]) -> str:
    return ", ".join(keys) if len(keys) <= NAMED else f"{keys[0]} to {keys[-1]}"


def _marked(words: str, names: Iterable[str]) -> str:
    """The text of a comment with Markdown's marks: keys and addresses as code, pages as links."""
    keys = "|".join(sorted({*names} - {"TLS"}, key=len, reverse=True))
    address = r"[a-z]+://[^\s,)]*[\w/]|\?\w[^\s,]*\w"
    code = rf"`[^`]*`|{address}|\\'|\*(?=\))|\.env\b(?:\.example)?|\b(?:PROD_|SQL_|{keys})(?!\w)"
    marked = re.sub(code, lambda found: f"`{found[0].strip('`')}`", words)
    return re.sub(r"djup's docs/((?:[\w-]+/)*([\w-]+)\.md)", r"[\2](../\1)", marked)


def _key(key: str, default: str) -> tuple[str, str, str]:
    return f"`{key}`", f"`{default}`" if default else "", _allowed(key)


def _allowed(key: str) -> str:
    if key in RANGES:
        low, high = RANGES[key]
        return f"a number from {low} to {high}"
    return ", ".join(f"`{one}`" for one in CHOICES.get(key, ()))


# [tool.djup].


def _layout_page() -> Iterator[str]:
    yield f"# [{layout.TABLE}]"
    yield NOTE.format(source="`packages/djup/src/djup/settings/layout.py`")
    yield _filled(
        f"The table `[{layout.TABLE}]` in `pyproject.toml` says how a repository differs from a "
        "new project. A new project has no such table. Paths start at the top folder of the "
        "repository."
    )
    told = _described()
    rows = (
        (f"`{_typed(one)}`", _default(one), _type(one), told[one.name])
        for one in fields(layout.Layout)
    )
    yield _table(("key", "default", "value", "meaning"), rows)
    yield "## environment"
    yield _filled(
        "Each key is a variable that your settings read. Its value is one of the names below, "
        "which fills the variable on every runtime:"
    )
    yield _table(("name", "value"), ((f"`{fact}`", words) for fact, words in layout.FACTS.items()))
    yield "\n".join(
        (
            "```toml",
            f"[{layout.TABLE}.environment]",
            'DJANGO_SECRET_KEY = "SECRET_KEY"',
            'POSTGRES_HOST = "SQL_HOST"',
            "```",
        )
    )
    yield "Other variables that your settings read go into `.env` under their own names."


def _described() -> dict[str, str]:
    """What stands in layout.py below each field."""
    [tree] = ast.parse(inspect.getsource(layout.Layout)).body
    assert isinstance(tree, ast.ClassDef)
    told = {}
    for field, words in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr):
            told[ast.unparse(field.target)] = " ".join(ast.literal_eval(words.value).split())
    return told


def _typed(one: "Field[object]") -> str:
    return one.name.replace("_", "-")


def _default(one: "Field[object]") -> str:
    return f"`{one.default}`" if one.default and one.default is not MISSING else ""


def _type(one: "Field[object]") -> str:
    return layout.allowed(_typed(one))
