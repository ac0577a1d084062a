"""Every problem: a code of its own, a sentence, and what to type."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from ops import problems
from ops.problems import Problem

SAMPLES = {int: 4, str: "x", OSError: OSError(2, "x"), "Iterable": ["x"], "None": None}
MAKERS: dict[str, Callable[..., Problem]] = {
    name: function
    for name, function in inspect.getmembers(problems, inspect.isfunction)
    if function.__module__ == problems.__name__
}


def sample(annotation: Any) -> Any:
    if annotation in SAMPLES:
        return SAMPLES[annotation]
    return next(value for key, value in SAMPLES.items() if str(key) in str(annotation))


def made(maker: Callable[..., Problem]) -> Problem:
    found = inspect.signature(maker).parameters.values()
    return maker(*(sample(parameter.annotation) for parameter in found))


@pytest.mark.parametrize("name", MAKERS)
def test_has_a_code_a_sentence_and_a_mend(name: str) -> None:
    problem = made(MAKERS[name])
    assert re.fullmatch(r"[A-Z]+\d\d", problem.code)
    assert problem.what.strip() and problem.mend.strip()
    first, second = str(problem).splitlines()
    assert first == f"error {problem.code}: {problem.what}"
    assert second.strip() == f"to mend it: {problem.mend}"


def test_codes_are_unique() -> None:
    codes = [made(maker).code for maker in MAKERS.values()]
    codes += [problems.service_failed(service, "x").code for service in ("db", "web")]
    assert len(MAKERS) > 20
    assert sorted(codes) == sorted(set(codes))
