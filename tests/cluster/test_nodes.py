"""Nodes that die or are cut off: the others serve on, and nothing that was written is lost."""

from collections.abc import Iterator

import pytest
from deployed import Site, three_nodes
from nodes import NUMBERS
from stacks import eventually
from traffic import Traffic

pytestmark = three_nodes
MOST_SECONDS = 30  # that a visitor with new connections is without an answer
NEW = ("new 1", "new 2")


@pytest.fixture(scope="module", autouse=True)
def three_replicas(site: Site) -> None:
    """One for each node."""
    site.stack.set("WEB_REPLICAS", "3")
    site.deploy()
    assert_spread(site)


def assert_spread(site: Site) -> None:
    assert sorted(site.tasks().values()) == ["node1", "node2", "node3"]


@pytest.fixture(autouse=True)
def whole(site: Site) -> Iterator[None]:
    """Two nodes less would be no majority: whatever comes of a test, all are back after it. The
    database is not where the leader is: without it no new replica gets ready."""
    site.cluster.wait_until_whole(1)
    site.cluster.lead_elsewhere(*site.cluster.labelled(1, f"db.{site.name}"))
    yield
    site.cluster.mend()


def spread(site: Site) -> None:
    """One replica on each node again: Swarm leaves them where a lost node's have gone to."""
    for replicas in (6, 3):
        web = f"{site.name}_web={replicas}"
        site.cluster.docker(1, "service", "scale", "--detach=false", web)
    assert_spread(site)


def roles(site: Site) -> tuple[int, int, int]:
    """The numbers of the nodes: that leads, that has the database, and the third."""
    leader = site.cluster.leader(1)
    (database,) = site.cluster.labelled(1, f"db.{site.name}")
    return leader, database, next(n for n in NUMBERS if n not in (leader, database))


def assert_served_on(site: Site, traffic: Traffic) -> None:
    """Failures are few and short: those that were on their way to what ended."""
    assert traffic.longest_gap(*NEW) < MOST_SECONDS, traffic.in_words()
    assert len(traffic.failed) < len(traffic.answers) / 5, traffic.in_words()
    site.assert_nothing_lost()


def until_elsewhere(site: Site, lost: int) -> None:
    """Until all replicas run, none of them on that node."""

    def elsewhere() -> bool:
        if not answers(site):  # the managers have no leader
            return False
        nodes = list(site.tasks().values())
        return len(nodes) == 3 and f"node{lost}" not in nodes

    eventually(elsewhere, 180, "the replicas run elsewhere")


def answers(site: Site) -> bool:
    """Whether the state is told; while there is no leader, that is what is said."""
    asked = site.inv("deploy.status", code=None)
    assert not asked.returncode or "error DOCKER08" in asked.stderr, asked.stderr
    return not asked.returncode


def test_a_node_that_is_cut_off_and_comes_back(site: Site) -> None:
    """One that manages nothing: a manager has the others elect anew when it is back, after which
    Swarm at times starts nothing for minutes (docs/how-to/cluster.md), and no test could go on."""
    leader, _, third = roles(site)
    with (
        site.cluster.as_worker(third, asked=leader),
        site.asked_from(leader),
        site.visited("a node is cut off") as traffic,
    ):
        site.cluster.act("cut", str(third))
        until_elsewhere(site, third)
        site.cluster.act("mend", str(third))
        site.cluster.wait_until_ready(third, asked=leader)
        eventually(lambda: traffic.calm_seconds() > 3, 180, "the site is well again")
    assert_served_on(site, traffic)


def test_the_leader_of_the_managers_is_killed(site: Site) -> None:
    leader, _, third = roles(site)
    spread(site)
    with site.visited("the leader is killed") as traffic, site.asked_from(third):
        site.cluster.act("kill", str(leader))
        until_elsewhere(site, leader)
        eventually(lambda: traffic.calm_seconds() > 3, 180, "the site is well again")
        assert site.cluster.leader(third) not in (0, leader)
    site.cluster.act("start", str(leader))
    site.cluster.wait_until_whole(third)
    assert_served_on(site, traffic)


def test_a_node_is_killed(site: Site) -> None:
    leader, database, third = roles(site)
    other = next(n for n in (third, leader) if f"node{n}" in site.tasks().values())
    with site.visited("a node is killed") as traffic, site.asked_from(database):
        site.cluster.act("kill", str(other))
        until_elsewhere(site, other)
        eventually(lambda: traffic.calm_seconds() > 3, 180, "the site is well again")
    site.cluster.act("start", str(other))
    site.cluster.wait_until_whole(database)
    assert_served_on(site, traffic)


@pytest.mark.fault("DOCKER08", "docker")
def test_most_managers_are_gone(site: Site) -> None:
    """Nothing can be changed until they are back; what runs is served on."""
    leader, database, third = roles(site)
    with site.visited("most managers are gone") as traffic, site.asked_from(database):
        for lost in (leader, third):
            site.cluster.act("kill", str(lost))
        eventually(lambda: not answers(site), 60, "it is said that there is no leader")
        site.refused("DOCKER08")
        for lost in (leader, third):
            site.cluster.act("start", str(lost))
        site.cluster.wait_until_whole(database)
    assert_served_on(site, traffic)


def test_the_node_of_the_database_is_killed(site: Site) -> None:
    """There is no other: until it is back, the answer is when to come again."""
    leader, database, third = roles(site)
    other = next(n for n in (leader, third) if n != database)
    with site.visited("the node of the database is killed") as traffic, site.asked_from(other):
        site.cluster.act("kill", str(database))
        eventually(lambda: said_unavailable(traffic) > 10, 120, "visitors are told")
        site.cluster.act("start", str(database))
        site.cluster.wait_until_whole(other)
        eventually(lambda: traffic.calm_seconds() > 3, 180, "the site is well again")
    told = [answer for answer in traffic.failed if answer.status]
    assert {answer.status for answer in told} == {503}, traffic.in_words()
    assert all(answer.retry_after for answer in told)
    assert len(traffic.failed) - len(told) < 10, traffic.in_words()
    site.assert_nothing_lost()


def said_unavailable(traffic: Traffic) -> int:
    return sum(answer.status == 503 for answer in traffic.failed)
