"""The edge: what a site behind it consists of, and the files that it looks names up in."""

import json
import re

import pytest
from releases import made, release, settings

from djup.deploy import edge, env_lines, plan, production, routes, taken_ports
from djup.deploy.production import Production
from djup.deploy.routes import Route
from djup.deploy.swarm import swarm_stack
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Node, Swarm
from djup.host import process
from djup.problems import Problem

BEHIND = {"EDGE": "1", "EMAIL": "ann@example.org"}
ALONE = Swarm((Node("n1", "here", {}, True, ""),), "n1")
SHOP = Route("shop", ("shop.example.org", "*.w.example"), "80", "", "acme", "ann@example.org")
OTHER = Route("other", ("Other.example",), "81", ":8443", "internal")
OWN = Route("own", ("own.example",), "80", "", "certificate", "", ("own_cert_1", "own_key_1"))


def joined(monkeypatch: pytest.MonkeyPatch, **values: str) -> Production:
    monkeypatch.setattr(edge, "_ranges", lambda: ["10.1.2.0/24"])
    return edge.joined(made(**BEHIND, **values), makes=False)


def behind(monkeypatch: pytest.MonkeyPatch, **values: str) -> Release:
    return joined(monkeypatch, **values).as_release("shop-web:abc", "abc", "0f0f", 2)


def test_a_site_behind_the_edge_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    after = behind(monkeypatch, TRUSTED_PROXIES="192.0.2.0/24")
    text = swarm_stack.rendered(after)["proxy"]
    assert "published:" not in text and f"{after.stack}-proxy" in text
    assert "prod/https.yaml" not in after.files and edge.is_behind(after)
    assert (after.values["TLS"], after.values["EDGE_TLS"]) == ("off", "acme")
    assert after.values["TRUSTED_NETWORKS"] == "10.1.2.0/24", "HTTP is for the edge alone"
    trusted = "trusted_proxies static 10.1.2.0/24 192.0.2.0/24"
    assert after.values["TRUSTED_PROXIES"] == trusted, "the site decides whom it trusts"
    assert not edge.is_behind(release())


def test_coming_and_going_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = release(1), behind(monkeypatch)
    for one, two in ((before, after), (after, before)):
        [reason] = plan.Plan(one, two, anew=("proxy",), proxies=2).interruptions
        assert "EDGE" in reason
    assert plan.Plan(after, after, anew=("proxy",)).interruptions == [], "who asks waits"


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"TLS": "off", "TRUSTED_PROXIES": "192.0.2.1"}, "EDGE"),
        ({"EDGE": "perhaps"}, "EDGE"),
        ({"EMAIL": "ann@example.org {"}, "EMAIL"),
        ({"STACK": "edge"}, "STACK"),
    ],
)
def test_what_the_edge_cannot_do(values: dict[str, str], key: str) -> None:
    with pytest.raises(Problem, match=rf"ENV06: {key} in \.env"):
        made(**{**BEHIND, **values})


def test_lost_lines_of_a_site_behind_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = joined(monkeypatch, TLS="internal", TRUSTED_PROXIES="192.0.2.1,192.0.2.2")
    one = deployed.as_release(f"{deployed.image_name}:0f", "0f", "0f", 3)
    found = env_lines.values_of(one, deployed.secrets)
    assert (found["EDGE"], found["TLS"], found["EMAIL"]) == ("1", "internal", "ann@example.org")
    assert found["TRUSTED_PROXIES"] == "192.0.2.1,192.0.2.2", "without the network of the edge"


def test_a_trial_is_never_behind_it() -> None:
    assert edge.FILE not in production.local(settings(**BEHIND)).files


def test_the_route_of_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    found = routes.of_release(behind(monkeypatch, HTTPS_PORT="8443", HTTP_PORT="8080"))
    assert found.names == ("shop.example.org", "www.shop.example.org")
    assert (found.port, found.suffix, found.tls) == ("8080", ":8443", "acme")
    assert found.account == "ann@example.org" and not found.secrets
    later = {**json.loads(found.text), "of_a_later_version": 1}
    assert routes._route(later) == found


def test_each_name_leads_to_its_site() -> None:
    hosts = routes.files([SHOP, OTHER, OWN])["hosts.txt"]
    assert '{{else if eq $name "shop.example.org"}}' in hosts
    assert '{{else if eq $name "other.example"}}' in hosts, "as it is compared"
    assert hosts.index("own.example") < hosts.index("regexMatch"), "a * is for what is left"
    [part] = re.findall(r'"other\.example"\}\}(.*?)\{\{else', hosts)
    assert '"Edge-Name" "other-proxy"' in part and '"Edge-Suffix" ":8443"' in part


def test_each_name_has_its_certificate() -> None:
    files = routes.files([SHOP, OTHER, OWN])
    assert "tls internal" in files["Caddyfile"] and "email ann@example.org" in files["Caddyfile"]
    assert "own.example" not in files["Caddyfile"], "nobody signs what is there"
    assert '"/config/certificates/own_cert_1"' in files["certs.txt"]
    assert '"/data/caddy/certificates/local/other.example/other.example.key"' in files["certs.txt"]
    assert "directory/wildcard_.w.example/wildcard_.w.example.crt" in files["certs.txt"]


def test_a_name_belongs_to_one_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_ports", lambda: ["80", "443"])
    monkeypatch.setattr(routes, "all_of", lambda: [OTHER])
    edge.refuse_taken(made(**BEHIND), ALONE)
    for names in ("other.example", "a.example,OTHER.example"):
        with pytest.raises(Problem, match=r"DEP73: \S+ in DOMAIN .* the stack other"):
            edge.refuse_taken(made(**BEHIND, DOMAIN=names), ALONE)
        edge.refuse_taken(made(DOMAIN=names), ALONE)
    edge.refuse_taken(made(**BEHIND, STACK="other", DOMAIN="other.example"), ALONE)


def test_the_edge_has_the_ports_of_who_came_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_ports", lambda: ["8080", "8443"])
    monkeypatch.setattr(routes, "all_of", lambda: [OTHER])
    with pytest.raises(Problem, match="DEP74: the edge is at the ports 8080 and 8443"):
        edge.refuse_taken(made(**BEHIND), ALONE)
    edge.refuse_taken(made(**BEHIND, HTTP_PORT="8080", HTTPS_PORT="8443"), ALONE)


def test_several_nodes_need_a_certificate_that_all_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "_ports", lambda: [])
    monkeypatch.setattr(routes, "all_of", list)
    nodes = tuple(Node(n, n, {"proxy.edge": "true"}, True, "") for n in "ab")
    with pytest.raises(Problem, match="DEP22"):
        edge.refuse_taken(made(**BEHIND), Swarm(nodes, "a"))
    edge.refuse_taken(made(**BEHIND, TLS="internal"), Swarm(nodes, "a"))


def test_who_leaves_the_edge_needs_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last one gets them; another one is refused."""
    monkeypatch.setattr(taken_ports, "_published", lambda: {"edge": {80, 443}})
    monkeypatch.setattr(taken_ports, "_nodes", lambda *_: {"n1"})
    monkeypatch.setattr(routes, "all_of", lambda: [OTHER])
    taken_ports.refuse_taken(made(STACK="other"), ALONE)
    taken_ports.refuse_taken(made(**BEHIND), ALONE)
    with pytest.raises(Problem, match=r"DEP72: the ports 80 and 443 .* stack edge"):
        taken_ports.refuse_taken(made(), ALONE)


def test_an_engine_that_does_not_answer_is_no_edge_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or the next deploy of any site would remove the proxy of all others."""
    removed: list[str] = []
    monkeypatch.setattr(swarm_stack, "remove", removed.append)
    failed = process.Result(1, "[]\n", "Error: rpc error: context deadline exceeded")
    monkeypatch.setattr(process, "run", lambda *words, **_: failed)
    with pytest.raises(Problem):
        edge.settle(release(1))
    assert removed == []


def test_a_wildcard_is_refused_behind_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match="ENV06: EDGE"):
        behind(monkeypatch, DOMAIN="*.example.org")
