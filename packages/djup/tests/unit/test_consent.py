"""Consent is decided in one place: by --yes, by a dry run, or by what a person types."""

import ast
import io
import sys

import pytest

from djup import ROOT
from djup.terminal import consent
from djup.terminal.consent import Answer
from djup.terminal.task import this_task


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal at which somebody types what is written here."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    return terminal


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("shop\n"))


def typing(terminal: io.StringIO, text: str) -> None:
    terminal.write(text)
    terminal.seek(0)


@pytest.mark.parametrize(("text", "given"), [("shop\n", True), ("shpo\n", False), ("", False)])
def test_it_is_the_name(
    types: io.StringIO, text: str, given: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    typing(types, text)
    assert consent.by_name("Type the name", "shop") == Answer(given, True, text.strip())
    assert capsys.readouterr().err == "Type the name: shop\n"


@pytest.mark.usefixtures("nobody")
def test_nobody_gives_it_through_a_pipe() -> None:
    assert not consent.is_possible()
    assert consent.by_name("Type the name", "shop") == Answer(given=False, asked=False)
    assert not consent.by_yes("Do it?")


@pytest.mark.usefixtures("nobody")
def test_it_can_be_given_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert consent.is_possible(yes=True) and consent.by_yes("Do it?", yes=True)
    assert consent.by_name("Type the name", "shop", yes=True).given
    monkeypatch.setattr(this_task, "dry", True)
    assert consent.is_possible() and consent.by_name("Type the name", "shop").given
    assert not consent.by_yes("Do it?")  # a dry run that would change how the engine is refuses
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("text", "given"), [("y\n", True), ("Yes\n", True), ("\n", False)])
def test_yes_is_enough_for_what_takes_nothing_away(
    types: io.StringIO, text: str, given: bool
) -> None:
    typing(types, text)
    assert consent.by_yes("Do it?") == given


def test_nobody_else_asks() -> None:
    asking = {
        file.stem
        for file in (ROOT / "packages/djup/src").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("input", "sys.stdin.isatty", "sys.stdin.readline")
    }
    assert asking == {"consent", "process"}  # the latter: whether a child gets a terminal
