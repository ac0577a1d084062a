"""The archive of production: what `--at` names, what `.env` may say, and when it is red."""

from datetime import UTC, datetime

import pytest

from djup.deploy import archive_lag, archiving, moments
from djup.deploy.archive_lag import Lag
from djup.deploy.swarm.swarm import Node, Swarm
from djup.problems import Problem

LIMIT = archive_lag.MOST_BYTES
DAY = archive_lag.DAY_SECONDS
NOW = datetime(2026, 11, 28, 14, 3, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-28 14:03:04", "2026-11-28 14:03:04.000000+00"),
        ("2026-11-28T14:03:04.5Z", "2026-11-28 14:03:04.500000+00"),
        ("2026-11-28 15:03:04+01:00", "2026-11-28 14:03:04.000000+00"),
        ("2026-11-28", "2026-11-28 00:00:00.000000+00"),
        (" 30s", "2026-11-28 14:02:35.000000+00"),
        ("10m", "2026-11-28 13:53:05.000000+00"),
        ("2 h", "2026-11-28 12:03:05.000000+00"),
        ("1d", "2026-11-27 14:03:05.000000+00"),
    ],
)
def test_a_moment(text: str, wanted: str) -> None:
    assert moments.as_text(moments.parsed(text, NOW)) == wanted


@pytest.mark.parametrize(
    "text", ["soon", "10", "10y", "-10m", "9999999999d", "2026-11-28 14:03:06", "2027-01-01"]
)
def test_no_moment_of_the_past(text: str) -> None:
    with pytest.raises(Problem, match="TASK06"):
        moments.parsed(text, NOW)


def test_copies_sort_by_the_time_in_their_names() -> None:
    assert moments.as_key(NOW) == "20261128T140305Z"


@pytest.mark.parametrize(
    ("value", "host"), [("7", ""), ("0d", ""), ("7d4w", ""), ("-1d", ""), ("7d", "pg.example.org")]
)
def test_a_value_that_is_refused(value: str, host: str) -> None:
    with pytest.raises(Problem, match="ENV06"):
        archiving.check({"ARCHIVE": value, "SQL_HOST": host}, "PROD_")


@pytest.mark.parametrize(
    ("lag", "code"),
    [
        (Lag(True, 0, 0.0, 5), None),
        (Lag(True, LIMIT, 0.5, 5), None),
        (Lag(True, LIMIT + 1, 0.5, 5), "DEP63"),
        (Lag(True, 0, 61, 5), "DEP63"),
        (Lag(False, 0, 0.0, 5), "DEP63"),
        (Lag(True, 0, 0.0, -1), "DEP63"),
        (Lag(True, 0, 0.0, 3 * DAY), "DEP63"),
        (Lag(True, 0, 0.0, 3 * DAY, daily=False), None),
        (Lag(True, 0, 0.0, 9 * DAY, daily=False), "DEP63"),
    ],
)
def test_when_it_is_red(lag: Lag, code: str | None) -> None:
    assert (lag.cause.code if lag.cause else None) == code


def node(name: str, *, ready: bool = True, **labels: str) -> Node:
    return Node(name, name, {f"{key}.shop": text for key, text in labels.items()}, ready, "")


@pytest.mark.parametrize(
    ("nodes", "wanted"),
    [
        ([node("a")], "a"),
        ([node("a", db="true"), node("b")], "b"),
        ([node("a"), node("b", db="true"), node("c")], "a"),
        ([node("b"), node("a"), node("c")], "b"),
        ([node("a", db="true"), node("b", ready=False), node("c")], "c"),
    ],
)
def test_it_is_put_on_another_node_than_the_database(nodes: list[Node], wanted: str) -> None:
    assert archiving.place("shop", Swarm(tuple(nodes), "a")) == wanted


def test_a_warning_where_it_is_lost_with_the_database() -> None:
    alone, apart = Swarm((node("a"),), "a"), Swarm((node("a", db="true"), node("b")), "a")
    wanted = {"ARCHIVE_DAYS": "7"}
    assert "is lost with it" in "".join(archiving.warnings(wanted, alone, "shop"))
    assert not [*archiving.warnings(wanted, apart, "shop")]
    assert not [*archiving.warnings({}, alone, "shop")]
