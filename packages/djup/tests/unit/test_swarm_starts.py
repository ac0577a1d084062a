"""Containers that an engine cannot start at first, since it is busy with what it has mounted."""

from typing import Any

import pytest
from releases import release

from djup.deploy.swarm import jobs, toolbox
from djup.deploy.swarm.jobs import Outcome
from djup.problems import Problem

BUSY = "starting container failed: unable to remount dir as readonly: device or resource busy"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was created and removed, without an engine."""
    made: list[str] = []
    for module, name in ((jobs, "create"), (toolbox.process, "clean_up")):
        monkeypatch.setattr(module, name, lambda *_, name=name, **__: made.append(name))
    return made


def answers(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *found: Any) -> None:
    left = list(found)
    monkeypatch.setattr(module, name, lambda *_: left.pop(0))


def test_a_toolbox_is_created_again(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, toolbox, "_started", ("", BUSY), ("tools.1", ""))
    create = lambda: calls.append("create")  # noqa: E731
    assert toolbox._container("tools", "web", release(), create) == "tools.1"
    assert calls == ["create", "clean_up", "create"]


@pytest.mark.parametrize(("obstacle", "times"), [(BUSY, jobs.STARTS), ("no space left", 1)])
def test_it_is_given_up(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, obstacle: str, times: int
) -> None:
    answers(monkeypatch, toolbox, "_started", *[("", obstacle)] * times)
    with pytest.raises(Problem, match=obstacle):
        toolbox._container("tools", "web", release(), lambda: calls.append("create"))
    assert calls.count("create") == times


@pytest.mark.parametrize(("error", "times"), [(BUSY, 2), ("task: non-zero exit (1)", 1)])
def test_a_job_runs_again_that_has_not_begun(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, error: str, times: int
) -> None:
    answers(monkeypatch, jobs, "outcome", Outcome(False, "", error), Outcome(True, "", ""))
    assert jobs.run(release(), "migrate", ["migrate"]).good == (times == 2)
    assert calls.count("create") == times
