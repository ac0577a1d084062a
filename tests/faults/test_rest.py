"""Smaller faults, each of one runtime or of none."""

import os
import shutil

import pytest
from stacks import Checkout, Docker, Embedded, Make


@pytest.mark.fault("DB12", "docker", "embedded")
def test_a_password_of_a_database_elsewhere(stack: Checkout) -> None:
    stack.set("SQL_HOST", "pg.example.org")
    for task in ("db.password", "db.create"):
        assert "pg.example.org" in stack.refused("DB12", task)


@pytest.mark.fault("ENV03", "docker", "embedded")
def test_a_line_that_is_no_pair(stack: Checkout) -> None:
    before = stack.write(".env", (stack.root / ".env").read_text() + "just words\n")
    lines = len(before.splitlines()) + 1
    assert f"line {lines}" in stack.refused("ENV03")
    assert stack.found_by_doctor() == {"ENV03"}


@pytest.mark.fault("ENV08", "docker", "embedded")
def test_an_unknown_runtime(stack: Checkout) -> None:
    assert "docker, embedded" in stack.refused("ENV08", "up", "--runtime", "podman")
    stack.set("RUNTIME", "podman")
    stack.refused("ENV08")


@pytest.mark.fault("PKG02", "docker", "embedded")
def test_a_package_that_is_not_locked(stack: Checkout) -> None:
    before = stack.write("requirements/base.in", "isodate\n")
    assert stack.found_by_doctor() == {"PKG02"}
    stack.write("requirements/base.in", before)
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("TASK06", "docker", "embedded")
def test_a_port_that_is_no_number(stack: Checkout) -> None:
    stack.refused("TASK06", "up", "--port", "abc")
    stack.refused("TASK06", "up", "--port", "70000")
    assert stack.get()[0] == 200


@pytest.mark.fault("RUN01", "docker", "embedded")
def test_psql_while_all_is_down(stack: Checkout) -> None:
    stack.inv("down")
    stack.refused("RUN01", "psql", "--", "-c", "select 1")
    stack.inv("up")


@pytest.mark.fault("DB11", "docker")
def test_a_database_without_memory(make: Make, docker_runtime: Docker) -> None:
    stack = make(docker_runtime, name="small")
    stack.inv("up")
    stack.keep()
    (stack.root / "compose" / "local.yaml").write_text(
        "services:\n  db:\n    mem_limit: 6m\n    memswap_limit: 6m\n"
    )
    files = stack.values["COMPOSE_FILE"]
    stack.set("COMPOSE_FILE", f"{files}:compose/local.yaml")
    stack.refused("DB11")
    stack.set("COMPOSE_FILE", files)
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("EMB05", "embedded")
def test_data_behind_a_link(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="linked")
    stack.inv("up")
    stack.keep()
    stack.inv("down")
    data, away = stack.root / ".data", stack.root / ".venv" / "away"
    shutil.move(data, away)
    data.symlink_to(away)
    assert str(data) in stack.refused("EMB05")
    assert "EMB05" in stack.found_by_doctor()
    data.unlink()
    shutil.move(away, data)
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("EMB04", "embedded")
def test_data_that_are_open_to_others(make: Make, embedded_runtime: Embedded) -> None:
    stack = make(embedded_runtime, name="open")
    stack.inv("up")
    stack.keep()
    stack.inv("down")
    owner = (stack.root / ".data").stat().st_uid
    (stack.root / ".data").chmod(0o755)
    assert f"chown -R {owner}" in stack.refused("EMB04")
    os.chmod(stack.root / ".data", 0o700)  # noqa: PTH101  (as the fix says)
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("DB01", "docker")
def test_a_server_that_refuses_an_option(stack: Checkout) -> None:
    local = stack.root / "compose" / "local.yaml"
    local.write_text("services:\n  db:\n    command: [postgres, -c, no_such_option=1]\n")
    stack.set("COMPOSE_FILE", f"{stack.values['COMPOSE_FILE']}:compose/local.yaml")
    said = stack.refused("DB01")
    assert "no_such_option" in said and said.count("\n") < 40
    assert "DB01" in stack.found_by_doctor()
    local.unlink()


@pytest.mark.fault("WEB09", "docker", "embedded")
def test_an_import_of_a_module_that_the_project_lacks(stack: Checkout) -> None:
    stack.inv("down")
    before = stack.write("project/config/urls.py", "import config.nowhere\n")
    said = stack.refused("WEB09")
    assert "project/config/urls.py line 1 imports config.nowhere" in said
    stack.write("project/config/urls.py", before)
    stack.inv("up")
