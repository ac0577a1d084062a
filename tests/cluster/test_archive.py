"""The archive of the database on another node: back to any moment, and what is lost with a node."""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
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


@pytest.fixture(scope="module", autouse=True)
def archive(site: Site) -> Iterator[None]:
    """Switched on while visitors come, with nothing replaced for it; and off again."""
    site.stack.set("PROD_ARCHIVE", "7d")
    with site.visited("an archive comes") as traffic:
        site.deploy()
    assert_none_failed(traffic)
    eventually(lambda: told(site)["copied"] >= 0, 60, "it follows, and has a copy")
    time.sleep(1)  # copies are named by the second
    yield
    site.stack.set("PROD_ARCHIVE", "")
    site.deploy()
    assert site.sql("select count(*) from pg_replication_slots") == "0"


def told(site: Site) -> dict[str, Any]:
    """What deploy.status says of the archive, be it well or not."""
    return dict(json.loads(site.inv("deploy.status", "--json", code=None).stdout)["archive"])


def notes(site: Site) -> set[str]:
    return set(site.sql("select text from notes_note").splitlines())


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.fault("DEP63", "docker")
def test_it_follows_on_another_node_and_is_red_when_it_does_not(site: Site) -> None:
    assert set(site.tasks("archive").values()).isdisjoint(site.tasks("db").values())
    found = told(site)
    assert found["follows"] and found["bytes"] < 1_000_000 and found["seconds"] < 1
    site.cluster.docker(1, "service", "scale", f"{site.name}_archive=0")
    red = site.inv("deploy.status", code=1)
    assert "error DEP63: the archive does not follow" in red.stderr
    site.cluster.docker(1, "service", "scale", f"{site.name}_archive=1")
    eventually(lambda: not site.inv("deploy.status", code=None).returncode, 30, "it follows again")


@pytest.mark.fault("DEP64", "docker")
def test_back_to_the_second_before_a_mistake(site: Site) -> None:
    site.sql("insert into notes_note (text, created_at) values ('before it', now())")
    before = notes(site)
    time.sleep(0.1)
    moment = now()
    site.sql("delete from notes_note")
    assert "archive begins" in site.refused(
        "DEP64", "deploy.restore", "--at", "2020-01-01", "--yes"
    )
    site.refused("TASK06", "deploy.restore", "--at", "soon", "--yes")
    done = site.inv("deploy.restore", "--at", moment.isoformat(), "--yes")
    assert notes(site) == before
    kept = done.stderr.rpartition("inv deploy.restore ")[2].split()[0]
    site.inv("deploy.restore", kept, "--yes")
    assert notes(site) == set(), "what the restore replaced was kept"
    site.inv("deploy.restore", "--at", moment.isoformat(), "--yes")
    assert notes(site) == before


@needs_root
def test_the_node_of_the_database_is_lost_with_its_disk(site: Site) -> None:
    """It comes back empty; the archive has what had reached it when the node went."""
    site.cluster.wait_until_whole(1)
    (database,) = site.cluster.labelled(1, f"db.{site.name}")
    site.cluster.lead_elsewhere(database)
    other = next(n for n in (1, 2, 3) if n != database)
    with site.visited("the database is lost with its disk") as traffic, site.asked_from(other):
        eventually(lambda: len(traffic.written) > 20, 60, "notes are written")
        sure = set(traffic.written)
        time.sleep(SURE_SECONDS)
        site.cluster.act("kill", str(database))
        moment = now()
        shown = site.inv("deploy.status", code=1).stdout
        assert f"{site.name}_web" in shown and "does not follow" in shown
        shutil.rmtree(DISKS / f"node{database}/volumes/{site.name}_postgres_data/_data")
        (DISKS / f"node{database}/volumes/{site.name}_postgres_data/_data").mkdir()
        site.cluster.act("start", str(database))
        site.cluster.wait_until_whole(other)
        eventually(lambda: bool(site.containers("db")), 60, "an empty database is there")
        begun = time.monotonic()
        eventually(lambda: restored(site, moment), 120, "the rows are back")
        seconds = time.monotonic() - begun
        eventually(lambda: traffic.calm_seconds() > 3, 180, "the site is well again")
    lost = forgotten(site, traffic)
    FIGURES.append(f"{len(lost)} of {len(traffic.written)} lost, {seconds:.0f} s to restore")
    assert not lost & sure


def restored(site: Site, moment: datetime) -> bool:
    """Whether it went well; the new database may not be there yet."""
    words = ("--at", moment.isoformat(), "--yes")
    done = site.inv("deploy.restore", *words, code=None)
    assert not done.returncode or "error DB" in done.stderr, done.stderr
    return not done.returncode


def forgotten(site: Site, traffic: Traffic) -> set[str]:
    """The notes that were accepted and are not there; later tests do not look for these."""
    lost = set(traffic.written) - notes(site)
    site.written = [note for note in site.written if note not in lost]
    return lost
