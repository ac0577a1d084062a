"""`inv deploy` for real: on three nodes that can be killed (CLUSTER), and on this machine alone.

A site is deployed once, and each test leaves it deployed and whole.
"""

import os
from collections.abc import Iterator

import pytest
from deployed import FIGURES, Site, watch_for_a_second
from nodes import REGISTRY, Cluster, ThisMachine, way_outside
from stacks import Docker, Make

NAME = "roll"
THREE = {
    "DEPLOY_TO": Cluster.socket(1),
    "DOMAIN": "shop.example.org",
    "TLS": "internal",
    "REGISTRY": REGISTRY,
    "STACK": NAME,
    "NETWORK_ENCRYPTED": "0",  # the nodes share a kernel that need not have IPsec
    "MEDIA": "none",  # or the attachments of the example would have to be for all nodes
}


# After a node that was killed, Swarm's networks are not always what they were: that is for these to
# bear, and not for what has nothing to do with it.
LAST = ("test_jobs.py", "test_nodes.py", "test_archive.py", "test_standby.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name in LAST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for figure in FIGURES:
        terminalreporter.write_line(figure)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes, whole, with nothing of ours on them."""
    if not os.environ.get("CLUSTER"):
        pytest.skip("CLUSTER names no script that makes three nodes; see docs/how-to/test-djup.md")
    nodes = Cluster()
    with nodes.to_ourselves(), way_outside():
        nodes.act("up")
        nodes.mend()
        nodes.remove(NAME)
        nodes.lock_databases()
        yield nodes
        nodes.mend()


def first_that_fails(site: Site) -> str:
    """What is said of a first deploy whose page is an error; the next one is the first again."""
    with site.taken_back():
        site.change("project/home/views.py", "    context = {", "    context = {1: 1 / 0,")
        return site.refused("DEP39", "deploy", "--yes")


@pytest.fixture(scope="session", params=["three", "one"])
def site(
    request: pytest.FixtureRequest, lasting_make: Make, docker_runtime: Docker
) -> Iterator[Site]:
    """A site that was deployed once: on three nodes, and on this machine."""
    kind = request.param
    stack = lasting_make(docker_runtime, name=f"site-{kind}", **THREE)
    if kind == "three":
        engines = request.getfixturevalue("cluster")
        engines.label(NAME, database=engines.not_leading())
        made = Site(stack, engines, NAME, ())
    else:
        engines = ThisMachine()
        made = Site(stack, engines, f"{stack.project}-local", ("--local",))
    watch_for_a_second(stack)
    made.git("init", "--quiet")
    made.commit()
    try:
        if not engines.in_a_swarm:
            made.said_before = made.inv("deploy", code=1).stderr
        if kind == "one":
            made.said_first = first_that_fails(made)
        made.deploy("--yes")
        yield made
    finally:
        engines.remove(made.name)
