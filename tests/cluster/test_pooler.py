"""PgBouncer comes before the database of a site that is visited, and goes again."""

import json
from pathlib import Path

import pooler
import pytest
from deployed import Site, assert_none_failed, one_node
from stacks import docker, eventually

CLIENTS = """select distinct host(client_addr) from pg_stat_activity
    where client_addr is not null and pid <> pg_backend_pid()"""
NETWORKS = "{{json .NetworkSettings.Networks}}"


@pytest.fixture
def image(tmp_path: Path) -> str:
    name = pooler.image()
    if not name:
        pytest.skip("no image has PgBouncer, and there is no Debian to make one of")
    if docker("image", "inspect", name, check=False).returncode:
        pooler.build(tmp_path)
    return name


@one_node
def test_a_pooler_comes_and_goes_without_a_failed_request(site: Site, image: str) -> None:
    site.stack.set("PGBOUNCER_IMAGE", image)
    site.stack.set("POOL_SIZE", "5")
    with site.visited("a pooler comes") as traffic:
        site.deploy()
        eventually(lambda: clients(site) == addresses(site, "pooler"), 30, "all go by the pooler")
    assert_none_failed(traffic)
    site.stack.set("POOL_SIZE", "")
    with site.visited("the pooler goes") as traffic:
        site.deploy()
        eventually(lambda: clients(site) == addresses(site, "web"), 30, "none goes by a pooler")
    assert_none_failed(traffic)
    eventually(lambda: not addresses(site, "pooler"), 30, "its containers are gone")
    site.assert_nothing_lost()


def clients(site: Site) -> set[str]:
    """From where the database is spoken to."""
    return set(site.sql(CLIENTS).splitlines())


def addresses(site: Site, service: str) -> set[str]:
    """Of a service's containers in the network of the database."""
    ids = [one for found in site.containers(service).values() for one in found]
    lines = docker("inspect", "--format", NETWORKS, *ids).stdout.splitlines() if ids else []
    return {json.loads(line)[f"{site.name}_back"]["IPAddress"] for line in lines}
