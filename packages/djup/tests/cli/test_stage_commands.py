"""`--env` as it is typed: what is refused, what errors name, what TAB shows."""

import shlex

import pytest
from toolkit import Toolkit

GIT = '#!/bin/sh\n[ "$1" = status ] || echo 0123456789abcdef\n'
SERVER = "ssh://deploy@shop.example.org"


@pytest.fixture
def shop(toolkit: Toolkit) -> Toolkit:
    """A checkout that is deployed to a server, with a stage that has no domain."""
    with (toolkit.root / ".env").open("a") as file:
        file.write(f"DEPLOY_TO={SERVER}\nDOMAIN=shop.example.org\nSTACK=shop\nSTAGES=staging\n")
    toolkit.program("git", GIT)
    toolkit.answers({"words": ["info"], "out": "inactive\n"})
    return toolkit


@pytest.mark.parametrize(
    ("typed", "code", "fix"),
    [
        ("deploy --env prod", "TASK15", "--env production"),
        ("deploy.down --env Staging --yes", "TASK15", "--env staging"),
        ("deploy --env demo", "TASK15", "STAGES=staging,demo and DEMO_DOMAIN"),
        ("deploy.status --env staging --local", "TASK15", "inv deploy --env staging"),
        ("deploy --env staging", "DEP02", "STAGING_DOMAIN=staging.shop.example.org"),
        ("deploy.status --env staging", "DEP18", "inv deploy --env staging"),
    ],
)
def test_what_is_refused_says_what_to_type(shop: Toolkit, typed: str, code: str, fix: str) -> None:
    done = shop.inv(*shlex.split(typed))
    assert (done.code, f"error {code}:" in done.err, fix in done.err) == (1, True, True), done.err
    assert shop.acts == []


@pytest.mark.parametrize(
    "task", ["deploy.promote", "deploy.move x", "deploy.upgrade", "deploy.edge"]
)
def test_a_task_without_a_trial_names_none(toolkit: Toolkit, task: str) -> None:
    done = toolkit.inv(*task.split())
    assert "error DEP01" in done.err and "--local" not in done.err, done.err
    assert "deploy.status --local" in toolkit.inv("deploy.status").err


def test_a_wrong_value_is_named_with_the_prefix(shop: Toolkit) -> None:
    with (shop.root / ".env").open("a") as file:
        file.write("STAGING_DOMAIN=staging.example.org\nSTAGING_TLS=yes\n")
    done = shop.inv("deploy", "--env", "staging", "--plan")
    assert "STAGING_TLS in .env must be one of acme" in done.err, done.err
    assert "correct STAGING_TLS in .env, then run: ./inv deploy --env staging" in done.err


def test_the_stages_are_completed(shop: Toolkit) -> None:
    typed = ("--complete", "--", "inv deploy --env")
    assert shop.inv(*typed).out.split() == ["production", "staging"]
    with (shop.root / ".env").open("a") as file:
        file.write("STAGES=qa,demo\n")
    assert shop.inv(*typed).out.split() == ["production", "qa", "demo"]
    assert shop.log == [], "TAB asks nobody"
    assert "--env=STRING" in shop.inv("--help", "deploy.restore").out
