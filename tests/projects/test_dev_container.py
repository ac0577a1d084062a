"""The dev container of a new project, without the program that reads it: its image's userland, its
commands, an ordinary user, and a form that comes through a forwarded port of Codespaces."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from stacks import Checkout, docker

IMAGE = "python:3.13-slim"  # what the named image begins with
FOLDER = "/workspaces/shop"
CODESPACE = {
    "CODESPACE_NAME": "sunny-shop-4x7",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
}
PUBLIC = "sunny-shop-4x7-8000.app.github.dev"
POST = """
import re, sys, urllib.request
origin, public = sys.argv[1:]
url = "http://localhost:8000/notes/"
head = {"X-Forwarded-Host": public, "X-Forwarded-Proto": "https"}
page = urllib.request.urlopen(urllib.request.Request(url, headers=head))
head |= {"Origin": origin, "Cookie": page.headers["Set-Cookie"].partition(";")[0]}
token = re.search(r'csrfmiddlewaretoken" value="(\\w+)"', page.read().decode())[1]
form = f"csrfmiddlewaretoken={token}&text=Hello".encode()
try:
    print(urllib.request.urlopen(urllib.request.Request(url, form, head)).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def settings(made: Checkout) -> dict[str, Any]:
    text = (made.root / ".devcontainer" / "devcontainer.json").read_text()
    return dict(json.loads(re.sub(r"(?m)^\s*//.*$", "", text)))


@pytest.fixture(scope="module")
def container(made: Checkout) -> Iterator[str]:
    """One with what git has of the project in it, and a user who owns that."""
    if docker("image", "inspect", IMAGE, check=False).returncode:
        docker("pull", IMAGE, timeout=600)
    variables = [word for key, value in CODESPACE.items() for word in ("--env", f"{key}={value}")]
    name = docker("run", "--detach", *variables, IMAGE, "sleep", "600").stdout.strip()
    try:
        docker("exec", name, "useradd", "--create-home", "vscode")
        docker("exec", name, "mkdir", "-p", FOLDER)
        archive = subprocess.check_output(["git", "archive", "HEAD"], cwd=made.root)
        into = ["docker", "exec", "--interactive", name, "tar", "-x", "-C", FOLDER]
        subprocess.run(into, input=archive, check=True)
        docker("exec", name, "chown", "-R", "vscode", FOLDER)
        yield name
    finally:
        docker("rm", "--force", name)


def test_it_names_a_port_that_the_page_has(settings: dict[str, Any], made: Checkout) -> None:
    assert settings["image"].startswith("mcr.microsoft.com/devcontainers/python:3.")
    [port] = settings["forwardPorts"]
    assert settings["portsAttributes"].keys() == {str(port)}
    assert f"\nWEB_PORT={port}\n" in (made.root / ".env.example").read_text()


def test_its_commands_serve_the_page_and_take_a_form(
    settings: dict[str, Any], container: str
) -> None:
    inside = ("exec", "--user", "vscode", "--workdir", FOLDER, container)
    for command in ("postCreateCommand", "postStartCommand"):  # both, when it is created
        done = docker(*inside, "sh", "-c", settings[command], timeout=240)
        assert done.stdout == "http://127.0.0.1:8000/\n"
    origins = ("https://localhost:8000", f"https://{PUBLIC}", "https://other-8000.app.github.dev")
    answers = [docker(*inside, "python3", "-c", POST, it, PUBLIC).stdout for it in origins]
    assert answers == ["200\n", "200\n", "403\n"]
    assert "Hello" in docker(*inside, "./inv", "psql", "--", "-c", "table notes_note").stdout
