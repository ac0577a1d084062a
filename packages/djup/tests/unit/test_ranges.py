"""A free range for a new Swarm, and addresses that a network hides."""

from ipaddress import IPv4Network

import pytest
from releases import release

from djup.deploy.swarm import ranges, toolbox
from djup.host.process import Result

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_routes() -> None:
    assert [str(one) for one in ranges.routes_in(ROUTES)] == ["10.0.0.0/16", "172.17.0.0/16"]
    assert ranges.routes_in("") == []


@pytest.mark.parametrize(
    ("routes", "hosts", "free"),
    [
        (["10.0.0.0/16"], [], "10.201.0.0/16"),
        (["10.201.7.0/24"], [], "10.202.0.0/16"),
        (["10.0.0.0/16"], ["10.201.0.9", "10.202.3.4"], "10.203.0.0/16"),
        (["10.0.0.0/8"], [], "192.168.224.0/19"),
        (["10.0.0.0/8", "192.168.0.0/16"], [], ranges.LAST),
        ([], ["no such name", ""], "10.201.0.0/16"),
    ],
)
def test_a_range_is_free_of_routes_and_hosts(
    routes: list[str], hosts: list[str], free: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_routes", lambda image: [])
    monkeypatch.setattr(ranges, "docker_ranges", lambda: [IPv4Network(one) for one in routes])
    assert ranges.free_pool("caddy", hosts) == free


def test_what_cannot_be_looked_at_has_no_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges.process, "run", lambda *_, **__: Result(125, "", "no image"))
    assert ranges._routes("caddy") == []


def test_addresses_in_a_text() -> None:
    refusal = "multiple addresses on different interfaces (203.0.113.7 on b and 10.0.0.5 on eth0)"
    assert ranges.written_in(refusal) == ["203.0.113.7", "10.0.0.5"]
    assert ranges.written_in("redis://:p@10.0.1.7:6379/0 1.2.3.4.5 999.1.1.1 v1.2.3") == [
        "10.0.1.7"
    ]
    assert ranges.best(["203.0.113.7", "10.0.0.5"]) == "10.0.0.5"
    assert ranges.best(["8.8.8.8", "9.9.9.9"]) == "8.8.8.8"
    assert ranges.best([]) == "127.0.0.1"


def test_a_network_hides_what_lies_within_it() -> None:
    known = {"a_front": [IPv4Network("10.0.1.0/24")], "a_back": [IPv4Network("10.0.2.0/24")]}
    assert ranges.hidden(["10.0.3.1"], known) == ("", "", "")
    assert ranges.hidden(["8.8.8.8", "10.0.2.7"], known) == ("10.0.2.7", "a_back", "10.0.2.0/24")


def test_an_image_that_was_pruned_is_had_again() -> None:
    """The web's is built from its commit, another one is fetched; the rest is as it was told."""
    found = release()
    assert toolbox._no_tools("no space left", found.image, found).code == "DEP21"
    ours = toolbox._no_tools(f"No such image: {found.image}", found.image, found)
    assert ours.code == "DEP45" and "from commit abc: inv deploy" in ours.fix
    theirs = toolbox._no_tools("No such image: postgres:18", "postgres:18", found)
    assert theirs.code == "DEP45" and theirs.fix.startswith("docker pull postgres:18;")
