"""What a deployed stack shows to the world, and what its containers may do."""

import json
import socket
from typing import Any

import pytest
from deployed import Site
from stacks import docker
from traffic import Connection, Place

SERVICES = ("db", "proxy", "web")


def services(site: Site) -> dict[str, dict[str, Any]]:
    """What the engine tells of each service of the stack."""
    names = [f"{site.name}_{service}" for service in SERVICES]
    found = docker("--host", site.engines.hosts[0], "service", "inspect", *names).stdout
    return dict(zip(SERVICES, json.loads(found), strict=True))


def asked(place: Place, path: str, host: str = "") -> tuple[int, dict[str, str]]:
    """Status and headers (small letters) over HTTPS."""
    connection = Connection(place, place.addresses)
    connection.request("GET", path, headers={"Host": host or f"{place.name}:{place.port}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_http_leads_to_https_which_is_kept_to(site: Site) -> None:
    place, ports = site.place, services(site)["proxy"]["Spec"]["EndpointSpec"]["Ports"]
    port = next(p["PublishedPort"] for p in ports if p["PublishedPort"] != place.port)
    with socket.create_connection((place.addresses[0], port), timeout=10) as plain:
        plain.sendall(f"GET /notes/?q=1 HTTP/1.1\r\nHost: {place.name}\r\n\r\n".encode())
        answer = plain.recv(4000).decode()
    suffix = "" if place.port == 443 else f":{place.port}"
    assert answer.startswith("HTTP/1.1 308")
    assert f"Location: https://{place.name}{suffix}/notes/?q=1" in answer
    status, headers = asked(place, "/")
    assert status == 200
    assert ("strict-transport-security" in headers) == (place.name != "localhost")
    assert headers["x-request-id"]


def test_another_name_is_refused(site: Site) -> None:
    assert asked(site.place, "/", "evil.example")[0] == 421
    assert asked(site.place, "/admin/", "db")[0] == 421


def test_the_proxy_alone_publishes_ports(site: Site) -> None:
    found = {
        name: (service.get("Endpoint") or {}).get("Ports")
        for name, service in services(site).items()
    }
    assert {name for name, ports in found.items() if ports} == {"proxy"}


def configs(site: Site) -> str:
    """The stack's configs, in which are its compose files as they were filled in."""
    host = ("--host", site.engines.hosts[0])
    label = ("--filter", f"label=com.docker.stack.namespace={site.name}")
    ids = docker(*host, "config", "ls", "--quiet", *label).stdout.split()
    told = docker(*host, "config", "inspect", "--pretty", *ids).stdout
    assert "services:" in told
    return told


def test_nothing_secret_is_in_services_configs_image_or_logs(site: Site) -> None:
    values = site.stack.values
    keys = [key for key in values if key.endswith(("SECRET_KEY", "PASSWORD"))]
    secrets = [values[key] for key in keys if values[key]]
    assert len(secrets) >= 2
    told = json.dumps(services(site)) + configs(site)
    host, ids = next((h, ids) for h, ids in site.containers("web").items() if ids)
    told += docker("--host", host, "inspect", *ids).stdout
    image = docker("--host", host, "inspect", "--format", "{{.Image}}", ids[0]).stdout.strip()
    told += docker("--host", host, "image", "inspect", image).stdout
    told += docker("--host", host, "history", "--no-trunc", image).stdout
    told += site.inv("deploy.logs").stdout
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize("service, user", [("web", "10001"), ("proxy", None)])
def test_a_container_has_no_rights_that_it_does_not_need(
    site: Site, service: str, user: str | None
) -> None:
    host, ids = next((h, ids) for h, ids in site.containers(service).items() if ids)
    process = docker("--host", host, "exec", ids[0], "cat", "/proc/1/status").stdout
    told = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    assert user is None or told["Uid"].split() == [user] * 4
    bounding = int(told["CapBnd"], 16)
    assert bounding == (0 if service == "web" else 1 << 10), "of the proxy: to bind low ports"
    wrote = docker("--host", host, "exec", ids[0], "touch", "/etc/x", check=False)
    assert "Read-only file system" in wrote.stderr
