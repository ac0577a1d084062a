"""What tasks print for programs: one document, with the keys that their help has."""

import ast
import json
import re
from dataclasses import fields
from typing import Any

import pytest
from test_production import release
from test_tasks import TASKS, parameters

from djup import ROOT
from djup.data.backups import Backup
from djup.data.databases import Beside
from djup.deploy import plan, plan_record, status, stored
from djup.deploy.edge_task import Site
from djup.deploy.past import Past
from djup.deploy.plan import Migrations, Plan
from djup.deploy.plan_record import PlanRecord
from djup.doctor import doctor
from djup.doctor.finding import Finding
from djup.host.volumes import Volume
from djup.stack.service_list import Listed
from djup.stack.status import Status
from djup.terminal import console

RECORDS: dict[str, Any] = {
    "status": Status,
    "services": Listed,
    "volumes": Volume,
    "db.backups": Backup,
    "db.snapshots": Beside,
    "deploy": PlanRecord,
    "deploy.history": Past,
    "deploy.edge": Site,
}


def keys(name: str) -> set[str]:
    """Those that the help of a task has."""
    text = str(TASKS[name].__doc__)
    told = re.search(r"--json prints (?:an object|a list of objects): ([^.]+)\.", text)
    assert told, name
    return set(re.split(r",\s+", re.sub(r"(?s) \(.*?\)", "", told[1])))


def test_each_task_with_json_says_what_it_prints() -> None:
    with_json = {name for name in TASKS if "json" in parameters(name)}
    assert with_json == {*RECORDS, "doctor", "deploy.status", "deploy.backups", "schedule"}


@pytest.mark.parametrize("name", RECORDS)
def test_the_keys_are_those_of_its_help(name: str) -> None:
    assert keys(name) == {field.name for field in fields(RECORDS[name])}


def test_the_keys_of_the_schedule_are_those_that_the_web_prints() -> None:
    text = (ROOT / "packages/djup-web/src/djup_web/schedule/table.py").read_text()
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    line = next(node for node in classes if node.name == "Line")
    assert keys("schedule") == set(re.findall(r"(?m)^    (\w+): ", ast.unparse(line)))


def test_the_keys_of_findings_and_of_what_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys("doctor") == doctor._record(Finding("db", "it runs")).keys()
    monkeypatch.setattr(status.history, "is_unfinished", lambda _: False)
    monkeypatch.setattr(status.maintenance, "noticed", lambda _: None)
    assert keys("deploy.status") == status._record(release(1), [], None, status.Followers()).keys()
    store = stored.Store("shop", {"BACKUP_TO": "s3://bucket"})
    assert keys("deploy.backups") == stored.record(store, [], None).keys()


def test_a_plan_has_all_that_its_text_has() -> None:
    operation = "a.0002: Remove field x (it is read)"
    migrations = Migrations(("a.0002",), ("a.0002",), (operation,))
    after = release(2, WEB_REPLICAS="8")
    planned = Plan(release(1), after, ("web",), migrations, lacking={"x.css": "a.html"})
    record = plan_record.of_plan(planned, "there", 3, ["a/0002.py"], ["a note"])
    found = json.loads(console.as_json(record))
    assert found | {"commit": ""} == {
        "stack": after.stack,
        "where": "there",
        "commit": "",
        "in_swarm": True,
        "nodes": 3,
        "release": 2,
        "before": 1,
        "changes_something": True,
        "changes": [{"what": "WEB_REPLICAS", "now": "2", "then": "8"}],
        "new_migrations": ["a/0002.py"],
        "interruptions": [f"migration {operation}"],
        "warnings": ["a note", *plan.unserved({"x.css": "a.html"}, plan.UNSERVED)],
    }


def test_the_plan_of_a_first_release() -> None:
    found = plan_record.of_plan(Plan(None, release(1)), "there", 1, [], [])
    assert found.before is None and found.changes_something
    assert {change.now for change in found.changes} == {""}
