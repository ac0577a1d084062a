"""What each task asks docker to do, and that every word arrives as it was typed."""

import json
import shlex
import subprocess
from collections.abc import Callable

import pytest
from toolkit import CONTAINERS, PASSWORD, SECRET, Toolkit

EXEC = ["exec", "--interactive"]
PSQL = [*EXEC, "--env", "PGUSER=app", "--env", "PGDATABASE=app", "shop-db-1", "psql"]
WEB = [*EXEC, "--env", "SQL_PASSWORD", "shop-web-1"]
MANAGE = [*WEB, "python", "manage.py"]
MIGRATE = [*EXEC, "--env", "MIGRATE_LOG", *MANAGE[len(EXEC) :]]
SHELL = ["sh", "-c", 'exec $(command -v ash || command -v bash || command -v sh) "$@"', "sh"]
LOGS = ["compose", "logs"]

COMMANDS = [
    ("psql", PSQL),
    ("psql -- -c 'select 1'", [*PSQL, "-c", "select 1"]),
    ("shell", [*WEB, *SHELL]),
    ("shell --service web", [*WEB, *SHELL]),
    ("shell --service db", [*EXEC, "shop-db-1", *SHELL]),
    ("shell --service=db -- -c 'ls -l'", [*EXEC, "shop-db-1", *SHELL, "-c", "ls -l"]),
    ("manage", MANAGE),
    ("manage -- createsuperuser", [*MANAGE, "createsuperuser"]),
    ("manage -- shell -c 'print(1)'", [*MANAGE, "shell", "-c", "print(1)"]),
    ("migrate", [*MIGRATE, "migrate"]),
    ("migrate -- notes 0001", [*MIGRATE, "migrate", "notes", "0001"]),
    ("makemigrations", [*MANAGE, "makemigrations"]),
    ("makemigrations -- --check --dry-run", [*MANAGE, "makemigrations", "--check", "--dry-run"]),
    ("db.seed", [*MANAGE, "load_seed"]),
    ("logs", [*LOGS, "--tail=100"]),
    ("logs --service web", [*LOGS, "--tail=100", "web"]),
    ("logs --follow --service db", [*LOGS, "--tail=100", "--follow", "db"]),
    ("logs --lines 5", [*LOGS, "--tail=5"]),
    ("compose -- ps --all", ["compose", "ps", "--all"]),
    ("compose -- config", ["compose", "config"]),
    ("compose", ["compose"]),
    ("down", ["compose", "down", "--remove-orphans"]),
    ("build", ["compose", "build", "web"]),
    ("build --no-cache", ["compose", "build", "--no-cache", "web"]),
]


@pytest.mark.forked
@pytest.mark.parametrize(("typed", "expected"), COMMANDS)
def test_command(toolkit: Toolkit, typed: str, expected: list[str]) -> None:
    done = toolkit.inv(*shlex.split(typed))
    assert toolkit.acts == [expected]
    assert done.code == 0
    # The raw command is shown, on stderr alone; the pipe stays clean.
    assert shlex.join(["docker", *expected]) in done.err.splitlines()
    assert done.out == ""


WORDS = [
    ["select 1, $$a b$$"],
    ["a b", "c"],
    [""],
    ["", "a", ""],
    ["it's"],
    ['say "x"'],
    ["two\nlines"],
    ["tab\there"],
    ["$HOME", "${HOME}", "`id`", "$(id)", "!x", "*", "~"],
    ["back\\slash", "\\"],
    ["naïve 日本 🐘"],
    ["--", "x", "--"],
    ["--help"],
    ["--list"],
    ["--dry"],
    ["--echo"],
    ["-c", "x", "-e", "-f", "-d", "-r", "-p", "-V"],
    ["--service", "db"],
    ["up", "down"],
    ["{{.Name}}", "%s", ";", "|", "&"],
    [" leading", "trailing "],
    ["x" * 100_000],
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: repr(words)[:40])
def test_every_word_after_the_dashes_arrives_as_it_is(toolkit: Toolkit, words: list[str]) -> None:
    assert toolkit.inv("psql", "--", *words).code == 0
    assert toolkit.acts == [[*PSQL, *words]]


@pytest.mark.forked
@pytest.mark.parametrize("task", ["manage", "shell", "compose", "migrate", "makemigrations"])
def test_of_every_task_that_takes_words(toolkit: Toolkit, task: str) -> None:
    words = ["a b", "", "--", "--help", "$x"]
    toolkit.inv(task, "--", *words)
    [argv] = toolkit.acts
    assert argv[-len(words) :] == words


CODES = [("psql", code) for code in (0, 1, 2, 3, 126, 127, 130, 255)]
CODES += [(task, 3) for task in ("manage", "shell", "migrate", "makemigrations")]


@pytest.mark.parametrize(("task", "code"), CODES)
def test_exit_codes_are_passed_on(toolkit: Toolkit, task: str, code: int) -> None:
    toolkit.answers({"words": ["exec"], "code": code})
    assert toolkit.inv(task).code == code


@pytest.mark.forked
@pytest.mark.parametrize(("task", "code"), [("compose", 14), ("down", 1), ("logs", 130)])
def test_exit_codes_of_compose(toolkit: Toolkit, task: str, code: int) -> None:
    toolkit.answers({"words": ["compose", "version"]}, {"words": ["compose"], "code": code})
    assert toolkit.inv(task).code == code


def test_one_megabyte_streams_in_byte_for_byte(toolkit: Toolkit) -> None:
    blob = bytes(range(256)) * 4096
    toolkit.answers({"words": ["exec"], "stdin": True})
    assert toolkit.inv("psql", stdin=blob).code == 0
    assert toolkit.stdin_of("psql") == blob


def test_one_megabyte_streams_out_byte_for_byte(toolkit: Toolkit) -> None:
    blob = bytes(range(256)) * 4096
    (toolkit.home / "blob").write_bytes(blob)
    toolkit.answers({"words": ["exec"], "out_file": str(toolkit.home / "blob")})
    assert toolkit.inv("psql", "--", "-c", "copy x to stdout").code == 0
    assert toolkit.raw_out == blob


def test_a_terminal_is_passed_on(toolkit: Toolkit) -> None:
    for task in ("psql", "shell", "manage"):
        toolkit.on_a_pty(task)
    assert [argv[:3] for argv in toolkit.acts] == [["exec", "--interactive", "--tty"]] * 3


@pytest.mark.parametrize("folder", ["project", "project/notes", "compose/web", "tests-of-mine"])
def test_from_a_folder_inside(toolkit: Toolkit, folder: str) -> None:
    (toolkit.root / folder).mkdir(parents=True, exist_ok=True)
    assert toolkit.inv("manage", cwd=toolkit.root / folder).code == 0
    assert toolkit.acts == [MANAGE]
    assert {call["cwd"] for call in toolkit.log} == {str(toolkit.root)}


def test_a_folder_with_odd_characters(toolkit: Toolkit) -> None:
    odd = toolkit.root.with_name("my shop's $x")
    toolkit.root.rename(odd)
    toolkit.root = odd
    assert toolkit.inv("manage", "--", "check").code == 0
    assert toolkit.acts == [[*MANAGE, "check"]]


# The admin for development


ADMIN = "ADMIN_USER=ann\nADMIN_PASSWORD='pa55 of $ann'\nADMIN_EMAIL=ann@example.org\n"
SUPERUSER = {
    "DJANGO_SUPERUSER_USERNAME": "ann",
    "DJANGO_SUPERUSER_PASSWORD": "pa55 of $ann",
    "DJANGO_SUPERUSER_EMAIL": "ann@example.org",
}
NAMED = [word for name in SUPERUSER for word in ("--env", name)]
SEED = ["web", "python", "manage.py", "load_seed", "--admin"]


def append_to_env(toolkit: Toolkit, text: str) -> None:
    with (toolkit.root / ".env").open("a") as file:
        file.write(text)


def assert_passed_by_environment(toolkit: Toolkit) -> None:
    toolkit.environment = {"ADMIN_PASSWORD": "exported", **dict.fromkeys(SUPERUSER, "exported")}
    done = toolkit.inv("db.seed", "--admin")
    environment = toolkit.log[-1]["env"]
    assert {name: environment[name] for name in SUPERUSER} == SUPERUSER
    assert "pa55" not in done.all + json.dumps([call["argv"] for call in toolkit.log])


@pytest.mark.forked
def test_the_admin_goes_by_environment(toolkit: Toolkit) -> None:
    append_to_env(toolkit, ADMIN)
    assert_passed_by_environment(toolkit)
    assert toolkit.acts == [[*EXEC, *NAMED, *WEB[2:], *SEED[1:]]]


@pytest.mark.forked
def test_the_admin_where_the_web_is_dead(toolkit: Toolkit) -> None:
    append_to_env(toolkit, ADMIN)
    dead = toolkit.container("web", state="exited", status="Exited (1) 3 seconds ago")
    toolkit.answers({**toolkit.running("db"), "out": dead})
    assert_passed_by_environment(toolkit)
    assert toolkit.acts == [["compose", "run", "--rm", "--no-deps", "--no-TTY", *NAMED, *SEED]]


@pytest.mark.forked
@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        ("", "ENV16", "set ADMIN_USER, ADMIN_PASSWORD, ADMIN_EMAIL in .env, then run: "),
        (ADMIN + "ADMIN_EMAIL=\n", "ENV16", "ADMIN_EMAIL has no value in .env."),
        (ADMIN + "DEBUG=Off\n", "TASK07", "manage -- createsuperuser"),
    ],
)
def test_no_admin(toolkit: Toolkit, lines: str, code: str, told: str) -> None:
    append_to_env(toolkit, lines)
    done = toolkit.inv("db.seed", "--admin")
    assert (done.code, toolkit.log) == (1, [])
    assert f"error {code}" in done.err and told in done.err


# Where the web does not run


@pytest.mark.forked
def test_a_dead_web_gets_a_container_of_its_own(toolkit: Toolkit) -> None:
    dead = toolkit.container("web", state="exited", status="Exited (1) 3 seconds ago")
    toolkit.answers({**toolkit.running("db"), "out": dead})
    done = toolkit.inv("manage", "--", "check")
    run = ["compose", "run", "--rm", "--no-deps", "--no-TTY", "web", "python", "manage.py", "check"]
    assert toolkit.acts == [run]
    assert "the web is not running" in done.err


@pytest.mark.forked
@pytest.mark.parametrize(
    "task", ["psql", "shell", "manage", "migrate", "makemigrations", "db.seed"]
)
def test_with_nothing_running(toolkit: Toolkit, task: str) -> None:
    toolkit.answers({"words": ["ps"]})
    done = toolkit.inv(task)
    assert (done.code, done.out, toolkit.acts) == (1, "", [])
    assert "error RUN01" in done.err and "inv up" in done.err


@pytest.mark.forked
def test_a_database_elsewhere(toolkit: Toolkit) -> None:
    with (toolkit.root / ".env").open("a") as file:
        file.write("SQL_HOST=pg.example\nSQL_PORT=6543\n")
    toolkit.inv("psql", "--", "-c", "select 1")
    whom = {
        "PGHOST": "pg.example",
        "PGPORT": "6543",
        "PGUSER": "app",
        "PGPASSWORD": PASSWORD,
        "PGDATABASE": "app",
    }
    flags = [word for name in whom for word in ("--env", name)]
    labels = ("com.docker.compose.project=shop", "com.docker.compose.oneoff=True")
    labelled = [word for label in labels for word in ("--label", label)]
    client = ["run", "--rm", *labelled, "--interactive", *flags, "postgres:18-alpine", "psql"]
    assert toolkit.acts == [[*client, "-c", "select 1"]]
    assert whom.items() <= toolkit.log[-1]["env"].items()


# The environment


EXPORTED = {
    "COMPOSE_PROJECT_NAME": "wrong",
    "SQL_PASSWORD": "wrong",
    "WEB_PORT": "1",
    "SQL_USER": "wrong",
    "COMPOSE_FILE": "wrong.yaml",
    "COMPOSE_PROFILES": "wrong",
    "MINE": "kept",
}


@pytest.mark.forked
@pytest.mark.parametrize("task", ["down", "build", "logs", "compose", "up"])
def test_env_wins_over_what_is_exported(
    toolkit: Toolkit, ready: Callable[..., None], task: str
) -> None:
    ready()
    toolkit.environment = EXPORTED
    assert toolkit.inv(task).code == 0
    calls = [call for call in toolkit.log if call["argv"] in toolkit.acts]
    assert calls
    for call in calls:
        assert not {"COMPOSE_PROJECT_NAME", "SQL_PASSWORD", "WEB_PORT"} & set(call["env"])
        assert call["env"]["SQL_USER"] == "app"  # not in .env: the documented default
        assert call["env"]["COMPOSE_FILE"].startswith("compose/db.yaml")
        assert "COMPOSE_PROFILES" not in call["env"]
        assert call["env"]["MINE"] == "kept"


@pytest.mark.forked
@pytest.mark.parametrize(
    "typed", ["up", "psql", "migrate", "status", "volumes", "down", "nuke --yes", "--echo up"]
)
def test_no_secret_is_shown_or_passed_by_argv(
    toolkit: Toolkit, ready: Callable[..., None], typed: str
) -> None:
    ready()
    done = toolkit.inv(*shlex.split(typed))
    said = done.all + json.dumps([call["argv"] for call in toolkit.log])
    assert toolkit.log
    assert PASSWORD not in said and SECRET not in said


# Answers


@pytest.mark.forked
def test_status(toolkit: Toolkit, ready: Callable[..., None]) -> None:
    ready()
    done = toolkit.inv("status")
    assert done.code == 0 and done.err == ""
    assert f"http://127.0.0.1:{toolkit.port}/" in done.out and "ready" in done.out
    found = json.loads(toolkit.inv("status", "--json").out)
    assert (found["project"], found["runtime"], found["ready"]) == ("shop", "docker", True)
    assert [service["service"] for service in found["services"]] == ["db", "web"]


@pytest.mark.forked
def test_status_of_a_web_that_is_not_ready(toolkit: Toolkit, ready: Callable[..., None]) -> None:
    ready({"ready": False, "reason": "no database", "unapplied": ["notes.0001_initial"]}, 503)
    found = json.loads(toolkit.inv("status", "--json").out)
    assert (found["ready"], found["reason"]) == (False, "no database")
    assert found["unapplied"] == ["notes.0001_initial"]
    assert "no database" in toolkit.inv("status").out


@pytest.mark.forked
def test_status_of_nothing(toolkit: Toolkit) -> None:
    toolkit.answers({"words": ["ps"]})
    done = toolkit.inv("status")
    assert done.code == 0
    assert "not ready" in done.out and "inv up" in done.out


@pytest.mark.forked
@pytest.mark.parametrize("body", ["", "[]", "null", "<html>", '"x"'])
def test_status_of_another_program_on_that_port(
    toolkit: Toolkit, ready: Callable[..., None], body: str
) -> None:
    ready([body])
    found = json.loads(toolkit.inv("status", "--json").out)
    assert (found["ready"], "does not answer" in found["reason"]) == (False, True)


@pytest.mark.forked
def test_volumes(toolkit: Toolkit) -> None:
    name = "shop_postgres_data"
    toolkit.answers(
        {"words": ["volume", "ls"], "out": f"{name}\n"},
        {"words": ["system", "df"], "out": json.dumps([{"Name": name, "Size": "48.1MB"}])},
        {
            "words": ["volume", "inspect"],
            "out": json.dumps([{"Name": name, "CreatedAt": "2020-01-01T00:00:00Z"}]),
        },
        {"words": ["ps", f"volume={name}"], "out": "shop-db-1\n"},
    )
    text = toolkit.inv("volumes").out
    for part in (name, "48.1MB", "days", "shop-db-1"):
        assert part in text
    [found] = json.loads(toolkit.inv("volumes", "--json").out)
    assert (found["name"], found["size"], found["mounted_by"]) == (name, "48.1MB", ["shop-db-1"])


def test_open_uses_the_browser_of_the_user(toolkit: Toolkit) -> None:
    toolkit.program("browser", '#!/bin/sh\necho "$1" >>"$FAKE_HOME/opened"\n')
    toolkit.environment = {"BROWSER": "browser"}
    done = toolkit.inv("open")
    url = f"http://127.0.0.1:{toolkit.port}/"
    assert (done.code, done.out) == (0, f"{url}\n")
    assert (toolkit.home / "opened").read_text() == f"{url}\n"


@pytest.mark.forked
@pytest.mark.parametrize(
    ("typed", "code", "contains"),
    [
        ("", 0, "The stack"),
        ("--list", 0, "makemigrations"),
        ("--help up", 0, "Build, start, migrate"),
        ("--help nuke", 0, "--yes"),
        ("--version", 0, "3."),
        ("nosuch", 1, "inv --help TASK"),
        ("manage createsuperuser", 1, "inv manage -- createsuperuser"),
        ("manage migrate", 1, "would be two separate tasks"),
        ("compose down", 1, "would be two separate tasks"),
        ("up --nosuch", 1, "nosuch"),
        ("migrat", 1, "Did you mean migrate?"),
        ("migrate notes zero", 1, "Unknown task or flag: notes.\n"),
        ("deploy --lokal", 1, "Did you mean --local?"),
        ("deploy --no-chek", 1, "Did you mean --no-check?"),
        ("logs --lines many", 1, "many"),
    ],
)
def test_invokes_own(toolkit: Toolkit, typed: str, code: int, contains: str) -> None:
    done = toolkit.inv(*shlex.split(typed))
    assert (done.code, contains in done.all) == (code, True), done.all
    assert toolkit.log == []


@pytest.mark.parametrize("typed", ["", "status --json", "--help up"])
def test_a_reader_that_has_seen_enough(toolkit: Toolkit, typed: str) -> None:
    piped = ["sh", "-c", f"{shlex.quote(str(toolkit.root / 'inv'))} {typed} | true"]
    done = subprocess.run(piped, env=toolkit.env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_doctor_asks_for_the_containers_once(toolkit: Toolkit, ready: Callable[..., None]) -> None:
    """Its checks look at the same ones: what some of them ask costs time, and may differ."""
    ready()
    found = json.loads(toolkit.inv("doctor", "--json").out)
    assert {"db", "web", "containers", "page"} <= {finding["check"] for finding in found}
    assert len([call for call in toolkit.log if CONTAINERS in call["argv"]]) == 1


@pytest.mark.parametrize("typed", ["inv logs --service", "inv shell --service w"])
def test_the_names_of_services_are_completed(toolkit: Toolkit, typed: str) -> None:
    assert toolkit.inv("--complete", "--", typed).out.split() == ["db", "web"]
    assert toolkit.log == [], "TAB asks nobody"
