"""Which environment variables a settings module reads, and which facts of the toolkit they are."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from djup.problems import problem

OWN = "(?:(?:DJANGO|APP|PROJECT|SITE|WEB)_)?"
DATABASE = r"(?:DJANGO_)?(?:POSTGRES(?:QL)?|DATABASE|DB|PG|RDS|SQL)_?"
# Which fact of `environment` in [tool.djup] a variable's name stands for.
MEANINGS = (
    (rf"{OWN}SECRET_KEY", "SECRET_KEY"),
    (r"(?:\w+_)?ALLOWED_HOSTS", "ALLOWED_HOSTS"),
    (r"(?:\w+_)?CSRF_TRUSTED_ORIGINS", "CSRF_TRUSTED_ORIGINS"),
    (r"(?:\w+_)?(?:DATABASE|DB|POSTGRES)_URL", "DATABASE_URL"),
    (rf"{DATABASE}(?:DB|NAME|DATABASE|DB_NAME)", "SQL_DATABASE"),
    (rf"{DATABASE}USER(?:NAME)?", "SQL_USER"),
    (rf"{DATABASE}PASS(?:WORD|WD)?", "SQL_PASSWORD"),
    (rf"{DATABASE}HOST(?:NAME)?", "SQL_HOST"),
    (rf"{DATABASE}PORT", "SQL_PORT"),
)
DEBUG = re.compile(rf"{OWN}DEBUG")
# What calls a variable is read by: environ's env("X"), decouple's config("X"), own functions.
READER = re.compile(r"(?i)env|^config$")
STRICT = ("env", "config")  # which fail without a value; what own functions do is not known
WHOLE = ("int", "float", "Decimal")


@dataclass(frozen=True)
class Variable:
    """A variable that settings read: whether they fail without it, and how its value is used."""

    name: str
    required: bool
    as_number: bool = False

    @property
    def fact(self) -> str:
        """The fact of the toolkit that it stands for; '' if none is known."""
        for pattern, fact in MEANINGS:
            if re.fullmatch(pattern, self.name):
                return fact
        if DEBUG.fullmatch(self.name):
            return "DEBUG" if self.as_number else "DEBUG_WORD"
        return ""


def read_by(files: Iterable[Path]) -> dict[str, Variable]:
    """The variables that these modules read, by their names."""
    found: dict[str, Variable] = {}
    for file in files:
        for variable in _in(parsed(file)):
            known = found.get(variable.name)
            required = variable.required or bool(known and known.required)
            number = variable.as_number or bool(known and known.as_number)
            found[variable.name] = Variable(variable.name, required, number)
    return found


def parsed(file: Path) -> ast.Module:
    """A module of settings; the problem of one that is not Python, or that of a newer version."""
    try:
        return ast.parse(file.read_text(encoding="utf-8-sig"))
    except (SyntaxError, ValueError) as error:
        where = f"{file.name} line {getattr(error, 'lineno', 1)}"
        raise problem("NEW09.unreadable", where=where, reason=str(error)) from None


def _in(tree: ast.Module) -> Iterator[Variable]:
    looked_for = {*_compared(tree), *_with_default(tree)}
    numbers = {id(one) for call in _calls(tree, WHOLE) for one in ast.walk(call)}
    for node in ast.walk(tree):
        name, required = _read(node)
        if name:
            yield Variable(name, required and name not in looked_for, id(node) in numbers)


def _calls(tree: ast.AST, names: Iterable[str]) -> Iterator[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return (call for call in calls if isinstance(call.func, ast.Name) and call.func.id in names)


def _compared(tree: ast.AST) -> Iterator[str]:
    """Names as in `if "X" in os.environ`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            yield _text(node.left)


def _with_default(tree: ast.AST) -> Iterator[str]:
    """Names as in `environ.Env(X=(bool, False))`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func).endswith("Env"):
            yield from (keyword.arg or "" for keyword in node.keywords)


def _read(node: ast.AST) -> tuple[str, bool]:
    """The variable that an expression reads, and whether it fails without it; '' if it is none."""
    if isinstance(node, ast.Subscript) and _name(node.value).endswith("environ"):
        return _text(node.slice), isinstance(node.ctx, ast.Load)
    if not isinstance(node, ast.Call) or not node.args:
        return "", False
    name, words = _text(node.args[0]), _name(node.func).split(".")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or not any(map(READER.search, words)):
        return "", False
    # A second argument is a default, and so is each of get, pop, getenv and setdefault.
    given = len(node.args) > 1 or any(keyword.arg == "default" for keyword in node.keywords)
    lenient = words[-1] in ("get", "pop", "getenv", "setdefault")
    return name, words[0].lower() in STRICT and not given and not lenient


def _name(node: ast.expr) -> str:
    """A dotted name, such as os.environ; '' for any other expression."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
