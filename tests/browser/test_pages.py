"""What a person does with the pages, and what they see when the database goes and comes."""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from policy import refused
from stacks import Checkout, docker, eventually, needs_notes

from djup import ROOT

pytestmark = needs_notes
SMUGGLED = """document.body.append(
    Object.assign(document.createElement("script"), {text: "window.ran = 1"}))"""


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
        "from django.contrib.auth import get_user_model as m;"
        "m().objects.create_superuser('ann', '', 'a long enough phrase')"
    )
    stack.inv("manage", "--", "shell", "-c", code)
    page.goto("/admin/")
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("a long enough phrase")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Notes").first).to_be_visible()


def test_each_page_keeps_the_content_security_policy(page: Page, stack: Checkout) -> None:
    """The fixture `page` fails a test that had a violation; here are pages that no other visits."""
    code = (
        "from django.contrib.auth import get_user_model as m;"
        "m().objects.create_superuser('eve', '', 'a long enough phrase')"
    )
    stack.inv("manage", "--", "shell", "-c", code)
    page.goto("/admin/login/")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Password").fill("a long enough phrase")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Notes").first).to_be_visible()
    page.wait_for_load_state()
    note = "/admin/notes/note/"
    for path in (
        "/",
        "/notes/",
        note,
        f"{note}add/",
        "/admin/auth/group/add/",
        "/admin/password_change/",
    ):
        answer = page.goto(path, wait_until="load")
        assert answer and answer.status == 200, path
        assert "script-src 'self';" in f"{answer.header_value('content-security-policy')};", path


def test_the_page_of_an_error_keeps_the_policy_and_has_its_style(page: Page) -> None:
    """As production sends it; with DEBUG, Django's own page comes in its place."""
    policy = page.request.get("/").headers["content-security-policy"]
    text = (ROOT / "project" / "templates" / "500.html").read_text()
    sent = {"content-security-policy": policy, "content-type": "text/html; charset=utf-8"}
    page.route("**/broken", lambda route: route.fulfill(status=200, headers=sent, body=text))
    page.goto("/broken")
    expect(page.get_by_role("main")).to_have_css("max-width", "800px")
    assert page.evaluate("document.styleSheets.length") == 1


def test_the_debug_toolbar_keeps_the_policy(page: Page, stack: Checkout) -> None:
    stack.set("DEBUG_TOOLBAR", "1")
    stack.inv("up")
    page.goto("/notes/")
    page.locator("#djdt-SQLPanel a").click()
    expect(page.locator("#SQLPanel")).to_contain_text("SELECT")
    page.wait_for_load_state("networkidle")
    stack.set("DEBUG_TOOLBAR", "0")
    stack.inv("up")


def test_a_script_that_was_smuggled_in_does_not_run(
    page: Page, browser: Browser, stack: Checkout
) -> None:
    """The policy holds: the same event that fails the other tests comes where it must."""
    with browser.new_context(base_url=stack.url) as context:
        other = context.new_page()
        other.goto("/notes/")
        with other.expect_console_message(lambda message: bool(refused(message))):
            other.evaluate(SMUGGLED)
        assert other.evaluate("window.ran") is None


@pytest.fixture
def catching(stack: Checkout) -> Iterator[Checkout]:
    """It, with the service mail, which is a real SMTP server with a page; embedded it has files."""
    before = (stack.root / ".env").read_text()
    stack.inv("service.add", "mail")
    stack.set("MAIL_IMAGE", "maildev/maildev:2.2.1")
    stack.set("MAIL_PAGE_PORT", "1080")
    said = stack.inv("up").stderr
    if stack.runtime.name == "docker":
        page = f"mail: http://127.0.0.1:{stack.values['MAIL_PORT']}/"
        assert page in said and page in stack.inv("status").stdout
    yield stack
    stack.inv("service.remove", "mail")
    stack.write(".env", before)
    stack.inv("up")


def test_reset_a_password_by_mail(page: Page, catching: Checkout) -> None:
    stack = catching
    code = (
        "from django.contrib.auth import get_user_model as m;"
        "m().objects.create_user('bea', 'bea@example.org', 'a forgotten phrase')"
    )
    stack.inv("manage", "--", "shell", "-c", code)
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("link", name="Forgotten your password?").click()
    page.get_by_label("Email").fill("bea@example.org")
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Password reset sent")
    page.goto(link_in_mail(stack))
    page.locator("#id_new_password1").fill("a phrase of today")
    page.locator("#id_new_password2").fill("a phrase of today")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("main").get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill("bea")
    page.get_by_label("Password").fill("a phrase of today")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def link_in_mail(stack: Checkout) -> str:
    """The link in the mail that was sent last: it is in a file, or in the web's log."""
    if stack.runtime.name == "embedded":
        number = stack.inv("mail").stdout.splitlines()[-1].split()[0]
        said = stack.inv("mail", "--show", number).stdout
        assert "To: bea@example.org" in said and "Subject: A new password for 127.0.0.1" in said
    else:
        said = urllib.request.urlopen(f"{stack.inv('mail').stdout.strip()}email").read().decode()
        assert "bea@example.org" in said and "A new password for 127.0.0.1" in said
    links = re.findall(r"http://[\w.:]+/accounts/reset/[\w/-]+", said)
    assert links, said
    return str(links[-1])


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
