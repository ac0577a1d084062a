"""What `inv db.upgrade` says about a version that was asked for in vain."""

import json

import checkout
import pytest
from toolkit import Toolkit

NEW, OLD = "postgres:18-alpine", "postgres:17-alpine"
IMAGE = {"Config": {"Env": ["PG_MAJOR=18"], "Labels": {}}, "Architecture": ""}
CLUSTERS = "18\n18\t18\talpine\tpostgres:18-alpine\tapp\t9\tyes\n17\t17\talpine\t{}\tapp\t9\tyes\n"

pytestmark = pytest.mark.forked


@pytest.fixture
def upgradable(toolkit: Toolkit) -> Toolkit:
    """Data of 18, as .env has it, and one of 17 that an upgrade has left; no other image is here
    nor can one be fetched."""
    checkout.set_value(toolkit.root / ".env", "POSTGRES_IMAGE", NEW)
    missing = {"words": ["inspect", "postgres:19-alpine"], "code": 1}
    toolkit.answers(
        {**missing, "err": "Error: No such object: postgres:19-alpine\n"},
        {"words": ["inspect"], "out": f"{json.dumps(IMAGE)}\n"},
        {"words": ["exec", "shop-db-1"], "out": CLUSTERS.format(OLD)},
        {"words": ["pull"], "code": 1, "err": "dial tcp: lookup registry: timeout\n"},
    )
    return toolkit


def test_an_image_that_cannot_be_fetched(upgradable: Toolkit) -> None:
    done = upgradable.inv("db.upgrade", "--to", "19")
    assert (
        done.code == 1
        and "error IMG02: the image postgres:19-alpine (--to 19 asks for it)" in done.err
    )
    assert "fix: ./inv db.upgrade --to NUMBER, if --to 19 is mistyped" in done.err
    assert "POSTGRES_IMAGE" not in done.err


def test_an_image_that_is_not_there(upgradable: Toolkit) -> None:
    upgradable.answers({"words": ["pull"], "code": 1, "err": "manifest unknown\n"})
    done = upgradable.inv("db.upgrade", "--to", "19")
    assert (
        "error IMG01: the image postgres:19-alpine does not exist (--to 19 asks for it)" in done.err
    )


def test_a_dry_run_says_what_it_would_fetch(upgradable: Toolkit) -> None:
    done = upgradable.inv("--dry", "db.upgrade", "--to", "19")
    assert (done.code, upgradable.acts[-1][0]) == (0, "exec")
    assert done.err.splitlines()[-2:] == [
        "docker pull postgres:19-alpine",
        "would pull postgres:19-alpine, and migrate the data from PostgreSQL 18 to it",
    ]


def test_an_older_version(upgradable: Toolkit) -> None:
    done = upgradable.inv("db.upgrade", "--to", "17")
    assert "error DB15: " in done.err and "--to 17 is PostgreSQL 17, which is older" in done.err
    assert "fix: ./inv db.upgrade --to 18 " in done.err and "undo" not in done.err


def test_an_older_version_after_an_upgrade(upgradable: Toolkit) -> None:
    (upgradable.root / ".state").mkdir()
    act = {"task": "upgrade", "at": "2026-01-02T10:15:00+00:00", "cluster": "17", "image": OLD}
    (upgradable.root / ".state" / "undo.json").write_text(json.dumps([act]))
    done = upgradable.inv("db.upgrade", "--to", "17")
    assert "fix: ./inv undo  (goes back to before the upgrade" in done.err


def test_an_image_of_another_program(upgradable: Toolkit) -> None:
    nothing = {"Config": {"Env": [], "Labels": {}}}
    upgradable.answers({"words": ["inspect", NEW], "out": f"{json.dumps(nothing)}\n"})
    done = upgradable.inv("db.upgrade")
    assert f"error DB16: {NEW} does not say which version of PostgreSQL it has" in done.err
