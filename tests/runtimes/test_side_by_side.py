"""Two checkouts in one browser, and pages that a browser reaches by way of somebody else."""

import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest
from stacks import Checkout, Make, Runtime

ANN = {"ADMIN_USER": "ann", "ADMIN_PASSWORD": "Wolken-7-Berg", "ADMIN_EMAIL": "ann@example.org"}
CODESPACE = {
    "CODESPACE_NAME": "sunny-shop-4x7",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
}


class Browser:
    """One that keeps its cookies, by host and not by port, as all do."""

    def __init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(jar)

    def get(self, url: str, **headers: str) -> str:
        return str(self.opener.open(urllib.request.Request(url, headers=headers)).read().decode())

    def send(self, url: str, form: dict[str, str], headers: dict[str, str]) -> tuple[int, str]:
        """The status of a form sent with its page's token, and the page that came."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(url))
        assert token
        data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token[1]}).encode()
        try:
            answer = self.opener.open(urllib.request.Request(url, data, headers))
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        return answer.status, answer.read().decode()


@pytest.fixture(scope="module")
def checkouts(make: Make, runtime: Runtime) -> list[Checkout]:
    """Two that are up, each with a superuser of the same name; the first in a Codespace."""
    first = make(runtime, **ANN)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in CODESPACE.items():
            patch.setenv(key, value)
        first.inv("up")
    second = make(runtime, **ANN)  # whose port is another, now that the first is up
    second.inv("up")
    for stack in (first, second):
        stack.inv("db.seed", "--admin")
    return [first, second]


def test_a_login_at_one_is_none_at_the_other_and_ends_none(checkouts: list[Checkout]) -> None:
    browser = Browser()
    form = {"username": ANN["ADMIN_USER"], "password": ANN["ADMIN_PASSWORD"], "next": "/admin/"}
    for stack in checkouts:
        assert "Log in" in browser.get(f"{stack.url}admin/")
        assert browser.send(f"{stack.url}admin/login/", form, {})[0] == 200
    for stack in (*checkouts, *checkouts):
        assert "Site administration" in browser.get(f"{stack.url}admin/")


def test_a_form_by_way_of_codespaces(checkouts: list[Checkout]) -> None:
    stack, port = checkouts[0], checkouts[0].values["WEB_PORT"]
    public = f"{CODESPACE['CODESPACE_NAME']}-{port}.app.github.dev"
    forwarded = {"X-Forwarded-Host": public, "X-Forwarded-Proto": "https"}
    for origin in (f"http://localhost:{port}", f"https://localhost:{port}", f"https://{public}"):
        for host in (f"localhost:{port}", public):
            headers = {**forwarded, "Origin": origin, "Host": host}
            status, page = Browser().send(f"{stack.url}notes/", {"text": "by a forward"}, headers)
            assert status == 200 and "by a forward" in page, headers
    headers = {**forwarded, "Origin": "https://evil.example"}
    assert Browser().send(f"{stack.url}notes/", {"text": "x"}, headers)[0] == 403
    # The other checkout, which is in no Codespace, believes nothing of it.
    other = checkouts[1]
    assert (
        Browser().send(f"{other.url}notes/", {"text": "x"}, {**forwarded, "Host": public})[0] == 400
    )


def test_a_form_by_way_of_a_tunnel(checkouts: list[Checkout]) -> None:
    stack = checkouts[1]
    headers = {
        "Host": "abc.ngrok.example",
        "Origin": "https://abc.ngrok.example",
        "X-Forwarded-Proto": "https",
    }
    assert Browser().send(f"{stack.url}notes/", {"text": "x"}, headers)[0] == 400
    stack.set("CSRF_TRUSTED_ORIGINS", "https://abc.ngrok.example/")
    assert "CSRF_TRUSTED_ORIGINS in .env must be origins" in stack.refused("ENV06")
    assert stack.found_by_doctor() == {"ENV06"}
    stack.set("CSRF_TRUSTED_ORIGINS", "https://abc.ngrok.example")
    stack.inv("up")
    status, page = Browser().send(f"{stack.url}notes/", {"text": "by a tunnel"}, headers)
    assert status == 200 and "by a tunnel" in page
    assert stack.found_by_doctor() == set()
