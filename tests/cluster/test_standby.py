"""The standby on another node: followed, promoted, made again; the database moved by it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deployed import FIGURES, Site, assert_none_failed, three_nodes
from machine import needs_root
from stacks import eventually
from traffic import Traffic

pytestmark = three_nodes
DISKS = Path("/var/lib/cluster")  # of the nodes, a folder each
SURE_SECONDS = 1  # what was accepted longer ago than that is never lost
# As a router of one's own reads: from the standby if there is one, else from the database.
READ = """
import os, psycopg2
from django.db import connection
given = {**connection.get_connection_params(), "host": os.environ["SQL_REPLICA_HOST"]}
given = {key: given[key] for key in ("host", "port", "user", "password", "dbname")}
read = psycopg2.connect(**given, target_session_attrs="prefer-standby").cursor()
read.execute("select pg_is_in_recovery(), count(*) from notes_note where text = 'followed'")
print("read", *read.fetchone())
"""


@pytest.fixture(scope="module", autouse=True)
def standby(site: Site) -> Iterator[None]:
    """Switched on while visitors come, with the database running on; and off again."""
    database = site.containers("db")
    site.stack.set("PROD_STANDBY", "1")
    with site.visited("a standby comes") as traffic:
        site.deploy()
    assert_none_failed(traffic)
    assert site.containers("db") == database
    follows(site)
    yield
    without(site)


def without(site: Site) -> None:
    """Switched off, with nothing of it left in the database."""
    if site.stack.values["PROD_STANDBY"]:
        site.stack.set("PROD_STANDBY", "")
        site.deploy()
    assert site.sql("select count(*) from pg_replication_slots") == "0"


def told(site: Site) -> dict[str, Any]:
    """What deploy.status says of the standby, be it well or not."""
    return dict(json.loads(site.inv("deploy.status", "--json", code=None).stdout)["standby"])


def follows(site: Site) -> None:
    eventually(lambda: told(site)["follows"], 120, "the standby follows")


def node_of(site: Site, service: str, asked: int = 1) -> int:
    """The number of the one node that has the label of a service."""
    (number,) = site.cluster.labelled(asked, f"{service}.{site.name}")
    return number


def aside(site: Site, number: int) -> list[Path]:
    """What a former primary had, and was put aside, on a node."""
    volume = DISKS / f"node{number}/volumes/{site.name}_postgres_data/_data"
    return [*volume.glob("*/main.aside.*")]


def notes(site: Site) -> set[str]:
    return set(site.sql("select text from notes_note").splitlines())


@contextmanager
def visited(site: Site, what: str) -> Iterator[Traffic]:
    """Visitors, until the site is well again."""
    with site.visited(what) as traffic:
        yield traffic
        eventually(lambda: traffic.calm_seconds() > 2, 180, "the site is well again")
    site.assert_nothing_lost()


@pytest.mark.fault("DEP65", "docker")
def test_it_follows_on_another_node_and_is_read_from(site: Site) -> None:
    assert node_of(site, "standby") != node_of(site, "db")
    assert told(site)["seconds"] < SURE_SECONDS
    site.sql("insert into notes_note (text, created_at) values ('followed', now())")
    eventually(lambda: "read True 1" in read(site), 10, "it has the note")
    site.cluster.docker(1, "service", "scale", f"{site.name}_standby=0")
    red = site.inv("deploy.status", code=1)
    assert "error DEP65: the standby does not follow" in red.stderr
    assert "read False 1" in read(site), "the database answers in its place"
    site.cluster.docker(1, "service", "scale", f"{site.name}_standby=1")
    eventually(lambda: not site.inv("deploy.status", code=None).returncode, 30, "it follows again")


def read(site: Site) -> str:
    return site.inv("deploy.manage", "--", "shell", "-c", READ).stdout


@needs_root
def test_it_is_promoted_and_the_database_of_before_follows(site: Site) -> None:
    old, new = node_of(site, "db"), node_of(site, "standby")
    with visited(site, "the standby is promoted"):
        site.inv("deploy.promote", "--yes")
    assert (node_of(site, "db"), node_of(site, "standby")) == (new, old)
    follows(site)
    assert aside(site, old) and not aside(site, new)


@pytest.mark.fault("DEP67", "docker")
def test_a_promotion_that_is_killed_is_undone_or_finished(site: Site) -> None:
    """By where it was: before the copy was promoted nothing has happened, later all is to."""
    old, new = node_of(site, "db"), node_of(site, "standby")
    with visited(site, "a promotion is killed"):
        killed_when(site, lambda: exists(site, "handover"))
        assert "was cut off" in site.refused("DEP67", "deploy")
        assert "is undone" in site.inv("deploy.promote", "--yes").stderr
    assert node_of(site, "db") == old
    with visited(site, "a promotion is killed that cannot be undone"):
        killed_when(site, lambda: exists(site, "decided"))
        assert "deploy.promote finishes it" in site.inv("deploy.status", code=None).stdout
        site.inv("deploy.promote", "--yes")
    assert (node_of(site, "db"), node_of(site, "standby")) == (new, old)
    follows(site)


def exists(site: Site, note: str) -> bool:
    look = ("config", "ls", "--quiet", "--filter", f"name={site.name}_{note}")
    return bool(site.cluster.docker(1, *look))


def killed_when(site: Site, there: Callable[[], bool]) -> None:
    """`inv deploy.promote`, which is killed as soon as something is there."""
    promotion = site.stack.start("deploy.promote", *site.target, "--yes")
    eventually(lambda: there() or promotion.poll() is not None, 60, "it is on its way")
    os.killpg(promotion.pid, signal.SIGKILL)
    promotion.communicate()


def test_one_that_fell_too_far_behind_is_made_again(site: Site) -> None:
    service = f"{site.name}_standby"
    site.sql("alter system set max_slot_wal_keep_size = '1MB'")
    site.sql("select pg_reload_conf()")
    site.cluster.docker(1, "service", "scale", f"{service}=0")
    for _ in range(3):
        site.sql("create table filled as select generate_series(1, 200000) as n")
        site.sql("drop table filled")
        site.sql("select pg_switch_wal()")
        site.sql("checkpoint")
    assert site.sql("select wal_status from pg_replication_slots") == "lost"
    site.sql("alter system set max_slot_wal_keep_size = '8GB'")
    site.sql("select pg_reload_conf()")
    site.cluster.docker(1, "service", "scale", f"{service}=1")
    follows(site)
    site.inv("deploy.status")


@needs_root
@pytest.mark.fault("DEP66", "docker")
def test_the_node_of_the_database_is_lost(site: Site) -> None:
    """What was accepted more than a second before is there; and it comes back as the standby."""
    site.cluster.wait_until_whole(1)
    old, new = node_of(site, "db"), node_of(site, "standby")
    site.cluster.lead_elsewhere(old)
    kept = len(aside(site, old))
    with site.visited("the node of the database is killed, the standby promoted") as traffic:
        with site.asked_from(new):
            eventually(lambda: len(traffic.written) > 20, 60, "notes are written")
            sure = set(traffic.written)
            time.sleep(SURE_SECONDS)
            site.cluster.act("kill", str(old))
            killed = time.monotonic()
            eventually(lambda: "node-is-gone" in refusal(site), 60, "its node is known to be gone")
            noticed = time.monotonic()
            site.inv("deploy.promote", "--yes", "--node-is-gone")
            promoted = time.monotonic()
            eventually(lambda: traffic.calm_seconds() > 2, 180, "the site is well again")
        site.cluster.act("start", str(old))
        site.cluster.wait_until_whole(new)
    lost = set(traffic.written) - notes(site)
    site.written = [note for note in site.written if note not in lost]
    FIGURES.append(
        f"{len(lost)} of {len(traffic.written)} lost; {noticed - killed:.0f} s until the node was "
        f"known to be gone, {promoted - noticed:.0f} s to promote"
    )
    assert not lost & sure
    follows(site)
    assert len(aside(site, old)) == kept + 1, "what the node had is kept there"


def refusal(site: Site) -> str:
    return site.inv("deploy.promote", "--yes", code=1).stderr


@pytest.mark.fault("DEP68", "docker")
def test_the_database_is_moved(site: Site) -> None:
    """To a third node by the standby, which stays where it is; and back without any standby."""
    site.cluster.wait_until_whole(1)
    old, copy = node_of(site, "db"), node_of(site, "standby")
    third = next(number for number in (1, 2, 3) if number not in (old, copy))
    site.refused("DEP68", "deploy.move", "--to", "nowhere", "--yes")
    with visited(site, "the database is moved"):
        site.inv("deploy.move", "--to", f"node{third}", "--yes")
    assert (node_of(site, "db"), node_of(site, "standby")) == (third, copy)
    follows(site)
    without(site)
    with visited(site, "the database is moved, without a standby"):
        site.inv("deploy.move", "--to", f"node{old}", "--yes")
    assert node_of(site, "db") == old
    assert site.name + "_standby" not in {s["name"] for s in site.status()["services"]}
