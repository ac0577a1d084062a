"""A project that exists is adopted, and deployed to this machine."""

import re
from collections.abc import Iterator

import from_wheels
import pytest
import shapes
from deployed import Site
from nodes import ThisMachine
from shapes import TEAM, UNTRACKED
from stacks import Checkout, Docker, docker
from traffic import Visitor

IMAGE = "python:3.13-slim"
# A trial has the keys of `.env` themselves, not those of production.
VALUES = {"PYTHON_IMAGE": IMAGE, "MAIL_KEY": "key", "PROD_MAIL_KEY": "key of production"}
ASKS = "import os; from django.conf import settings as s; print(s.MAIL_KEY, s.DEBUG)"


@pytest.fixture(scope="module")
def team(docker_runtime: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The project of a team, with no file of the toolkit's own tree, deployed here."""
    root = tmp_path_factory.mktemp("adopted") / "team"
    wheels = from_wheels.build(tmp_path_factory.mktemp("wheels"))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in from_wheels.COMMITTER.items():
            patch.setenv(key, value)
        (shapes.write(root, TEAM) / UNTRACKED).unlink()
        from_wheels.runner(wheels["djup"], tmp_path_factory.mktemp("bin"))(root, "adopt")
    stack, engines = Checkout(root, docker_runtime), ThisMachine()
    for key, value in VALUES.items():
        stack.set(key, value)
    site = Site(stack, engines, f"{stack.project}-local", ("--local",))
    try:
        site.deploy("--yes")
        yield site
    finally:
        engines.remove(site.name)
        docker_runtime.remove(root)


def test_it_serves_its_page_and_what_the_page_needs(team: Site) -> None:
    visitor = Visitor(team.place, "one")
    answer, page = visitor.get()
    visits = re.search(r"(\d+) visits, postgresql", page)
    assert answer.status == 200 and visits, page
    assert team.sql("select count(*) from visits_visit") == visits[1]
    found = re.search(r'href="(/assets/site\.[0-9a-f]+\.css)"', page)
    assert found, page
    answer, style = visitor.get(found[1])
    assert answer.status == 200 and "missing.png" in style


def test_its_settings_of_production_read_what_env_says(team: Site) -> None:
    said = team.inv("deploy.manage", "--", "shell", "--no-imports", "-c", ASKS).stdout
    assert said.strip().splitlines()[-1] == "key False"


def test_the_image_has_nothing_of_the_toolkit_but_what_serves(team: Site) -> None:
    host, ids = next(iter(team.containers("web").items()))
    for module, code in (("djup_web", 0), ("django", 0), ("djup", 1), ("pytest", 1)):
        argv = ("exec", ids[0], "python", "-c", f"import {module}")
        assert docker("--host", host, *argv, check=False).returncode == code, module


def test_it_can_be_taken_down(team: Site) -> None:
    team.inv("deploy.down", "--yes")
    assert "1/1" not in docker("service", "ls", "--filter", f"name={team.name}").stdout
