"""What bad input gets: a sentence with what to type, an exit code, and nothing lost."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from toolkit import Toolkit

pytestmark = pytest.mark.forked
Spoil = Callable[[Path], object]

ENVS: list[tuple[str, Spoil, str]] = [
    ("a folder", lambda env: (env.unlink(), env.mkdir()), "ENV01"),
    ("latin-1", lambda env: env.write_bytes(env.read_bytes() + b"A=\xe9\n"), "ENV02"),
    ("no pair", lambda env: env.write_text(env.read_text() + "nonsense\n"), "ENV03"),
    ("a bare $", lambda env: env.write_text(env.read_text() + "A=a$b\n"), "ENV04"),
    ("no key", lambda env: env.write_text("SECRET_KEY=x\nSQL_PASSWORD=x\n"), "ENV05"),
    ("empty", lambda env: env.write_text(""), "ENV05"),
    ("a bad port", lambda env: env.write_text(env.read_text() + "WEB_PORT=http\n"), "ENV06"),
    ("no such runtime", lambda env: env.write_text(env.read_text() + "RUNTIME=x\n"), "ENV08"),
]


@pytest.mark.parametrize("task", ["up", "status", "psql"])
@pytest.mark.parametrize(("what", "spoil", "code"), ENVS, ids=[row[0] for row in ENVS])
def test_env(toolkit: Toolkit, what: str, spoil: Spoil, code: str, task: str) -> None:
    env = toolkit.root / ".env"
    spoil(env)
    before = env.read_bytes() if env.is_file() else None
    done = toolkit.inv(task)
    assert (done.code, done.out, toolkit.log) == (1, "", [])
    assert f"error {code}: " in done.err and "fix: " in done.err
    assert before is None or env.read_bytes() == before


# Docker

REFUSED = "permission denied while trying to connect to the Docker daemon socket"
DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
NO_PLUGIN = "docker: 'compose' is not a docker command."
TASKS = ["up", "down", "status", "psql", "manage", "volumes", "build", "logs", "nuke --yes"]


@pytest.mark.parametrize("typed", TASKS)
def test_no_docker(toolkit: Toolkit, typed: str) -> None:
    (toolkit.bin / "docker").unlink()
    toolkit.path = "/nowhere"
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, done.out) == (1, "")
    assert "error DOCKER01" in done.err and "inv up" in done.err


@pytest.mark.parametrize("typed", TASKS)
def test_engine_down(toolkit: Toolkit, typed: str) -> None:
    toolkit.answers({"words": ["compose", "version"]}, {"words": [], "code": 1, "err": f"{DOWN}\n"})
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, done.out) == (1, "")
    assert "error DOCKER02" in done.err and DOWN in done.err


@pytest.mark.parametrize("typed", ["up", "down", "psql"])
def test_engine_refuses_this_user(toolkit: Toolkit, typed: str) -> None:
    toolkit.answers(
        {"words": ["compose", "version"]}, {"words": [], "code": 1, "err": f"{REFUSED}\n"}
    )
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, done.out) == (1, "")
    assert "error DOCKER03" in done.err and "usermod" in done.err


@pytest.mark.parametrize("typed", ["up", "down", "build", "logs", "compose -- ps"])
def test_no_compose_plugin(toolkit: Toolkit, typed: str) -> None:
    toolkit.answers({"words": ["compose"], "code": 1, "err": f"{NO_PLUGIN}\n"})
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, done.out) == (1, "")
    assert "error DOCKER04" in done.err and "docker-compose-plugin" in done.err


@pytest.mark.parametrize("typed", ["up", "psql"])
@pytest.mark.parametrize("mode", [0o644, 0o755], ids=["not executable", "no program"])
def test_a_docker_that_cannot_be_executed(toolkit: Toolkit, typed: str, mode: int) -> None:
    (toolkit.bin / "docker").write_text("\x7fELF")
    (toolkit.bin / "docker").chmod(mode)
    toolkit.path = "/nowhere"
    done = toolkit.inv(typed)
    assert (done.code, "error DOCKER0" in done.err) == (1, True)


def test_any_other_failure_is_told_in_dockers_words(toolkit: Toolkit) -> None:
    toolkit.answers({"words": ["ps"], "code": 1, "err": "Error: the disk is full\n"})
    done = toolkit.inv("up")
    assert done.code == 1
    assert "error DOCKER05" in done.err and "the disk is full" in done.err


# Wrong words


@pytest.mark.parametrize(
    ("typed", "contains"),
    [
        ("logs --service x", "RUN02: unknown service 'x'"),
        ("shell --service x", "RUN02: unknown service 'x'"),
        ("shell --service 'we b'", "RUN02: unknown service 'we b'"),
        ("up --port 99999", "TASK06: --port is '99999', which is not a number from 1 to 65535."),
        ("up --port 0", "TASK06: --port is '0'"),
        ("up --port -5", "TASK06: --port is '-5'"),
        ("test --suite x", "TASK05: unknown suite 'x'"),
        ("up -- x", "TASK01: up takes no arguments after --"),
        ("down -- x", "TASK01: down takes no arguments after --"),
        ("nuke --yes -- x", "TASK01: nuke takes no arguments after --"),
        ("logs -- x", "TASK01: logs takes no arguments after --"),
        ("db.backup -- x", "TASK01: db.backup takes no arguments after --"),
        ("open -- x", "TASK01: open takes no arguments after --"),
    ],
)
def test_wrong_words(toolkit: Toolkit, typed: str, contains: str) -> None:
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, done.out, toolkit.acts) == (1, "", [])
    assert f"error {contains}" in done.err and "fix: " in done.err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("up --port", "--port needs a value. Run: ./inv up --port VALUE"),
        ("logs -l", "--lines needs a value. Run: ./inv logs --lines VALUE"),
        ("db.restore", "db.restore needs a NAME. Run: ./inv db.restore NAME"),
        ("deploy.restore", "deploy.restore needs a NAME. Run: ./inv deploy.restore NAME"),
        ("explain", "explain needs a CODE. Run: ./inv explain CODE"),
    ],
)
def test_what_is_missing_is_named(toolkit: Toolkit, typed: str, said: str) -> None:
    done = toolkit.inv(*shlex.split(typed))
    help_of = typed.partition(" ")[0]
    assert (done.code, done.out, toolkit.log) == (1, "", [])
    assert done.err == f"{said}\nAll its flags: ./inv --help {help_of}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("manage check", "./inv manage -- check\n"),
        ("migrate notes zero", "./inv migrate -- notes zero\n"),
        ("psql -c 'select 1'", "./inv psql -- -c 'select 1'\n"),
        ("test --keepdb=yes notes", "./inv test -- --keepdb=yes notes\n"),
        ("psql -cfoo", "./inv psql -- -cfoo\n"),
        ("upp", ""),
        ("up --prot 3", ""),
        ("db.backup x.dump", ""),
    ],
)
def test_what_belongs_after_dashes_is_shown_there(toolkit: Toolkit, typed: str, meant: str) -> None:
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, toolkit.log) == (1, [])
    assert (f"as in: {meant}" in done.err) if meant else ("as in:" not in done.err)


@pytest.mark.parametrize("task", ["up", "deploy", "logs", "db.backup", "deploy.restore"])
def test_h_asks_for_help(toolkit: Toolkit, task: str) -> None:
    """However many flags a task has whose names have an h."""
    done = toolkit.inv(task, "-h")
    assert (done.code, toolkit.log) == (0, [])
    assert f"[--core-opts] {task} " in done.out


@pytest.mark.parametrize("task", ["deploy", "deploy.status", "deploy.down"])
def test_a_deploy_to_nowhere_names_its_own_task(toolkit: Toolkit, task: str) -> None:
    done = toolkit.inv(task)
    assert done.code == 1 and f"try it on this machine: ./inv {task} --local\n" in done.err


# nuke

LABEL = "label=com.docker.compose.project=shop"
VOLUME = "shop_postgres_data"


@pytest.fixture
def doomed(toolkit: Toolkit) -> Toolkit:
    """A project with a container, a volume, a network and an image, until a volume is removed."""
    names = {"volume": VOLUME, "network": "shop_default", "image": "c0ffee"}
    toolkit.answers(
        {"words": ["volume", "rm"], "sets": "gone"},
        {"words": ["ps", LABEL, "{{.Names}}"], "unless": "gone", "out": "shop-db-1\n"},
        *({"words": [k, "ls", LABEL], "unless": "gone", "out": f"{n}\n"} for k, n in names.items()),
        {"words": ["system", "df"], "out": f'[{{"Name": "{VOLUME}", "Size": "48.1MB"}}]'},
        {
            "words": ["volume", "inspect"],
            "out": f'[{{"Name": "{VOLUME}", "CreatedAt": "2020-01-01T00:00:00Z"}}]',
        },
    )
    return toolkit


REMOVALS = [
    ["container", "rm", "--force", "shop-db-1"],
    ["volume", "rm", VOLUME],
    ["network", "rm", "shop_default"],
    ["image", "rm", "c0ffee"],
]


def test_nuke_without_a_terminal(doomed: Toolkit) -> None:
    for stdin in (b"", b"shop\n"):
        done = doomed.inv("nuke", stdin=stdin)
        assert (done.code, doomed.acts) == (1, [])
        assert "error TASK02" in done.err and "inv nuke --yes" in done.err


def test_nuke_lists_what_goes(doomed: Toolkit) -> None:
    done = doomed.inv("nuke", "--yes", "--no-backup")
    for part in ("shop-db-1", VOLUME, "48.1MB", "shop_default", "c0ffee"):
        assert part in done.err
    assert (done.code, doomed.acts) == (0, REMOVALS)
    assert "removed shop" in done.err
    assert (doomed.root / ".env").exists()


@pytest.mark.parametrize("typed", ["nope\n", "\n", "SHOP\n", "y\n", "sho\n", "\x04"])
def test_nuke_with_the_wrong_name(doomed: Toolkit, typed: str) -> None:
    done = doomed.on_a_pty("nuke", "--no-backup", typed=typed)
    assert (done.code, doomed.acts) == (1, [])
    assert "error TASK03" in done.out and "nothing was removed" in done.out


def test_nuke_with_the_right_name(doomed: Toolkit) -> None:
    done = doomed.on_a_pty("nuke", "--no-backup", typed="shop\n")
    assert (done.code, doomed.acts) == (0, REMOVALS)


def test_nuke_interrupted_at_the_question(doomed: Toolkit) -> None:
    assert (doomed.on_a_pty("nuke", "--no-backup", typed="\x03").code, doomed.acts) == (130, [])


def test_nuke_where_something_stays(doomed: Toolkit) -> None:
    doomed.answers({"words": ["volume", "rm"], "code": 1, "err": "volume is in use\n"})
    done = doomed.inv("nuke", "--yes", "--no-backup")
    assert done.code == 1
    assert "error TASK04" in done.err and VOLUME in done.err


def test_nuke_where_nothing_is(toolkit: Toolkit) -> None:
    toolkit.answers({"words": ["ps"]})
    done = toolkit.inv("nuke")
    assert (done.code, toolkit.acts) == (0, [])
    assert "nothing to remove: shop has no containers" in done.err


@pytest.mark.parametrize("typed", ["nuke --yes", "up", "down"])
def test_the_containers_of_another_checkout_are_left_alone(doomed: Toolkit, typed: str) -> None:
    other = doomed.home / "other"
    (other / "compose").mkdir(parents=True)
    for name in ("inv", "tasks.py"):
        (other / name).touch()
    doomed.answers(doomed.running("db", "web", folder=str(other / "compose")))
    done = doomed.inv(*shlex.split(typed))
    assert (done.code, doomed.acts) == (1, [])
    assert "error RUN03" in done.err and str(other) in done.err


def test_those_of_a_checkout_that_was_moved_here_are_ours(doomed: Toolkit) -> None:
    gone = doomed.home / "gone"
    doomed.answers(doomed.running("db", "web", folder=str(gone / "compose")))
    assert doomed.inv("nuke", "--yes", "--no-backup").code == 0
