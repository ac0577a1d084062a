"""Versions that are no good: the one before never stops answering, and the cause is said."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from deployed import Site, assert_none_failed, one_node, three_nodes
from stacks import docker, eventually

PROBES, WSGI = "packages/djup-web/src/djup_web/probes.py", "project/config/wsgi.py"
NOTES_PAGE = "project/notes/templates/notes/index.html"
STYLED = """{% block content %}
    {% load static %}<link rel="stylesheet" href="{% static 'dist/bundle.css' %}">"""
HOME_VIEW = "project/home/views.py"
INDEX = "def index(request: HttpRequest) -> HttpResponse:\n"
# Of all that the check gives, the proxy alone gives another address.
PROXIED = (
    INDEX
    + """    if request.META["HTTP_X_FORWARDED_FOR"] != "127.0.0.1":
        raise RuntimeError("planted for visitors")
"""
)
MIGRATION = "project/notes/migrations/0003_next.py"
HEAD = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notes", "0002_note_attachment")]
    operations = """
TABLE_THAT_IS_THERE = (
    HEAD.replace("operations", "beside_old_code = True\n    operations")
    + """[migrations.RunSQL("create table notes_note ()")]\n"""
)
AS_IT_WAS = "select count(*) from notes_note where text = 'changed'"
CHANGES_ALL = HEAD + """[migrations.RunSQL("update notes_note set text = 'changed'")]\n"""
CHANGES_ALL_SLOWLY = CHANGES_ALL.replace("'changed'", "'changed'; select pg_sleep(15)")
THEN_FAILS = (HEAD + """[migrations.RunSQL("select nothing")]\n""").replace(
    "0002_note_attachment", "0003_next"
)
ADDS = TABLE_THAT_IS_THERE.replace(
    "create table notes_note ()", "alter table notes_note add more int"
)
ANY_SQL = HEAD + """[migrations.RunSQL("select 1", "select 1")]\n"""


@pytest.fixture(autouse=True)
def taken_back(site: Site) -> Iterator[None]:
    with site.taken_back():
        yield


def held_back(site: Site, code: str, what: str, *flags: str) -> str:
    """What a deploy says that fails with this problem, while all is served as before."""
    before, release = site.heading(), site.release()
    with site.visited(what) as traffic:
        said = site.refused(code, "deploy", *flags)
    assert_none_failed(traffic)
    assert set(traffic.headings) == {before} and site.release() == release
    return said


def migrates(site: Site) -> bool:
    """Asked in the database's own container: a task of ours may take longer than the migration."""
    asked = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    containers = [name for found in site.containers("db").values() for name in found]
    who = ("--username", site.stack.values["SQL_USER"], site.stack.values["SQL_DATABASE"])
    psql = ("psql", "--no-align", "--tuples-only", *who, "--command", asked)
    return [docker("exec", one, *psql).stdout.strip() for one in containers] == ["1"]


@three_nodes
@pytest.mark.fault("DEP15", "docker")
def test_one_that_never_gets_ready(site: Site) -> None:
    site.change(PROBES, "state, state.obstacle)", 'state, "planted: never ready")')
    said = held_back(site, "DEP15", "a version that never gets ready")
    assert "planted: never ready" in said


@pytest.mark.fault("DEP15", "docker")
def test_one_that_crashes(site: Site) -> None:
    site.change(WSGI, "application =", 'raise RuntimeError("planted crash")\napplication =')
    said = held_back(site, "DEP15", "a version that crashes")
    assert "RuntimeError: planted crash" in said


@one_node
@pytest.mark.fault("DEP39", "docker")
def test_one_whose_page_fails_in_production_alone(site: Site) -> None:
    """As with a stylesheet that a bundler writes into a folder that git ignores."""
    (site.stack.root / "project/static/dist").mkdir()
    site.stack.write("project/static/dist/bundle.css", "body {}")
    site.stack.write(".gitignore", (site.stack.root / ".gitignore").read_text() + "dist/\n")
    site.change(NOTES_PAGE, "{% block content %}", STYLED)
    site.stack.set("DEPLOY_CHECK", "/admin/, /notes/")
    shown = site.inv("deploy", "--plan").stdout
    named = f"{NOTES_PAGE} names the static file dist/bundle.css, which "
    assert f"warning: {named}git ignores" in shown
    warnings = json.loads(site.inv("deploy", "--plan", "--json").stdout)["warnings"]
    assert any(warning.startswith(f"{named}git ignores") for warning in warnings)
    said = held_back(site, "DEP39", "a page that fails in production alone")
    assert f"warning: {named}the image lacks" in said
    assert "Missing staticfiles manifest entry for 'dist/bundle.css'" in said
    assert "the new version answers 500 for /notes/; the running release answers" in said
    log = (site.stack.root / ".state/deploy-check.log").read_text()
    assert "Missing staticfiles manifest entry" in log and "less .state/deploy-check.log" in said


@one_node
@pytest.mark.fault("DEP40", "docker")
def test_one_whose_page_fails_behind_the_proxy_alone(site: Site) -> None:
    """Visitors meet it for a moment: nothing that differs there is known before."""
    before, release = site.heading(), site.release()
    site.change(HOME_VIEW, INDEX, PROXIED)
    said = site.refused("DEP40")
    assert (
        "through the proxy, / answers 500" in said
        and f"Release {release} is running again." in said
    )
    assert site.heading() == before and site.release() == release


@three_nodes
@pytest.mark.fault("DEP14", "docker")
def test_one_whose_migration_fails(site: Site) -> None:
    site.add(MIGRATION, TABLE_THAT_IS_THERE)
    said = held_back(site, "DEP14", "a migration that fails")
    assert 'relation "notes_note" already exists' in said


@one_node
@pytest.mark.fault("DEP38", "docker")
@pytest.mark.fault("DB21", "docker")
def test_one_whose_migration_needs_a_table_that_somebody_holds(site: Site) -> None:
    """Visitors of that table are answered meanwhile, and the fix on the screen works."""
    site.stack.set("LOCK_WAIT_SECONDS", "5")
    site.add(MIGRATION, ADDS)
    with site.stack.start("deploy.psql", *site.target, stdin=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout
        holder.stdin.write("begin; select count(*) from notes_note;\n")
        holder.stdin.flush()
        assert holder.stdout.readline()  # it has the lock
        said = held_back(site, "DEP38", "a migration of a table that somebody holds")
        assert "idle in transaction" in said and "psql" in said
        assert "DB21" in site.stack.found_by_doctor()
        ends = re.search(r"deploy\.psql --local -- -c '(select pg_terminate_backend\(\d+\))'", said)
        assert ends, said
        site.psql(ends[1])
        holder.communicate()
    assert "DB21" not in site.stack.found_by_doctor()


@one_node
def test_a_migration_that_fails_after_another_that_the_code_before_could_not_bear(
    site: Site,
) -> None:
    """The data of before are put back: nobody has written since the web was stopped."""
    site.add(MIGRATION, CHANGES_ALL)
    site.add(MIGRATION.replace("0003_next", "0004_fails"), THEN_FAILS)
    release, heading = site.release(), site.heading()
    said = site.refused("DEP14", "deploy", "--allow-downtime")
    assert (
        'column "nothing" does not exist' in said and f"Release {release} is running again." in said
    )
    assert "Applied before it: notes.0003_next." in said
    assert site.release() == release and site.heading() == heading
    assert site.sql(AS_IT_WAS) == "0"
    site.assert_nothing_lost()


@one_node
@pytest.mark.fault("DEP47", "docker")
def test_one_that_is_killed_while_it_migrates(site: Site) -> None:
    """Its job goes on; a way back is not to look at the database before that has ended."""
    site.add(MIGRATION, CHANGES_ALL_SLOWLY)
    running = site.stack.start("deploy", *site.target, "--allow-downtime")
    eventually(lambda: running.poll() is not None or migrates(site), 60, "it migrates")
    assert running.poll() is None, running.communicate()
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert "DEP47" in site.stack.found_by_doctor()
    said = site.refused("DEP20", "deploy.rollback")
    assert "waiting for" in said and "notes.0003_next" in said
    saved = max((site.stack.root / "backups").glob("*.dump"), key=lambda file: file.stat().st_mtime)
    site.inv("deploy.restore", saved.name, "--yes")
    site.git("reset", "--quiet", "--hard", "HEAD~1")
    site.deploy()
    assert site.sql(AS_IT_WAS) == "0" and site.heading()
    site.assert_nothing_lost()


@one_node
def test_one_that_fails_where_the_code_before_cannot_go_on(site: Site) -> None:
    """Visitors may have written by the new code: the backup is named, and nothing is put back."""
    site.add(MIGRATION, CHANGES_ALL)
    site.change(HOME_VIEW, INDEX, PROXIED)
    said = site.refused("DEP40", "deploy", "--allow-downtime")
    found = re.search(r"notes.0003_next.*not restored.*inv deploy.restore (?:--local )?(\S+)", said)
    assert found, said
    site.inv("deploy.restore", found[1], "--yes")
    site.git("reset", "--quiet", "--hard", "HEAD~2")
    site.deploy()
    assert site.sql(AS_IT_WAS) == "0" and site.heading()
    site.assert_nothing_lost()


@one_node
@pytest.mark.parametrize("heard", [True, False], ids=["heard", "unheard"])
def test_a_deploy_that_is_broken_off(site: Site, heard: bool) -> None:
    """Unheard: as by Ctrl-C in `inv deploy 2>&1 | tee log`. Another Ctrl-C changes nothing."""
    before, release = site.heading(), site.release()
    site.show("Page that is not to be")
    with site.visited("a deploy that is broken off") as traffic:
        running = site.stack.start("deploy", *site.target)
        eventually(site.is_updating, 90, "the web is being updated")
        if not heard:
            for pipe in (running.stdout, running.stderr):
                assert pipe
                pipe.close()
        for _ in range(2):
            os.killpg(running.pid, signal.SIGINT)
            time.sleep(1)
        said = running.communicate(timeout=300)[1] if heard else ""
        assert running.wait(300) == 130
    assert f"interrupted. Release {release} is running again." in said or not heard, said
    assert_none_failed(traffic)
    assert site.heading() == before and site.release() == release


@three_nodes
@pytest.mark.fault("DEP12", "docker")
def test_an_image_of_the_proxy_that_is_nowhere(site: Site) -> None:
    site.stack.set("CADDY_IMAGE", "caddy:no-such")
    assert "caddy:no-such" in held_back(site, "DEP12", "a proxy's image that is nowhere")


@one_node
@pytest.mark.fault("DEP10", "docker")
def test_a_base_image_that_is_nowhere(site: Site) -> None:
    site.stack.set("PYTHON_IMAGE", "python:no-such")
    assert "python:no-such" in held_back(site, "DEP10", "a base image that is nowhere")


@one_node
@pytest.mark.fault("DEP25", "docker")
def test_migrations_that_contradict_each_other(site: Site) -> None:
    site.add(MIGRATION, ANY_SQL)
    site.add(MIGRATION.replace("next", "other"), ANY_SQL)
    assert "0003_next" in site.refused("DEP25")


@one_node
@pytest.mark.fault("DEP28", "docker")
def test_a_change_of_a_model_that_no_migration_makes(site: Site) -> None:
    site.change("project/notes/models.py", "max_length=200", "max_length=300")
    assert "models of notes have changes" in site.refused("DEP28")


@one_node
@pytest.mark.fault("DEP13", "docker")
@pytest.mark.fault("DEP20", "docker")
def test_a_migration_that_the_code_before_could_not_bear(site: Site) -> None:
    site.add(MIGRATION, ANY_SQL)
    release = site.release()
    said = held_back(site, "DEP13", "a migration that interrupts")
    assert "notes.0003_next" in said
    site.deploy("--allow-downtime")
    assert site.release() > release  # numbers of those that were gone back from are not used again
    refused = site.refused("DEP20", "deploy.rollback")
    assert "notes.0003_next" in refused and f"release {release} " in refused
    site.git("reset", "--quiet", "--hard", "HEAD~1")
    assert "the database has notes.0003_next" in site.refused("DEP20")
    site.sql("delete from django_migrations where name = '0003_next'")  # as after a restore
    site.inv("deploy.rollback")
    assert site.release() == release


@one_node
@pytest.mark.fault("DEP46", "docker")
@pytest.mark.fault("DEP48", "docker")
def test_what_doctor_says_of_a_service_that_ends(site: Site) -> None:
    """Here Swarm may start the proxy nowhere."""
    assert not site.stack.found_by_doctor()
    nowhere, update = "node.labels.nowhere==true", ("service", "update", "--detach=false")
    docker(*update[:2], "--detach", "--constraint-add", nowhere, f"{site.name}_proxy")
    try:
        eventually(lambda: not site.tasks("proxy"), 60, "the proxy shall end")
        # Its container may finish what it serves, and answers until then.
        told = {"DEP46", "DEP48"}
        eventually(lambda: told <= site.stack.found_by_doctor(), 30, "doctor says that it has")
    finally:
        docker(*update, "--constraint-rm", nowhere, f"{site.name}_proxy")
    assert not site.stack.found_by_doctor()
