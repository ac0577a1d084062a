"""What is printed: tables, JSON, ages."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ops import console, status, volumes
from ops.status import ServiceStatus, Status
from ops.volumes import Volume


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
    assert volumes.age(made.isoformat()) == expected


@pytest.mark.parametrize("created", ["2020-01-01T00:00:00Z", "2020-01-01T02:00:00+02:00"])
def test_age_of_what_docker_prints(created: str) -> None:
    assert volumes.age(created).endswith(" days")


def test_volumes_as_text_and_json() -> None:
    found = [Volume("shop_data", "48MB", "2020-01-01T00:00:00Z", ["shop-db-1"])]
    assert "shop_data" in volumes.as_text(found) and "shop-db-1" in volumes.as_text(found)
    assert json.loads(console.as_json(found))[0]["mounted_by"] == ["shop-db-1"]
    assert "inv up" in volumes.as_text([])


def test_status_as_text_says_what_to_type() -> None:
    services = [ServiceStatus("web", "absent", "not started", "")]
    found = Status("shop", "docker", "http://x/", False, "the web is not running", [], services)
    assert "type: inv up" in status.as_text(found)
    assert "not ready: the web is not running" in status.as_text(found)
