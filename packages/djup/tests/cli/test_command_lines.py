"""Several tasks in one command line: each speaks to the engine that it would speak to alone."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from toolkit import Toolkit

from tasks import namespace

DRIVER = Path(__file__).with_name("one_line.py")
SERVER, OURS = "ssh://deploy@shop.example.org", "of-this-machine"
# Those that ask no engine: they open a browser, or look at the code.
WITHOUT_ENGINE = {
    *("open_page", "run_tests", "lint", "lock", "hooks", "db_backups", "explain"),
    *("new", "build_wheels", "toolkit_upgrade", "docs", "mail", "service_add", "service_remove"),
}
# Here: no task has taken anything away, and no backups are scheduled.
NOTHING_TO_ASK = {"undo", "deploy_backups"}
WORDS = {
    "deploy": "--yes",
    "deploy_restore": "kept --yes",
    "deploy_down": "--yes",
    "deploy_maintenance": "off",
    "deploy_move": "--to here --yes",
    "db_restore": "kept",
    "db_upgrade": "--to 18",
    "nuke": "--yes --no-backup",
    "media_copy": "--to s3://shop",
}
SWARM = {"LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n1"}
NODE = {
    "ID": "n1",
    "Spec": {"Labels": {}, "Availability": "active"},
    "Description": {"Hostname": "here", "Resources": {"MemoryBytes": 4 << 30}},
    "Status": {"State": "ready"},
}
# Notes which engine is asked; a Python for each of some thousand calls would take minutes.
DOCKER = f"""\
#!/bin/sh
printf '%s\\t%s\\t%s\\n' "$DOCKER_HOST" "$DOCKER_CONTEXT" "$1 $2" >>"$FAKE_HOME/calls"
case "$1 $2 $3 $4" in
  *"inspect {OURS} "*) echo unix:///run/docker.sock ;;
  *LocalNodeState*) echo active ;;
  *".Swarm"*) echo '{json.dumps(SWARM)}' ;;
  *version*) echo 28.0 ;;
  "compose config --format json") echo '{{"services": {{"db": {{}}, "web": {{}}}}}}' ;;
  "ps --all --no-trunc "*) cat "$FAKE_HOME/ps" ;;
  "exec "*) case "$*" in *PGHOST=127*) ;; *) exit 1 ;; esac ;;
  "node ls "*) echo n1 ;;
  "node inspect "*) echo '{json.dumps([NODE])}' ;;
esac
"""


GIT = '#!/bin/sh\n[ "$1" = status ] || echo 0123456789abcdef\n'


def names(production: bool) -> list[str]:
    """The tasks of production, or those of development, that speak to an engine."""
    found = {name: namespace[name] for name in namespace.task_names}
    asking = {n: t for n, t in found.items() if t.body.__name__ not in WITHOUT_ENGINE}
    return [name for name, task in asking.items() if (task.group == "Production") is production]


def words(name: str) -> list[str]:
    """A task with the arguments that it needs."""
    return [name, *shlex.split(WORDS.get(namespace[name].body.__name__, ""))]


@pytest.fixture
def both(toolkit: Toolkit, ready: Callable[..., None]) -> Toolkit:
    """A checkout that is up on an engine of its user's choice, and is deployed to another."""
    with (toolkit.root / ".env").open("a") as file:
        file.write(f"DEPLOY_TO={SERVER}\nDOMAIN=shop.example.org\nSTACK=shop\n")
    toolkit.environment = {"DOCKER_CONTEXT": OURS}
    toolkit.program("docker", DOCKER)
    toolkit.program("git", GIT)
    running = toolkit.container("db") + toolkit.container("web")
    (toolkit.home / "ps").write_text(running)
    ready()
    return toolkit


def asked(toolkit: Toolkit) -> list[tuple[str, set[tuple[str, str]]]]:
    """Each task, in order, and the engines that it has asked."""
    first, *parts = (toolkit.home / "calls").read_text().split("task ")
    assert not first
    found = [part.splitlines() for part in parts]
    return [
        (task, {(host, context) for host, context, _ in (c.split("\t") for c in calls)})
        for task, *calls in found
    ]


@pytest.mark.parametrize("deploying", names(production=True))
def test_no_task_leads_the_next_one_to_its_engine(both: Toolkit, deploying: str) -> None:
    """One line for each task of production: before and after it each one of development."""
    line = [deploying, *(one for name in names(production=False) for one in (name, deploying))]
    argv = [both.root / ".venv" / "bin" / "python", "-P", DRIVER]
    argv += [word for name in line for word in words(name)]
    done = subprocess.run(
        argv, cwd=both.root, env=both.env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    found = asked(both)
    assert [task for task, _ in found] == [namespace[name].body.__name__ for name in line]
    for task, engines in found:
        there = namespace[deploying].body.__name__ == task
        expected = {(SERVER, "")} if there else {("", OURS)}
        assert engines == expected or (task in NOTHING_TO_ASK and not engines), task


def test_who_has_lost_env_is_told_to_name_the_stack(both: Toolkit) -> None:
    """And not to deploy, which would make another stack, of the folder's name."""
    done = both.inv("deploy.env")
    assert (done.code, done.out) == (1, "") and "error DEP18" in done.err
    assert f"STACK=… (docker --host {SERVER} stack ls lists them)" in done.err


@pytest.mark.parametrize("typed", ["status", "volumes", "doctor", "db.backups", "deploy --plan"])
def test_json_is_one_document_and_nothing_else(both: Toolkit, typed: str) -> None:
    """What `deploy.status` prints is read where something is deployed."""
    assert isinstance(json.loads(both.inv(*typed.split(), "--json").out), list | dict)


def test_json_of_a_deploy_is_that_of_its_plan(toolkit: Toolkit) -> None:
    toolkit.program("git", GIT)
    with (toolkit.root / ".env").open("a") as file:
        file.write("DOMAIN=shop.example.org\n")
    toolkit.answers({"words": ["info"], "out": "inactive\n"})
    done = toolkit.inv("deploy", "--context", SERVER, "--plan", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["where"] == SERVER
    assert (found["in_swarm"], found["nodes"], found["release"]) == (False, 0, None)
    assert "error TASK12" in toolkit.inv("deploy", "--local", "--json").err


def test_a_plan_for_the_server_and_then_a_stack_here(toolkit: Toolkit) -> None:
    """As it is typed, with what it says: exit code 0, and the fixes are those of the second."""
    toolkit.program("git", GIT)
    with (toolkit.root / ".env").open("a") as file:
        file.write("DOMAIN=shop.example.org\n")
    toolkit.answers({"words": ["info"], "out": "inactive\n"}, {"words": ["ps"], "out": ""})
    done = toolkit.inv(*shlex.split(f"deploy --context {SERVER} --plan down down"))
    assert (done.code, toolkit.acts) == (0, [["compose", "down", "--remove-orphans"]] * 2)
    hosts = [call["env"].get("DOCKER_HOST") for call in toolkit.log]
    questions = [call["argv"][0] in ("info", "version") for call in toolkit.log]
    assert hosts == [SERVER if of_the_plan else None for of_the_plan in questions]
    lost = toolkit.inv(*shlex.split(f"deploy --context {SERVER} --plan psql"))
    assert lost.code == 1 and "run: ./inv up" in lost.err
