"""From the stack's own database to a managed one, and back; the rows come along by a backup."""

import http.client
import re
import shutil
import socket
from collections.abc import Iterator
from ipaddress import IPv4Network
from urllib.parse import urlencode

import pytest
from deployed import Site
from nodes import ThisMachine
from stacks import Docker, Make, docker, eventually
from tls import AUTHORITY, PASSWORD, PROGRAMS, Elsewhere, elsewhere, older
from traffic import TOKEN

NAME = "moves"
DATABASE = "sold"
SETTINGS = {
    "DEPLOY_TO": ThisMachine.hosts[0],
    "STACK": NAME,
    "DOMAIN": "moves.example.org",
    "TLS": "internal",
    "HTTP_PORT": "8680",
    "HTTPS_PORT": "8643",
}
PROBES = "packages/djup-web/src/djup_web/probes.py"
BEHIND_A_PROXY = (
    """state.obstacle or ("planted" if "HTTP_X_FORWARDED_FOR" in request.META else ""))"""
)
WSGI = "project/config/wsgi.py"
OWNER = "shop"  # may make databases and roles, and is no superuser, as with the hosts
TABLES = "select count(*) from pg_tables where schemaname = 'public'"
NOTES = "select text from notes_note"
VISITOR = "203.0.113.7"
# Each second a row, by a service that is not the web.
SCHEDULE = """
from django.db import connection
from djup_web.schedule import every

@every("1s")
def beat():
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO beats VALUES (clock_timestamp())")
"""
BEATS = "select extract(epoch from at) from beats"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """Older than the stack's own, where this machine has such a one."""
    assert shutil.which("openssl"), "no openssl; run: sudo apt-get install openssl"
    made = older if PROGRAMS else elsewhere
    with made(tmp_path_factory.mktemp("elsewhere")) as running:
        password = PASSWORD.replace("'", "''")
        running.sql(f"create role {OWNER} login createdb createrole password '{password}'")
        new_database(running)
        yield running


def new_database(server: Elsewhere) -> None:
    server.sql(f"drop database if exists {DATABASE} with (force)")
    server.sql(f"create database {DATABASE} owner {OWNER}")


@pytest.fixture(scope="module")
def site(make: Make, docker_runtime: Docker, server: Elsewhere) -> Iterator[Site]:
    """Deployed with a database of its own; the managed one's authority is in its files."""
    stack = make(docker_runtime, name=NAME, **SETTINGS)
    made = Site(stack, ThisMachine(), NAME, ())
    (stack.root / "project" / AUTHORITY).parent.mkdir()
    stack.write(f"project/{AUTHORITY}", server.authority.certificate)
    stack.write("project/home/schedule.py", SCHEDULE)
    stack.inv("service.add", "schedule")
    made.git("init", "--quiet")
    made.commit()
    try:
        made.deploy("--yes")
        made.sql("create table beats (at timestamptz)")
        yield made
    finally:
        made.engines.remove(NAME)


def managed(server: Elsewhere) -> dict[str, str]:
    return server.settings("PROD_", user=OWNER, database=DATABASE)


def write_some(site: Site, what: str) -> None:
    with site.visited(what) as traffic:
        eventually(lambda: len(traffic.written) > 3, 30, "notes are written")


def lead_to(site: Site, values: dict[str, str]) -> None:
    """Name another database in .env; who deploys to it says so by --allow-downtime."""
    for key, value in values.items():
        site.stack.set(key, value)
    assert "the database changes" in site.refused("DEP13")


def services(site: Site) -> set[str]:
    return {service["name"] for service in site.status()["services"]}


def test_to_a_managed_database_and_back(site: Site, server: Elsewhere) -> None:
    own = {key: site.stack.values.get(key, "") for key in managed(server)}
    with site.taken_back():
        site.change(WSGI, "application =", 'raise RuntimeError("planted crash")\napplication =')
        lead_to(site, managed(server))
        with site.visited("a move that fails"):
            said = site.refused("DEP15", "deploy", "--allow-downtime")
    assert "Release 1 is running again. The contents of the other database are kept there" in said
    assert server.sql(TABLES, DATABASE) == "0"
    lead_to(site, managed(server))
    with site.visited("to a managed database") as traffic:
        site.deploy("--allow-downtime")
        eventually(lambda: traffic.calm_seconds() > 2, 30, "the site is well")
    assert services(site) == {f"{NAME}_proxy", f"{NAME}_web", f"{NAME}_schedule"}
    asked = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert site.sql(asked) == f"{OWNER}|t"
    site.assert_nothing_lost()
    before = set(site.sql(NOTES).splitlines())
    write_some(site, "the managed database serves")
    moved = set(server.sql(BEATS, DATABASE).splitlines())
    lead_to(site, own)
    said = site.deploy("--allow-downtime").stderr
    found = re.search(r"not changed; the rows of the previous one: inv deploy.restore (\S+)", said)
    assert found, said
    assert f"{NAME}_db" in services(site)
    assert set(site.sql(NOTES).splitlines()) < before, "its volume is as it was"
    stayed = {beat for beat in site.sql(BEATS).splitlines() if beat < max(moved)}
    assert stayed and stayed <= moved, "the schedule wrote what was not taken along"
    site.inv("deploy.restore", found[1], "--yes")
    site.assert_nothing_lost()


@pytest.mark.fault("DEP44", "docker")
def test_a_database_within_a_network_of_the_stack(site: Site) -> None:
    """As where a provider's private network has the range that Swarm gives to its own."""
    look = ("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", f"{NAME}_back")
    subnet = docker(*look).stdout.strip()
    hidden = str(IPv4Network(subnet)[200])
    with site.taken_back():
        site.stack.set("PROD_CACHE_URL", f"redis://{hidden}:6379/0")
        said = site.inv("deploy", "--plan").stderr
        assert f"warning: CACHE_URL in .env has an address within {subnet}" in said
        assert hidden not in said
        site.stack.set("PROD_SQL_HOST", hidden)
        said = site.refused("DEP44", "deploy", "--allow-downtime")
        assert f"PROD_SQL_HOST leads to {hidden}, which is within {subnet}" in said
        site.stack.set("PROD_SQL_HOST", "proxy")  # a name that the containers alone know
        said = site.refused("DEP44", "deploy", "--allow-downtime")
        assert "the network moves_" in said


@pytest.mark.fault("DEP16", "docker")
def test_a_version_that_has_answered_from_another_database_stays(
    site: Site, server: Elsewhere
) -> None:
    """What visitors have written there would be gone; who goes back all the same says so."""
    new_database(server)
    before = site.release()
    with site.taken_back():
        site.change(PROBES, "state.obstacle)", BEHIND_A_PROXY)
        lead_to(site, managed(server))
        said = site.refused("DEP16", "deploy", "--allow-downtime")
    assert "has answered from the other database" in said and "inv deploy.rollback" in said
    with site.visited("what is not undone") as traffic:
        eventually(lambda: len(traffic.written) > 3, 30, "notes are written")
    assert set(traffic.written) <= set(server.sql(NOTES, DATABASE).splitlines())
    site.inv("deploy.rollback")
    assert site.release() == before and f"{NAME}_db" in services(site)
    assert not set(traffic.written) & set(site.sql(NOTES).splitlines())


def by_balancer(
    method: str, path: str, body: str | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, str]:
    """What a balancer is answered that speaks HTTP for a visitor of HTTPS."""
    connection = http.client.HTTPConnection("127.0.0.1", int(SETTINGS["HTTP_PORT"]), timeout=30)
    told = {"Host": SETTINGS["DOMAIN"], "X-Forwarded-For": VISITOR, "X-Forwarded-Proto": "https"}
    connection.request(method, path, body, told | headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def test_behind_a_balancer_that_ends_tls(site: Site) -> None:
    """The last one: the stack is left so."""
    site.heading()
    site.stack.set("TLS", "off")
    site.stack.set("TRUSTED_PROXIES", site.our_address())
    assert "container of the only proxy is replaced" in site.inv("deploy", "--plan").stdout
    url = f"https://{SETTINGS['DOMAIN']}:{SETTINGS['HTTPS_PORT']}"
    assert site.deploy("--allow-downtime").stdout.strip() == f"{url}/"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(SETTINGS["HTTPS_PORT"])), timeout=5)
    answer, page = by_balancer("GET", "/notes/")
    cookie = answer.getheader("Set-Cookie", "")
    assert answer.status == 200 and "Secure" in cookie
    assert answer.getheader("Strict-Transport-Security")
    form = urlencode({"text": "by a balancer", "csrfmiddlewaretoken": TOKEN.findall(page)[0]})
    browser = {"Origin": url, "Cookie": cookie.partition(";")[0]}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert by_balancer("POST", "/notes/", form, **browser, **kind)[0].status == 302
    assert VISITOR in site.inv("deploy.logs").stdout
    answer, _ = by_balancer("GET", "/notes/", **{"X-Forwarded-Proto": "http"})
    assert (answer.status, answer.getheader("Location")) == (308, f"{url}/notes/")
