"""Consent: what takes data away is confirmed by its name, by a person at a terminal."""

import sys

from djup.terminal import console


def can_be_asked() -> bool:
    """Whether a question would be read and answered by a person."""
    return sys.stdin.isatty()


def typed(question: str, name: str) -> str:
    """What is typed after the question, which asks for a name; consent, if it is that name."""
    console.say(f"{question}: {name}")
    return sys.stdin.readline().strip()
