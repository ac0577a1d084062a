"""A backup of a deployed site, put back; and back again what that has replaced."""

import re
from pathlib import Path

import pytest
from deployed import Site, one_node
from stacks import docker, eventually

from djup import ROOT

NOTES = "select text from notes_note order by text"


@one_node
@pytest.mark.fault("DEP27", "docker")
def test_a_backup_takes_the_place_of_the_data_and_gives_it_back(site: Site) -> None:
    with site.visited("notes are written") as traffic:
        eventually(lambda: len(traffic.written) > 5, 30, "some are there")
    notes = site.sql(NOTES)
    backup = Path(site.inv("deploy.backup").stdout.strip())
    assert (site.stack.root / backup).is_file()
    site.sql("delete from notes_note")
    assert "Nothing was changed" in site.refused("DEP27", "deploy.restore", backup.stem)
    assert site.sql(NOTES) == ""
    kept = put_back(site, backup.stem)
    assert site.sql(NOTES) == notes
    assert put_back(site, kept) and site.sql(NOTES) == ""
    put_back(site, backup.stem)
    site.assert_nothing_lost()
    site.sql("delete from django_migrations where app = 'sessions'")
    lacking = Path(site.inv("deploy.backup").stdout.strip())
    assert (
        "it lacks sessions.0001_initial" in site.inv("deploy.restore", lacking.stem, "--yes").stderr
    )
    applied = "insert into django_migrations (app, name, applied) values"
    site.sql(f"{applied} ('sessions', '0001_initial', now())")


def put_back(site: Site, which: str) -> str:
    """Under which name the database that was there is kept."""
    done = site.inv("deploy.restore", which, "--yes")
    found = re.search(
        r"previous database is kept: inv deploy.restore (?:--local )?(\S+)",
        done.stdout + done.stderr,
    )
    assert found, done
    eventually(lambda: site.heading() != "", 20, "the site is well")
    return found[1]


@one_node
@pytest.mark.fault("DEP21", "docker")
def test_a_node_that_takes_no_tasks(site: Site) -> None:
    node = docker("info", "--format", "{{.Swarm.NodeID}}").stdout.strip()
    docker("node", "update", "--availability", "pause", node)
    try:
        said = site.refused("DEP21", "deploy.psql", "--", "-c", "select 1")
        assert "1 node not available for new tasks" in said
    finally:
        docker("node", "update", "--availability", "active", node)
    assert site.psql("select 1") == "1"


@one_node
@pytest.mark.fault("DEP30", "docker")
def test_services_of_somebody_else_in_the_same_name(site: Site) -> None:
    theirs = f"{site.name}_theirs"
    label = f"com.docker.stack.namespace={site.name}"
    image = next(s["image"] for s in site.status()["services"] if s["name"] == f"{site.name}_web")
    docker(
        "service", "create", "--detach", "--name", theirs, "--label", label, image, "sleep", "1d"
    )
    try:
        assert theirs in site.refused("DEP30")
        assert theirs in site.refused("DEP30", "deploy.down")
        assert theirs in docker("service", "ls", "--format", "{{.Name}}").stdout.split()
    finally:
        docker("service", "rm", theirs)


COUNT = "from notes.models import Note; print('rows', Note.objects.count(), flush=True)"
COMMAND = f"""["python", "manage.py", "shell", "-c", "import time; {COUNT}; time.sleep(9999)"]"""


def counter() -> str:
    """A service of one's own that runs the project's code, made as docs/how-to/services.md says:
    djup's worker under another name, without a label that a deploy could know it by."""
    text = (ROOT / "compose/prod/worker.yaml").read_text()
    named = text.replace("  worker:", "  counter:").replace("[python, manage.py, worker]", COMMAND)
    healthy = re.sub(r"find /tmp/alive .*? 2>/dev/null", "echo yes", named)
    return healthy.replace("      labels:\n        deploy.release: ${RELEASE:?}\n", "")


def services(site: Site) -> set[str]:
    return {s["name"].removeprefix(f"{site.name}_") for s in site.status()["services"]}


@one_node
def test_services_come_and_go(site: Site) -> None:
    """djup's own, and one of the project's: with a deploy, and back by a commit without them."""
    before = services(site)
    with site.taken_back():
        site.stack.write("compose/counter.yaml", "services: {counter: {image: scratch}}\n")
        site.stack.write("compose/prod/counter.yaml", counter())
        for name in ("worker", "schedule", "counter"):
            site.stack.inv("service.add", name)
        site.commit()
        site.stack.set("WORKER_REPLICAS", "2")
        site.deploy()
        assert services(site) == before | {"worker", "schedule", "counter"}
        assert [len(site.tasks(name)) for name in ("worker", "schedule", "counter")] == [2, 1, 2]
        assert "The worker runs" in site.inv("deploy.logs", "--service", "worker").stdout
        rows = f"rows {site.sql('select count(*) from notes_note')}"

        def says_so() -> bool:
            return rows in site.inv("deploy.logs", "--service", "counter").stdout

        eventually(says_so, 20, "it has read the database")
        assert "clearsessions" in site.inv("deploy.manage", "--", "scheduled").stdout
        ran = site.tasks("worker")
        site.stack.set("WORKER_MEMORY", "20M")
        assert "WORKER_MEMORY" in site.refused("DEP15")
        eventually(lambda: site.tasks("worker").keys() == ran.keys(), 30, "they run as before")
    site.deploy()
    assert services(site) == before


@one_node
def test_down_and_served_again_with_all_data(site: Site) -> None:
    notes = site.sql(NOTES)
    site.inv("deploy.down")
    site.refused("DEP18", "deploy.status")
    site.deploy("--yes")
    assert site.release() == 1 and site.sql(NOTES) == notes
    site.assert_nothing_lost()
