"""What is printed: tables, JSON, ages."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from djup.host import volumes
from djup.host.volumes import Volume
from djup.stack import status
from djup.stack.status import ServiceStatus, Status
from djup.terminal import console
from djup.terminal.task import this_task


def test_inv_is_spelled_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "run: inv up  then: inv db.password (see `inv doctor`); an inv. of etc/inv x"
    monkeypatch.chdir(console.ROOT)
    monkeypatch.setenv("PATH", str(tmp_path))
    typed = "run: ./inv up  then: ./inv db.password (see `inv doctor`); an inv. of etc/inv x"
    assert console.as_typed(text) == typed.replace("`inv", "`./inv")
    monkeypatch.chdir(console.ROOT / "project")
    assert console.as_typed("inv up") == "../inv up"
    (tmp_path / "inv").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert console.as_typed(text) == text


def test_table() -> None:
    text = console.table(("NAME", "SIZE"), [("a", "1"), ("longer", "")])
    assert text == "NAME    SIZE\na       1\nlonger"


def test_table_without_rows() -> None:
    assert console.table(("NAME", "SIZE"), []) == "NAME  SIZE"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (5, "less than a minute"),
        (61, "1 minute"),
        (3599, "59 minutes"),
        (3601, "1 hour"),
        (86399, "23 hours"),
        (86401, "1 day"),
        (3 * 86400 + 5, "3 days"),
    ],
)
def test_age(seconds: int, expected: str) -> None:
    made = datetime.now(UTC) - timedelta(seconds=seconds)
    assert console.age(made.isoformat()) == expected


@pytest.mark.parametrize("created", ["2020-01-01T00:00:00Z", "2020-01-01T02:00:00+02:00"])
def test_age_of_what_docker_prints(created: str) -> None:
    assert console.age(created).endswith(" days")


def test_volumes_as_text_and_json() -> None:
    found = [Volume("shop_data", "48MB", "2020-01-01T00:00:00Z", ["shop-db-1"])]
    assert "shop_data" in volumes.as_text(found) and "shop-db-1" in volumes.as_text(found)
    assert json.loads(console.as_json(found))[0]["mounted_by"] == ["shop-db-1"]
    assert "inv up" in volumes.as_text([])


DOWN = Status(
    project="shop",
    runtime="docker",
    url="http://x/",
    ready=False,
    reason="the web is not running",
    unapplied=[],
    unknown=[],
    fitting="",
    env_missing=[],
    edited=False,
    services=[ServiceStatus("web", "absent", "not started", "")],
    volumes=[],
)


def test_status_as_text_says_what_to_type() -> None:
    assert "run: inv up" in status.as_text(DOWN)
    assert "not ready: the web is not running" in status.as_text(DOWN)
    running = ServiceStatus("db", "running", "Up", "fresh")
    ahead = replace(DOWN, unknown=["notes.0002_x"], fitting="main")
    assert "inv db.restore main" in status.as_text(ahead)
    half = replace(DOWN, services=[running, *DOWN.services])
    assert "inv doctor reports why" in status.as_text(half)


@pytest.mark.parametrize(
    ("remark", "expected"),
    [
        ({"unapplied": ["notes.0002_b"]}, "inv migrate): notes.0002_b"),
        ({"unknown": ["notes.0003_c"]}, "inv doctor): notes.0003_c"),
        ({"env_missing": ["SQL_PORT"]}, "inv doctor --fix): SQL_PORT"),
        ({"edited": True}, "edited after the start; run: inv up"),
    ],
)
def test_status_remarks(remark: dict[str, Any], expected: str) -> None:
    up = replace(DOWN, ready=True, reason="")
    assert expected not in status.as_text(up)
    assert expected in status.as_text(replace(up, **remark))


def test_status_as_text_has_the_volume_and_no_empty_column() -> None:
    held = [Volume("shop_data", "48MB", "2020-01-01T00:00:00Z", [])]
    lines = status.as_text(replace(DOWN, volumes=held)).splitlines()
    assert "shop_data  48MB" in lines
    assert "SERVICE  STATE" in lines, "no service has an image"


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("or: inv deploy --allow-downtime", "or: inv deploy --local --allow-downtime"),
        ("inv deploy.manage -- check", "inv deploy.manage --local -- check"),
        (
            "try it on this machine: inv deploy --local",
            "try it on this machine: inv deploy --local",
        ),
        ("correct it, then run: inv up", "correct it, then run: inv deploy --local"),
    ],
)
def test_a_mend_of_a_trial_never_leads_to_production(
    text: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_task, "target", "--local")
    monkeypatch.setattr(this_task, "deploys", True)
    monkeypatch.setattr(console.shutil, "which", lambda _: "/bin/inv")
    assert console.as_typed(text) == typed


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("set TLS in .env: inv deploy", "set STAGING_TLS in .env: inv deploy --env staging"),
        ("PROD_ARCHIVE=7d, DOMAIN", "STAGING_ARCHIVE=7d, STAGING_DOMAIN"),
        ("STAGING_DOMAIN OTHER_DOMAIN docs/TLS WEB_PORT", "=="),
        ("  | DOMAIN, as a log has it", "=="),
    ],
)
def test_keys_of_a_stage_have_its_prefix(
    text: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(this_task, "target", "--env staging")
    monkeypatch.setattr(this_task, "prefix", "STAGING_")
    monkeypatch.setattr(this_task, "keys", frozenset({"TLS", "ARCHIVE", "DOMAIN"}))
    monkeypatch.setattr(console.shutil, "which", lambda _: "/bin/inv")
    assert console.as_typed(text) == (text if typed == "==" else typed)
