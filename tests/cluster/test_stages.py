"""Two sites on one node: production and a stage, each by itself, and both behind the edge.

The tests build on each other: production moves to the edge, the stage comes, changes, and goes.
"""

import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deployed import Site, assert_none_failed, to_this_machine
from nodes import ThisMachine
from stacks import Docker, Make, docker, eventually
from tls import Authority
from traffic import Place, Visitor

from djup.deploy import edge
from djup.host import ports
from djup.settings import dotenv

SHOP, STAGING = "shop.example.org", "staging.example.org"
NETWORKS = (edge.SITES, edge.INNER)


def _ports(first: int) -> tuple[str, str]:
    http = ports.free_port(first)
    return str(http), str(ports.free_port(http + 1))


@pytest.fixture(scope="module")
def shop(lasting_make: Make, docker_runtime: Docker) -> Iterator[Site]:
    """Production, with a proxy of its own."""
    http, https = _ports(9480)
    values = {
        **{"DOMAIN": SHOP, "HTTP_PORT": http, "HTTPS_PORT": https, "WEB_WORKERS": "1"},
        **{"STAGES": "staging", "STAGING_DOMAIN": STAGING},
    }
    engines = ThisMachine()
    made = to_this_machine(lasting_make, docker_runtime, engines, "pair", **values)
    try:
        made.deploy("--yes")
        yield made
    finally:
        was, engines.in_a_swarm = engines.in_a_swarm, True  # until the last one is removed
        engines.remove("pair-staging")
        engines.remove(edge.NAME)
        engines.in_a_swarm = was
        engines.remove("pair")
        for network in NETWORKS:
            docker("network", "rm", network, check=False)


@pytest.fixture(scope="module")
def staging(shop: Site) -> Site:
    return replace(shop, name="pair-staging", target=("--env", "staging"), known_place=None)


def edge_container() -> str:
    label = f"label=com.docker.swarm.service.name={edge.NAME}_proxy"
    return docker("ps", "--quiet", "--filter", label).stdout.strip()


@pytest.mark.fault("DEP72", "docker")
def test_two_proxies_of_one_node_need_ports_of_their_own(shop: Site, staging: Site) -> None:
    said = staging.refused("DEP72")
    assert "stack pair" in said and "STAGING_HTTP_PORT" in said
    assert "STAGING_SQL_PASSWORD" in shop.stack.values, "secrets of its own"
    assert docker("service", "ls", "--quiet", "--filter", "name=pair-staging").stdout == ""


def test_to_the_edge(shop: Site) -> None:
    """The ports pass from one to the other: that is named, and has to be agreed to."""
    shop.stack.set("EDGE", "1")
    said = shop.refused("DEP13")
    assert "the ports pass from one proxy to another one" in said
    with shop.visited("to the edge") as traffic:
        shop.deploy("--allow-downtime")
    assert traffic.longest_gap() < 20, traffic.in_words()
    assert shop.heading()


def test_a_stage_comes(shop: Site, staging: Site) -> None:
    before = edge_container()
    with shop.visited("a stage comes to the edge") as traffic:
        staging.deploy()
    assert_none_failed(traffic)
    assert staging.heading() and edge_container() == before
    assert shop.sql("select 1") == staging.sql("select 1") == "1"
    assert json.loads(shop.inv("deploy.history", "--json").stdout)[0]["serves"]


def test_who_a_visitor_is_cannot_be_forged(shop: Site) -> None:
    forged = {"X-Forwarded-For": "203.0.113.99", "X-Forwarded-Proto": "http", "Forwarded": "for=x"}
    answer, _ = Visitor(shop.place, "forger").ask("GET", "/?forged", **forged)
    assert answer.status == 200, "and not led to https once more"
    lines = shop.inv("deploy.logs", "--service", "proxy", "--lines", "5").stdout
    addresses = re.findall(r'"client_ip":"([^"]+)"', lines)
    assert addresses and "203.0.113.99" not in addresses, lines
    [[network]] = [edge._ranges()]
    assert not any(address.startswith(network.rpartition(".")[0]) for address in addresses), lines


def test_http_leads_to_https_and_no_other_name_is_served(shop: Site) -> None:
    port = int(shop.stack.values["HTTP_PORT"])
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for host, status in ((SHOP, 308), (SHOP.upper(), 308), ("evil.example", 421)):
        link.request(
            "GET", "/a?b", headers={"Host": host, "If-None-Match": '"x"', "Range": "bytes=0-1"}
        )
        answer = link.getresponse()
        answer.read()
        assert answer.status == status, host
        if status == 308:
            location = answer.getheader("Location", "").lower()
            assert location == f"https://{SHOP}:{shop.place.port}/a?b"
    answer, _ = Visitor(shop.place, "forger").ask("GET", "/", Host="evil.example")
    assert answer.status == 421


@pytest.mark.fault("DEP73", "docker")
def test_a_name_is_one_site_s(shop: Site) -> None:
    with shop.taken_back():
        shop.stack.set("STACK", "third")
        said = shop.refused("DEP73", "deploy")
    assert SHOP in said and "pair" in said


def test_a_stage_changes(shop: Site, staging: Site, tmp_path: Path) -> None:
    """To another name, with a certificate of its own."""
    other = "qa.example.org"
    shop.stack.set("STAGING_DOMAIN", other)
    authority = Authority.made_in(tmp_path / "authority")
    for key, text in authority.issue(f"DNS:{other}").items():
        (tmp_path / key).write_text(text)
    own = {"TLS": "certificate", "TLS_CERT": tmp_path / "CERTIFICATE", "TLS_KEY": tmp_path / "KEY"}
    for key, value in own.items():
        shop.stack.set(f"STAGING_{key}", str(value))
    with shop.visited("a stage gets another name") as traffic:
        staging.deploy()
    assert_none_failed(traffic)
    place = Place(other, shop.place.port, shop.place.addresses)
    assert Visitor(place, "one").get()[0].status == 200
    trusts = ssl.create_default_context(cafile=str(authority.folder / "ca.pem"))
    with socket.create_connection(("127.0.0.1", place.port)) as plain:
        trusts.wrap_socket(plain, server_hostname=other).close()
    gone = Place(STAGING, shop.place.port, shop.place.addresses)
    assert Visitor(gone, "one").get()[0].status == 0, "no certificate for it any more"


def test_the_edge_starts_without_being_told(shop: Site) -> None:
    """Also where nobody can tell it."""
    docker("service", "scale", "--detach", f"{edge.NAME}_routes=0")
    before = edge_container()
    docker("kill", before)  # Swarm starts another one, with the same volumes
    eventually(lambda: edge_container() not in ("", before), 30, "there is another one")
    eventually(lambda: Visitor(shop.place, "one").get()[0].good, 30, "it serves again")
    docker("service", "scale", "--detach", f"{edge.NAME}_routes=1")


def test_the_status_names_the_edge(shop: Site) -> None:
    said = shop.inv("deploy.status").stdout
    assert "behind the edge" in said and "pair-staging" in said
    listed = json.loads(shop.inv("deploy.edge", "--json").stdout)
    assert {one["stack"]: one["tls"] for one in listed} == {
        "pair": "internal",
        "pair-staging": "certificate",
    }


@pytest.mark.fault("DEP76", "docker")
def test_nobody_s_site_is_taken_from_under_them(shop: Site) -> None:
    """Not by a removal, nor by a release that had the ports itself."""
    shop.refused("DEP76", "deploy.edge", "--remove", "--yes")
    assert "stack edge" in shop.refused("DEP72", "deploy.rollback", "--allow-downtime")


def test_a_stage_goes(shop: Site, staging: Site) -> None:
    with shop.visited("a stage goes") as traffic:
        staging.inv("deploy.down", "--yes")
    assert_none_failed(traffic)
    text = docker("exec", edge_container(), "cat", "/config/live/hosts.txt").stdout
    assert "pair-staging" not in text and "pair-proxy" in text


def test_back_to_a_proxy_of_ones_own(shop: Site) -> None:
    shop.stack.set("EDGE", "0")
    shop.refused("DEP13")
    with shop.visited("back to its own proxy") as traffic:
        shop.deploy("--allow-downtime")
    assert traffic.longest_gap() < 20, traffic.in_words()
    assert not edge_container() and shop.heading()
    assert dotenv.parse(shop.inv("deploy.env").stdout)["TLS"] == "internal"
    shop.assert_nothing_lost()


def test_a_first_deploy_makes_the_edge(shop: Site) -> None:
    """And whoever is the last to go leaves it: there is a task that removes it."""
    shop.inv("deploy.down", "--yes")
    shop.stack.set("EDGE", "1")
    shop.deploy()
    assert shop.heading() and edge_container()
    shop.assert_nothing_lost()
    shop.inv("deploy.down", "--yes")
    assert json.loads(shop.inv("deploy.edge", "--json").stdout) == [] and edge_container()
    shop.inv("deploy.edge", "--remove", "--yes")
    assert not docker("service", "ls", "--quiet", "--filter", f"name={edge.NAME}_").stdout
