"""What is read from the engine's answers."""

import pytest

from ops import docker


@pytest.mark.parametrize(
    ("finished", "seconds"),
    [
        ("2026-03-01T10:00:00.912345678Z", 1772359200.912345),
        ("2026-03-01T10:00:00.9Z", 1772359200.9),  # the engine drops zeros at the end
        ("2026-03-01T10:00:00Z", 1772359200.0),
    ],
)
def test_the_end_of_a_container_is_known_to_the_fraction(
    monkeypatch: pytest.MonkeyPatch, finished: str, seconds: float
) -> None:
    monkeypatch.setattr(docker, "inspect", lambda name: {name: {"State": {"FinishedAt": finished}}})
    container = docker.Container("web-1", *[""] * 10)
    assert docker.ended(container) == pytest.approx(seconds)
