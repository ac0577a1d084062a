"""`inv up` with a fake docker: what it asks for, in which order, and how it can be interrupted."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import checkout
import pytest
from toolkit import Toolkit

BUILD = ["compose", "build", "web"]
UP = ["compose", "up", "--detach"]
GIVE = ["run", "--rm", "--user", "0:0"]  # the volume of uploads, to whom the web runs as
Ready = Callable[..., None]


def acts(toolkit: Toolkit) -> list[list[str]]:
    """What docker was told to do, less that the uploads are the web's."""
    return [argv for argv in toolkit.acts if argv[:4] != GIVE]


def files(root: Path) -> set[str]:
    """Everything in a checkout but .venv and bytecode, what git ignores included."""
    skipped = {".venv", "__pycache__"}
    found = (path.relative_to(root) for path in root.rglob("*"))
    return {str(path) for path in found if not skipped & set(path.parts)}


def built(toolkit: Toolkit) -> str:
    """The label that says that the image is what the files ask for; docker gives it from now on."""
    code = "from djup.checkout import env, fingerprint; print(fingerprint.image_inputs(env.load()))"
    argv = [toolkit.root / ".venv" / "bin" / "python", "-c", code]
    source = toolkit.root / checkout.SOURCE
    label = subprocess.run(argv, cwd=source, capture_output=True, text=True, check=True)
    toolkit.answers(toolkit.engine_has(label.stdout.strip()))
    return label.stdout.strip()


def test_fresh_clone(fresh: Toolkit) -> None:
    fresh.answers(
        {"words": ["compose", "up"], "serve": fresh.port, "sets": "started"},
        {**fresh.running("db", "web"), "when": "started"},
    )
    # The first free port may be another test's; this one is ours.
    checkout.begin_at(fresh.root, fresh.port)
    done = fresh.inv("up")
    assert done.code == 0, done.err
    assert done.out == f"http://127.0.0.1:{fresh.port}/\n"
    *pulls, look, volume, build, media, give, up = fresh.acts
    assert f"{fresh.root}" in " ".join(media) and media[-1].endswith("_media") and give[:4] == GIVE
    assert look[:2] == ["run", "--rm"] and f"source={fresh.root}/project" in " ".join(look)
    assert pulls == [["pull", "postgres:18-alpine"], ["pull", "python:3.14-alpine"]]
    assert volume[:2] == ["volume", "create"] and f"checkout={fresh.root}" in volume
    assert [build, up] == [BUILD, [*UP, "db", "web"]]
    assert ".env created from .env.example" in done.err
    assert (fresh.root / ".env").stat().st_mode & 0o777 == 0o600


def test_dry_on_a_fresh_clone_writes_nothing(fresh: Toolkit) -> None:
    before = files(fresh.root)
    done = fresh.inv("--dry", "up")
    assert done.code == 0
    assert files(fresh.root) == before
    assert fresh.acts == []
    for command in ("docker compose build web", "docker compose up --detach"):
        assert command in done.err


@pytest.mark.parametrize(
    "typed",
    [
        ["up"],
        ["down"],
        ["build"],
        ["build", "--no-cache"],
        ["nuke"],
        ["nuke", "--yes"],
        ["migrate"],
        ["makemigrations"],
        ["manage", "--", "flush"],
        ["shell", "--", "-c", "rm x"],
        ["psql", "--", "-c", "drop table x"],
        ["compose", "--", "down", "-v"],
        ["logs"],
        ["test"],
        ["test", "--suite", "app"],
        ["lint"],
        ["lint", "--fix"],
        ["lock"],
        ["lock", "--upgrade"],
        ["docs"],
        ["docs", "--serve"],
    ],
    ids=" ".join,
)
def test_dry_changes_nothing(toolkit: Toolkit, typed: list[str]) -> None:
    toolkit.answers(
        {"words": ["ls", "{{.Name}}"], "out": "shop_postgres_data\n"},
        {"words": ["system", "df"], "out": "[]"},
        {"words": ["volume", "inspect"], "out": "[]"},
    )
    for name in ("uv", "git"):
        toolkit.program(name, '#!/bin/sh\necho "$0" >>"$FAKE_HOME/ran"\n')
    for lock in ("lint", "build", "test"):
        (toolkit.root / ".venv" / "locks" / f"{lock}.txt").unlink(missing_ok=True)
    before = files(toolkit.root)
    done = toolkit.inv("--dry", *typed)
    assert toolkit.acts == []
    assert files(toolkit.root) == before
    assert not (toolkit.home / "ran").exists(), "it installs something"
    assert done.code == 0
    assert "passed" not in done.out + done.err, "it tells of what did not run"


@pytest.mark.forked
def test_dry_open_opens_nothing(toolkit: Toolkit) -> None:
    toolkit.program("browser", '#!/bin/sh\n: >"$FAKE_HOME/opened"\n')
    toolkit.environment = {"BROWSER": "browser"}
    toolkit.inv("--dry", "open")
    assert not (toolkit.home / "opened").exists()


# What is stale, and what is not


@pytest.mark.forked
def test_an_image_that_is_fresh_is_not_built(toolkit: Toolkit, ready: Ready) -> None:
    built(toolkit)
    ready()
    assert toolkit.inv("up").code == 0
    assert acts(toolkit) == [[*UP, "db", "web"]]


@pytest.mark.forked
def test_a_stale_image_is_built_with_its_hash(toolkit: Toolkit, ready: Ready) -> None:
    expected = built(toolkit)
    toolkit.answers(toolkit.engine_has("another"))
    ready()
    assert toolkit.inv("up").code == 0
    assert acts(toolkit) == [BUILD, [*UP, "db", "web"]]
    [build] = [call for call in toolkit.log if call["argv"] == BUILD]
    assert build["env"]["BUILD_INPUTS"] == expected


@pytest.mark.forked
def test_up_again_calls_no_compose(toolkit: Toolkit, ready: Ready) -> None:
    label = built(toolkit)
    toolkit.answers(toolkit.running("db", "web", inputs=label))
    ready()
    toolkit.inv("up")
    toolkit.forget()
    done = toolkit.inv("up")
    assert (done.code, done.out) == (0, f"http://127.0.0.1:{toolkit.port}/\n")
    assert toolkit.acts == []
    assert len(toolkit.log) <= 2


@pytest.mark.forked
@pytest.mark.parametrize(
    "changed", [{"config": "0ther"}, {"inputs": "0ther"}, {"image": "sha256:0ther"}]
)
def test_a_container_that_someone_else_made_is_brought_in_step(
    toolkit: Toolkit, ready: Ready, changed: dict[str, str]
) -> None:
    label = {"inputs": built(toolkit)}
    toolkit.answers(toolkit.running("db", "web", **label))
    ready()
    toolkit.inv("up")
    toolkit.forget()
    toolkit.answers(toolkit.running("db", "web", **(label | changed)))
    assert toolkit.inv("up").code == 0
    assert acts(toolkit) == [[*UP, "db", "web"]]


@pytest.mark.forked
def test_a_database_elsewhere_needs_no_db(toolkit: Toolkit, ready: Ready) -> None:
    with (toolkit.root / ".env").open("a") as file:
        file.write("SQL_HOST=pg.example\n")
    built(toolkit)
    ready()
    assert "its volume stays" in toolkit.inv("up").err
    assert acts(toolkit) == [[*UP, "web"], ["compose", "rm", "--stop", "--force", "db"]]


@pytest.mark.forked
def test_what_is_not_migrated_is_migrated(toolkit: Toolkit, ready: Ready) -> None:
    built(toolkit)
    ready({"ready": False, "reason": "1 migration", "unapplied": ["notes.0001_initial"]}, 503)
    done = toolkit.inv("up")
    assert ["manage.py", "migrate", "--no-input"] in [act[-3:] for act in toolkit.acts]
    assert "notes.0001_initial" in done.err
    # Still not ready after it: this is no success.
    assert (done.code, done.out) == (1, "")
    assert "error WEB06" in done.err


@pytest.mark.forked
def test_a_web_that_does_not_answer_is_no_success(toolkit: Toolkit) -> None:
    done = toolkit.inv("up")
    assert (done.code, done.out) == (1, "")
    assert "error WEB06" in done.err


def test_a_web_that_is_just_reloading_is_waited_for(toolkit: Toolkit, ready: Ready) -> None:
    """For a second after each save nothing listens; `inv up` then is no error."""
    built(toolkit)
    child = toolkit.start("up")
    toolkit.wait_for("compose", "up")
    time.sleep(1)
    ready()
    done = toolkit.finish(child)
    assert (done.code, done.out) == (0, f"http://127.0.0.1:{toolkit.port}/\n"), done.err


# What goes wrong


@pytest.mark.forked
def test_a_failed_build(toolkit: Toolkit) -> None:
    toolkit.answers({"words": ["build"], "code": 17, "err": "no such wheel\n"})
    done = toolkit.inv("up")
    assert (done.code, toolkit.acts) == (1, [BUILD])
    assert "no such wheel" in done.err and "error IMG04" in done.err


@pytest.mark.forked
@pytest.mark.parametrize("service", ["db", "web"])
def test_a_service_that_dies(toolkit: Toolkit, service: str) -> None:
    other = {"db": "web", "web": "db"}[service]
    dead = toolkit.container(service, state="exited", status="Exited (78) 1 second ago")
    toolkit.answers(
        {"words": ["ps"], "out": dead + toolkit.container(other)},
        {"words": ["logs", f"shop-{service}-1"], "out": "line one\n", "err": "the reason\n"},
        {"words": ["logs"], "out": "not the one that failed\n"},
    )
    done = toolkit.inv("up")
    assert (done.code, done.out) == (1, "")
    for part in ("line one", "the reason", f"error {service.upper()}01", f"--service {service}"):
        assert part in done.err
    assert "not the one that failed" not in done.err


def test_a_fresh_clone_for_another_port_and_runtime(fresh: Toolkit) -> None:
    """Its `.env` is right at once: nothing switches, and nothing moves."""
    done = fresh.inv("--dry", "up", "--runtime", "docker", "--port", str(fresh.port))
    assert ".env would be created" in done.err and "would have" not in done.err
    with socket.create_server(("127.0.0.1", fresh.port)):
        refused = fresh.inv("up", "--runtime", "docker", "--port", str(fresh.port))
    assert "error NET01" in refused.err
    said = [line for line in refused.err.splitlines() if ".env" in line]
    assert f"runtime docker, port {fresh.port}" in said[0] and "the page moves" not in refused.err
    assert f"\nWEB_PORT={fresh.port}\n" in (fresh.root / ".env").read_text()


@pytest.mark.forked
def test_a_busy_port(toolkit: Toolkit) -> None:
    toolkit.answers({"words": ["ps"]})
    with socket.create_server(("127.0.0.1", toolkit.port)):
        done = toolkit.inv("up")
    assert (done.code, toolkit.acts) == (1, [])
    assert f"error NET01: port {toolkit.port}" in done.err
    assert re.search(r"fix: ./inv up --port \d+", done.err)
    assert f"--port {toolkit.port} " not in done.err


@pytest.mark.forked
def test_a_page_that_has_the_port_already_does_not_move(toolkit: Toolkit, ready: Ready) -> None:
    built(toolkit)
    ready()
    done = toolkit.inv("up", "--port", str(toolkit.port))
    assert (done.code, "moves" in done.err) == (0, False)


# Two at once, and an end in the middle


def test_two_at_once_the_second_waits_and_says_so(toolkit: Toolkit, ready: Ready) -> None:
    built(toolkit)
    ready()
    # Slow for the first alone: a second that did not wait would be through at once.
    toolkit.answers({"words": ["compose", "up"], "unless": "first", "sets": "first", "sleep": 1.5})
    first = toolkit.start("up")
    toolkit.wait_for("compose", "up")
    second = toolkit.finish(toolkit.start("up"))
    assert first.poll() is not None, "the second came through before the first had ended"
    assert toolkit.finish(first).code == 0
    assert second.code == 0
    assert f"waiting for ./inv up, process {first.pid}, or a process" in second.err


@pytest.mark.parametrize("words", [("compose", "build"), ("compose", "up")])
@pytest.mark.parametrize(
    ("number", "to_all", "code"), [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)]
)
def test_an_end_in_the_middle(
    toolkit: Toolkit,
    ready: Ready,
    words: tuple[str, ...],
    number: signal.Signals,
    to_all: bool,
    code: int,
) -> None:
    ready()
    toolkit.answers({"words": [*words], "unless": "slept", "sleep": 10})
    child = toolkit.start("up")
    toolkit.wait_for(*words)
    time.sleep(0.1)
    started = time.monotonic()
    (os.killpg if to_all else os.kill)(child.pid, number)
    done = toolkit.finish(child)
    assert (done.code, done.out) == (code, ""), done.err
    assert done.err.endswith("\nup was interrupted; you can run it again\n")
    assert time.monotonic() - started < 5
    (toolkit.home / "slept").touch()
    again = toolkit.inv("up")
    assert again.code == 0 and "waiting for" not in again.err


def test_a_down_that_is_interrupted_says_so_and_a_log_that_is_followed_does_not(
    toolkit: Toolkit,
) -> None:
    toolkit.answers(*({"words": ["compose", word], "sleep": 10} for word in ("down", "logs")))
    for typed, said in (("down", True), ("logs --follow", False)):
        child = toolkit.start(*typed.split())
        toolkit.wait_for("compose", typed.split()[0])
        os.killpg(child.pid, signal.SIGINT)
        done = toolkit.finish(child)
        assert (done.code, "interrupted; you can" in done.err) == (130, said)


def test_the_lock_of_a_killed_inv_is_free(toolkit: Toolkit, ready: Ready) -> None:
    ready()
    toolkit.answers({"words": ["compose", "up"], "unless": "slept", "sleep": 10})
    child = toolkit.start("up")
    toolkit.wait_for("compose", "up")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (toolkit.home / "slept").touch()
    assert toolkit.inv("up").code == 0
