"""What a person does with the pages, and what they see when the database goes and comes."""

import json
import os
import signal

from playwright.sync_api import Page, expect
from stacks import Checkout, docker, eventually, needs_notes

pytestmark = needs_notes


def test_home_shows_the_database_and_what_to_type(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("PostgreSQL 18")
    expect(page.get_by_role("main")).to_contain_text("inv manage -- createsuperuser")


def test_home_fits_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360, "no need to scroll sideways"


def test_a_note_outlives_down_and_up(page: Page, stack: Checkout) -> None:
    note = 'a note with <b>tags</b>, "quotes" and ünïcode'
    page.goto("/notes/")
    page.get_by_role("textbox").fill(note)
    page.get_by_role("textbox").press("Enter")
    expect(page.get_by_text(note)).to_be_visible()
    stack.inv("down")
    stack.inv("up")
    page.goto("/notes/")
    expect(page.get_by_text(note)).to_be_visible()
    page.get_by_role("button", name="Delete").first.click()
    expect(page.get_by_text(note)).to_have_count(0)


def test_an_empty_note_is_refused(page: Page) -> None:
    page.goto("/notes/")
    box = page.get_by_role("textbox")
    box.press("Enter")
    assert box.evaluate("box => !box.validity.valid")


def test_log_in_to_the_admin(page: Page, stack: Checkout) -> None:
    code = (
        "from django.contrib.auth.models import User;"
        "User.objects.create_superuser('ann', '', 'a long enough phrase')"
    )
    stack.inv("manage", "--", "shell", "-c", code)
    page.goto("/admin/")
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("a long enough phrase")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Notes").first).to_be_visible()


def test_without_the_database_and_with_it_again(page: Page, stack: Checkout) -> None:
    stop_database(stack)
    eventually(lambda: stack.get("readyz")[0] == 503, 10, "/readyz says that it is not ready")
    assert json.loads(stack.get("readyz")[1])["ready"] is False
    assert stack.get("healthz")[0] == 200
    answer = page.goto("/")
    assert answer and answer.status == 503
    expect(page.get_by_role("main")).to_contain_text("inv up")
    stack.inv("up")
    assert stack.get("readyz")[0] == 200
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("PostgreSQL 18")


def stop_database(stack: Checkout) -> None:
    """Kill it outright, as a crash would."""
    if stack.runtime.name == "docker":
        docker("kill", f"{stack.project}-db-1")
    else:
        os.kill(int((stack.root / ".state" / "db.lock").read_text()), signal.SIGKILL)
