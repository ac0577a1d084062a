"""Consent: what takes data away is confirmed by its name, by a person at a terminal."""

import sys
from dataclasses import dataclass

from djup.terminal import console
from djup.terminal.task import this_task


@dataclass(frozen=True)
class Answer:
    """What a question came to: consent is `given` or not; `asked` is False where nobody could
    answer, `typed` is what somebody did."""

    given: bool
    asked: bool = True
    typed: str = ""


def is_possible(yes: bool = False) -> bool:
    """Whether `by_name` would find consent given, or somebody to ask for it."""
    return _is_given(yes) or sys.stdin.isatty()


def by_name(question: str, name: str, *, yes: bool = False) -> Answer:
    """Ask for consent, which is the `name` that the question ends with; --yes gives it, and a dry
    run needs none."""
    if _is_given(yes):
        return Answer(given=True)
    answer = _ask(f"{question}: {name}")
    return Answer(answer.typed == name, answer.asked, answer.typed)


def by_yes(question: str, *, yes: bool = False) -> bool:
    """Ask for consent to what takes nothing away: y or yes, or --yes."""
    return yes or _ask(f"{question} [y/N]").typed.lower() in ("y", "yes")


def _is_given(yes: bool) -> bool:
    return yes or this_task.dry


def _ask(question: str) -> Answer:
    if not sys.stdin.isatty():
        return Answer(given=False, asked=False)
    console.say(question)
    return Answer(given=False, typed=sys.stdin.readline().strip())
