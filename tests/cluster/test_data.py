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


NETWORKS = "networks:\n  front:"
COUNT = "from notes.models import Note; print('rows', Note.objects.count(), flush=True)"
COMMAND = f"""["python", "manage.py", "shell", "-c", "import time; {COUNT}; time.sleep(9999)"]"""


def worker() -> str:
    """The service that docs/how-to/production-extras.md shows, with something to do."""
    page = (ROOT / "docs/how-to/production-extras.md").read_text()
    found = re.search(r"(?ms)^```yaml\n(  worker:.*?)^```", page)
    assert found and "[celery, --app=config, worker]" in found[1]
    return found[1].replace("[celery, --app=config, worker]", COMMAND)


@one_node
@pytest.mark.fault("DEP31", "docker")
def test_a_service_of_ones_own_comes_and_goes(site: Site) -> None:
    with site.taken_back():
        without_labels = worker().replace("      labels: *labels\n", "")
        site.change("compose/prod.yaml", NETWORKS, f"{without_labels}\n{NETWORKS}")
        assert "worker" in site.refused("DEP31")
        site.git("reset", "--quiet", "--hard", "HEAD~1")
        site.change("compose/prod.yaml", NETWORKS, f"{worker()}\n{NETWORKS}")
        site.deploy()
        rows = site.sql("select count(*) from notes_note")

        def says_so() -> bool:
            return f"rows {rows}" in site.inv("deploy.logs", "--service", "worker").stdout

        eventually(says_so, 20, "it has read the database")
    site.deploy()
    assert f"{site.name}_worker" not in {s["name"] for s in site.status()["services"]}


@one_node
def test_down_and_served_again_with_all_data(site: Site) -> None:
    notes = site.sql(NOTES)
    site.inv("deploy.down")
    site.refused("DEP18", "deploy.status")
    site.deploy("--yes")
    assert site.release() == 1 and site.sql(NOTES) == notes
    site.assert_nothing_lost()
