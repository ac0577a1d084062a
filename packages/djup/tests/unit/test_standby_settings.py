"""The standby of production: where it is put, what `.env` may say, and when it is red."""

import pytest

from djup.deploy import standby, standby_lag
from djup.deploy.standby_lag import Lag
from djup.deploy.swarm.swarm import Node, Swarm
from djup.problems import Problem

LIMIT = standby_lag.MOST_BYTES


@pytest.mark.parametrize(("value", "host"), [("two", ""), ("7d", ""), ("1", "pg.example.org")])
def test_a_value_that_is_refused(value: str, host: str) -> None:
    with pytest.raises(Problem, match="ENV06"):
        standby.check({"STANDBY": value, "SQL_HOST": host}, "PROD_")


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_without_one_nothing_of_it_is_there(value: str) -> None:
    chosen = {"STANDBY": value, "SQL_HOST": "pg.example.org"}
    standby.check(chosen, "PROD_")
    assert not standby.values(chosen) and not standby.configs(chosen)
    assert not [*standby.files(chosen)]


@pytest.mark.parametrize(
    ("lag", "code"),
    [
        (Lag(True, 0, 0.0), None),
        (Lag(True, LIMIT, 0.5), None),
        (Lag(True, LIMIT + 1, 0.5), "DEP65"),
        (Lag(True, 0, 61), "DEP65"),
        (Lag(False, 0, 0.0), "DEP65"),
        (Lag(False, 0, 0.0, 45), "DEP65"),
    ],
)
def test_when_it_is_red(lag: Lag, code: str | None) -> None:
    assert (lag.cause.code if lag.cause else None) == code


def node(name: str, *, ready: bool = True, **labels: str) -> Node:
    return Node(name, name, {f"{key}.shop": text for key, text in labels.items()}, ready, "")


@pytest.mark.parametrize(
    ("nodes", "archives", "wanted"),
    [
        ([node("a", db="true"), node("b")], set(), "b"),
        ([node("a"), node("b", db="true"), node("c")], set(), "a"),
        ([node("a", db="true"), node("b"), node("c")], {"b"}, "c"),
        ([node("a", db="true"), node("b")], {"b"}, "b"),
        ([node("a"), node("b")], set(), "b"),
    ],
)
def test_it_is_put_on_another_node_than_the_database(
    nodes: list[Node], archives: set[str], wanted: str
) -> None:
    assert standby.place("shop", Swarm(tuple(nodes), "a"), archives).id == wanted


@pytest.mark.parametrize(
    "nodes",
    [
        [node("a")],
        [node("a", db="true"), node("b", ready=False)],
        [node("a", db="true", standby="true"), node("b")],
    ],
)
def test_a_swarm_where_it_cannot_be(nodes: list[Node]) -> None:
    with pytest.raises(Problem, match="DEP65"):
        standby.refuse_impossible("shop", Swarm(tuple(nodes), "a"))
