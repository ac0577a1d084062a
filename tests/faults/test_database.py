"""`.env` and the database do not fit each other."""

import pytest
from stacks import Checkout


@pytest.mark.fault("DB02", "docker", "embedded")
def test_another_password(stack: Checkout) -> None:
    before = stack.values["SQL_PASSWORD"]
    stack.set("SQL_PASSWORD", "another-one-that-is-long")
    said = stack.refused("DB02")
    assert "inv db.password" in said and "another-one" not in said
    assert "DB02" in stack.found_by_doctor()
    assert stack.inv("db.password").stdout == f"{stack.url}\n"
    stack.assert_kept()
    stack.set("SQL_PASSWORD", before)
    stack.refused("DB02")
    stack.inv("doctor", "--fix", code=None)
    stack.inv("up")
