"""What a local engine is asked on its socket, and when docker is asked instead."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from engine_socket import engine_at

from djup import ROOT
from djup.docker import containers, endpoint, engine_api, resources
from djup.docker.containers import Container
from djup.problems import Problem
from djup.terminal.task import task, this_task

SETTINGS: Any = SimpleNamespace(project="shop")
LISTING = f"/{engine_api.VERSION}/containers/json"
WEB = {
    "Names": ["/shop-web-1"],
    "Image": "shop-web",
    "Ports": [
        {"IP": "127.0.0.1", "PrivatePort": 8000, "PublicPort": 8001, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 53, "PublicPort": 53, "Type": "udp"},
        {"PrivatePort": 9000, "Type": "tcp"},
    ],
    "Labels": {
        "build.inputs": "1234",
        "com.docker.compose.config-hash": "c0ffee",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project.working_dir": str(ROOT / "compose"),
        "com.docker.compose.service": "web",
    },
    "State": "running",
    "Status": "Up 2 minutes (healthy)",
    "Mounts": [{"Type": "volume", "Name": "static", "Source": ""}, {"Source": "/srv/shop"}],
}
OTHERS = {"Names": ["/other"], "Image": "sha256:12", "Ports": [], "Labels": {}, "Mounts": []}
LISTED = Container(
    *("shop-web-1", "web", "shop-web", "running", "c0ffee", "1234", str(ROOT / "compose")),
    *("False", "static,/srv/shop", "127.0.0.1:8001->8000/tcp, [::]:53->53/udp, 9000/tcp"),
    "Up 2 minutes (healthy)",
)


@pytest.fixture(autouse=True)
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an engine that no settings lead away from, and a command docker that says in
    `asked` that it was started."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\n/bin/echo "$@" >> {tmp_path}/asked\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(endpoint, "SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(engine_api, "SECONDS", 0.2)
    with task("status", dry=False, echo=False):
        yield tmp_path / "docker.sock"


def asked_of_docker(usual: Path) -> str:
    calls = usual.with_name("asked")
    return calls.read_text() if calls.exists() else ""


def test_the_listing_reads_as_that_of_docker(usual: Path) -> None:
    with engine_at(usual, {LISTING: (200, [WEB])}) as asked:
        assert containers.all_containers(SETTINGS) == [LISTED]
    query = parse_qs(asked[0].partition("?")[2])
    filters = {"label": ["com.docker.compose.project=shop"]}
    assert (query["all"], json.loads(query["filters"][0])) == (["1"], filters)
    assert LISTED.publishes(8001) and not LISTED.publishes(8000)
    assert asked_of_docker(usual) == ""


def test_containers_of_another_checkout_are_refused_here_too(usual: Path, tmp_path: Path) -> None:
    labels = WEB["Labels"] | {"com.docker.compose.project.working_dir": str(tmp_path)}  # type: ignore[operator]
    with (
        engine_at(usual, {LISTING: (200, [WEB | {"Labels": labels}])}),
        pytest.raises(Problem) as raised,
    ):
        containers.all_containers(SETTINGS)
    assert raised.value.code == "RUN03"


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"message": "client version 1.44 is too new. Maximum supported is 1.43"}),
        (403, {"message": "not through this proxy"}),
        (404, {"message": "page not found"}),
        (500, {"message": "no"}),
        (200, "<html>"),
        (200, {"message": "no list"}),
        (200, [OTHERS]),
        (200, [WEB | {"Labels": None}]),
    ],
    ids=lambda answer: f"{answer[0]} {str(answer[1])[:20]}",
)
def test_an_answer_that_is_not_understood_is_left_to_docker(
    usual: Path, answer: tuple[int, Any]
) -> None:
    with engine_at(usual, {LISTING: answer}):
        assert containers.all_containers(SETTINGS) == []
    assert asked_of_docker(usual).startswith("ps --all --no-trunc --filter label=")


def test_an_engine_that_does_not_answer_is_left_to_docker(usual: Path) -> None:
    assert containers.all_containers(SETTINGS) == []  # no socket
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(usual))
        assert containers.all_containers(SETTINGS) == []  # nobody listens
        silent.listen()
        assert containers.all_containers(SETTINGS) == []  # nobody speaks
    assert asked_of_docker(usual).count("ps --all") == 3


def test_docker_is_asked_where_its_commands_are_shown(usual: Path) -> None:
    with engine_at(usual, {LISTING: (200, [WEB])}) as asked:
        this_task.echo = True
        containers.all_containers(SETTINGS)
    assert asked == [] and asked_of_docker(usual)


def test_without_docker_its_socket_is_of_no_use(usual: Path, tmp_path: Path) -> None:
    """What follows is a docker command: that there is none is said before."""
    (tmp_path / "bin" / "docker").unlink()
    with engine_at(usual, {}) as asked, pytest.raises(Problem) as raised:
        containers.all_containers(SETTINGS)
    assert raised.value.code == "DOCKER01" and asked == []


# Where the engine is


@pytest.mark.parametrize(
    ("variables", "config", "found"),
    [
        ({}, None, "usual"),
        ({}, '{"auths": {}}', "usual"),
        ({}, '{"currentContext": ""}', "usual"),
        ({}, '{"currentContext": "default"}', "usual"),
        ({}, '{"currentContext": "desktop-linux"}', ""),
        ({}, "not JSON", ""),
        ({}, "[]", ""),
        ({"DOCKER_CONTEXT": "default"}, '{"currentContext": "far"}', "usual"),
        ({"DOCKER_CONTEXT": "far"}, None, ""),
        ({"DOCKER_HOST": "unix:///run/mine.sock"}, "not JSON", "/run/mine.sock"),
        ({"DOCKER_HOST": "unix:///run/mine.sock", "DOCKER_CONTEXT": "far"}, None, "/run/mine.sock"),
        ({"DOCKER_HOST": "unix://run/mine.sock"}, None, ""),
        ({"DOCKER_HOST": "ssh://server"}, None, ""),
        ({"DOCKER_HOST": "tcp://127.0.0.1:2375"}, None, ""),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, None, "usual"),
    ],
)
def test_the_socket_is_that_of_docker(
    usual: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    config: str | None,
    found: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert endpoint.local_socket() == (str(usual) if found == "usual" else found)


def test_settings_are_those_of_the_home_unless_another_folder_is_named(
    usual: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert endpoint.local_socket() == str(usual)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "far"}')
    assert endpoint.local_socket() == ""


@pytest.mark.parametrize(
    ("engine", "found"),
    [
        ("ssh://user@server", ""),
        ("production", ""),
        ("default", "usual"),
        ("unix:///run/theirs.sock", "/run/theirs.sock"),
    ],
)
def test_an_engine_to_deploy_to_is_the_one_that_is_asked(
    usual: Path, monkeypatch: pytest.MonkeyPatch, engine: str, found: str
) -> None:
    """Whatever is exported: the variables are those of a docker command."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/mine.sock")
    this_task.engine = engine
    assert endpoint.local_socket() == (str(usual) if found == "usual" else found)


# Objects


def test_objects_are_looked_for_as_docker_inspect_does(usual: Path) -> None:
    image, container, volume = {"Architecture": "amd64"}, {"State": {}}, {"CreatedAt": "now"}
    answers: dict[str, tuple[int, Any]] = {
        f"/{engine_api.VERSION}/images/here.example:5000/a/postgres:18/json": (200, image),
        f"/{engine_api.VERSION}/containers/shop-db-1/json": (200, container),
        f"/{engine_api.VERSION}/images/shop-db-1/json": (200, image),
        f"/{engine_api.VERSION}/volumes/shop_data": (200, volume),
    }
    with engine_at(usual, answers):
        names = ("shop_data", "here.example:5000/a/postgres:18", "gone", "shop-db-1")
        assert resources.inspect(*names) == {
            "shop_data": volume,
            "here.example:5000/a/postgres:18": image,
            "shop-db-1": container,
        }
    assert asked_of_docker(usual) == ""


@pytest.mark.parametrize("answer", [(500, {"message": "no"}), (404, "404 page not found")])
def test_one_object_that_is_not_told_of_is_enough_to_ask_docker_for_all(
    usual: Path, answer: tuple[int, Any]
) -> None:
    answers: dict[str, tuple[int, Any]] = {
        f"/{engine_api.VERSION}/containers/shop-web-1/json": (200, {}),
        f"/{engine_api.VERSION}/containers/shop-db-1/json": answer,
    }
    with engine_at(usual, answers):
        assert resources.inspect("shop-web-1", "shop-db-1") == {}
    assert asked_of_docker(usual) == "inspect --format {{json .}} shop-web-1 shop-db-1\n"


@pytest.mark.parametrize("text", ['{"label": ["a=b"]}', "50 % ü/~:@&?#+", "plain"])
def test_quoting_is_that_of_urllib(text: str) -> None:
    assert engine_api.quoted(text) == quote(text, safe="/~:@")


def test_an_unusual_name_leads_nowhere_else(usual: Path) -> None:
    with engine_at(usual, {}) as asked:
        assert resources.inspect("a/json?x=") == {}
    assert asked[0] == f"/{engine_api.VERSION}/containers/a/json%3Fx%3D/json?"
