"""Production's database on one node to another version of PostgreSQL, and back, with visitors."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from deployed import Site, to_this_machine
from nodes import ThisMachine
from stacks import Docker, Make, docker, eventually

OLD, NEW = "postgres:17-alpine", "postgres:18-alpine"
VOLUME = "newer_postgres_data"
KEY = "PROD_POSTGRES_IMAGE"
# What a dump of one database would not have, or could get wrong.
CONTENT = """
create role reader login; create database reports;
create table counted (id serial primary key, file oid, words text);
create index on counted using gin (to_tsvector('simple', words));
insert into counted (file, words) select lo_from_bytea(0, 'a large object'), 'one ' || i
from generate_series(1, 1000) i;
alter system set max_connections = 123"""
FOUND = """
select count(*), max(id), nextval('counted_id_seq'), convert_from(lo_get(min(file)), 'utf8'),
  (select count(*) from pg_roles where rolname = 'reader'),
  (select count(*) from pg_database where datname = 'reports'), current_setting('max_connections'),
  (select reltuples from pg_class where relname = 'counted')
from counted where to_tsvector('simple', words) @@ to_tsquery('one')"""


@pytest.fixture(scope="module")
def site(lasting_make: Make, docker_runtime: Docker) -> Iterator[Site]:
    """A site on the older version, which is backed up by its keeper."""
    values = {"HTTP_PORT": "8580", "HTTPS_PORT": "8543", KEY: OLD, "PROD_BACKUP_AT": "03:15"}
    engines = ThisMachine()
    made = to_this_machine(lasting_make, docker_runtime, engines, "newer", **values)
    try:
        made.deploy("--yes")
        for statement in CONTENT.split(";"):
            made.sql(statement)
        yield made
    finally:
        engines.remove("newer")
        for name in (VOLUME, "newer_backups", "newer_keeper"):
            docker("volume", "rm", name, check=False)


def version(site: Site) -> str:
    return site.sql("show server_version_num")[:2]


def clusters() -> set[str]:
    argv = ("--volume", f"{VOLUME}:/data", "--entrypoint", "ls", NEW, "/data")
    found = docker("run", "--rm", *argv).stdout.split()
    return {name for name in found if name.startswith(("17", "18"))}


@pytest.mark.fault("DEP78", "docker")
def test_a_deploy_leaves_the_version_as_it_is(site: Site) -> None:
    site.stack.set(KEY, NEW)
    assert "inv deploy.upgrade" in site.refused("DEP78", "deploy", "--allow-downtime")
    site.stack.set(KEY, OLD)
    site.show("Another release")
    site.deploy()
    assert version(site) == "17"


@pytest.mark.fault("DEP77", "docker")
def test_what_cannot_be_upgraded_is_found_before_anything_stops(site: Site) -> None:
    """A database that lets nobody in, as pg_upgrade says; and what was made for it is gone."""
    database = site.containers("db")
    site.sql("alter database reports allow_connections false")
    with site.visited("an upgrade that cannot be") as traffic:
        said = site.refused("DEP77", "deploy.upgrade", "--to", "18", "--yes")
    assert "reports" in said and "runs as before" in said
    site.sql("alter database reports allow_connections true")
    assert not traffic.failed and site.containers("db") == database
    assert site.sql("select count(*) from pg_replication_slots") == "0"
    said = site.inv("deploy.upgrade", "--to", "17").stderr
    assert "nothing to upgrade" in said and "deploy.upgrade --to 18" in said
    assert "16 is older" in site.refused("DEP78", "deploy.upgrade", "--to", "16")
    assert "postgres:99-alpine" in site.refused("DEP77", "deploy.upgrade", "--to", "99")


def test_an_upgrade_that_is_killed_is_undone_or_finished(site: Site) -> None:
    killed_when(site, lambda: noted("handover"), "--to", "18")
    assert "an upgrade of the database" in site.refused("DEP67", "deploy")
    assert "is undone" in site.inv("deploy.upgrade").stderr
    assert version(site) == "17"
    with site.visited("an upgrade is killed that cannot be undone") as traffic:
        killed_when(site, lambda: noted("decided"), "--to", "18")
        site.inv("deploy.upgrade")
        eventually(lambda: traffic.calm_seconds() > 2, 60, "the site is well again")
    assert version(site) == "18" and site.stack.values[KEY] == NEW
    site.assert_nothing_lost()


def test_back_to_the_version_before(site: Site) -> None:
    site.inv("deploy.upgrade", "--back", "--yes")
    assert version(site) == "17" and site.stack.values[KEY] == OLD
    assert clusters() == {"17", "18"}
    site.inv("deploy.upgrade", "--finish", "--yes")
    assert clusters() == {"17"}
    site.written.clear()  # what was written to the other one went with it


def test_an_upgrade_with_visitors(site: Site) -> None:
    replicas = site.tasks()
    with site.visited("an upgrade of PostgreSQL") as traffic:
        said = site.inv("deploy.upgrade", "--to", "18", "--yes").stderr
        eventually(lambda: traffic.calm_seconds() > 2, 60, "the site is well again")
    assert f"{KEY}={NEW} is now in .env" in said
    assert {answer.status for answer in traffic.failed} <= {503}, traffic.in_words()
    assert traffic.longest_gap() < 45, traffic.in_words()
    assert site.tasks() == replicas, "no container of the web was replaced"
    site.assert_nothing_lost()
    assert site.sql(FOUND) == "1000|1000|1001|a large object|1|1|123|1000"


def test_what_follows_is_of_the_new_version(site: Site) -> None:
    """A way back to a release that was made on the version before, a deploy, backups."""
    site.inv("deploy.rollback")
    assert (site.release(), version(site)) == (1, "18")
    site.deploy()
    assert site.inv("deploy.backups", "--now").stdout.startswith("newer-")
    assert clusters() == {"17", "18"}
    site.inv("deploy.upgrade", "--finish", "--yes")
    assert clusters() == {"18"}


def noted(note: str) -> bool:
    return bool(docker("config", "ls", "--quiet", "--filter", f"name=newer_{note}").stdout)


def killed_when(site: Site, there: Callable[[], bool], *flags: str) -> None:
    """`inv deploy.upgrade`, which is killed as soon as something is there."""
    upgrade = site.stack.start("deploy.upgrade", *site.target, *flags, "--yes")
    eventually(lambda: there() or upgrade.poll() is not None, 120, "it is on its way")
    os.killpg(upgrade.pid, signal.SIGKILL)
    upgrade.communicate()
