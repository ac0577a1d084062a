"""Forms that a browser sends by way of a tunnel, a forwarded port or a workspace in a cloud."""

from collections.abc import Mapping

from django.conf import settings
from django.test import Client, TestCase, override_settings
from djup_web import env

CODESPACES = {
    "CODESPACE_NAME": "sunny-shop-4x7",
    "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
    "WEB_PORT": "8007",
}
CODESPACE = "sunny-shop-4x7-8007.app.github.dev"
GITPOD = {"GITPOD_WORKSPACE_URL": "https://ann-shop-12ab.ws-eu1.gitpod.io", "WEB_PORT": "8000"}
CODER = {"VSCODE_PROXY_URI": "https://{{port}}--main--shop--ann.coder.example.org/"}
TUNNEL = {"CSRF_TRUSTED_ORIGINS": "https://abc.ngrok.example"}
ANY_TUNNEL = {"CSRF_TRUSTED_ORIGINS": "https://*.ngrok.example, http://box.lan:9000"}

# The environment; then Host, Origin, X-Forwarded-Host and X-Forwarded-Proto, as they arrive here.
SENT = [
    ({}, "127.0.0.1:8000", "http://127.0.0.1:8000", "", ""),
    ({}, "localhost:9000", "http://localhost:9000", "", ""),
    (CODESPACES, "localhost:8007", "http://localhost:8007", CODESPACE, "https"),
    (CODESPACES, "localhost:8007", "https://localhost:8007", CODESPACE, "https"),
    (CODESPACES, "localhost:8007", f"https://{CODESPACE}", CODESPACE, "https"),
    (CODESPACES, CODESPACE, f"https://{CODESPACE}", "", ""),
    (GITPOD, "8000-ann-shop-12ab.ws-eu1.gitpod.io", None, "", "https"),
    (CODER, "8000--main--shop--ann.coder.example.org", None, "", "https"),
    (TUNNEL, "abc.ngrok.example", "https://abc.ngrok.example", "", "https"),
    (TUNNEL, "abc.ngrok.example", "https://abc.ngrok.example", "", ""),
    (TUNNEL, "localhost:8000", "https://abc.ngrok.example", "abc.ngrok.example", "https"),
    (ANY_TUNNEL, "x1.ngrok.example", "https://x1.ngrok.example", "", "https"),
    (ANY_TUNNEL, "box.lan:9000", "http://box.lan:9000", "", ""),
]
REFUSED = [
    ({}, "127.0.0.1:8000", "https://evil.example", "", "", 403),
    ({}, "127.0.0.1:8000", "https://evil.example", "evil.example", "https", 403),
    ({}, "evil.example", "https://evil.example", "", "https", 400),
    (CODESPACES, "localhost:8007", "https://other-8007.app.github.dev", "", "https", 403),
    (TUNNEL, "other.ngrok.example", "https://other.ngrok.example", "", "https", 400),
    (TUNNEL, "127.0.0.1:8000", "https://evil.example", "abc.ngrok.example", "https", 403),
    (ANY_TUNNEL, "ngrok.example.evil", "https://ngrok.example.evil", "", "https", 400),
]


def posted(environ: Mapping[str, str], host: str, origin: str | None, *forwarded: str) -> int:
    """The status of a form that is sent to the admin's login with the token of its page."""
    environ = {"ALLOWED_HOSTS": "localhost,127.0.0.1", **environ}
    sent = dict(zip(("x-forwarded-host", "x-forwarded-proto"), forwarded, strict=True))
    headers = {"host": host} | {name: value for name, value in sent.items() if value}
    chosen = {
        "ALLOWED_HOSTS": env.allowed_hosts(environ, debug=True),
        "CSRF_TRUSTED_ORIGINS": env.trusted_origins(environ, debug=True),
        "MIDDLEWARE": ["djup_web.forwarded.ForwardedMiddleware", *ours()],
    }
    with override_settings(**chosen):
        client = Client(enforce_csrf_checks=True)
        page = client.get("/admin/login/", headers=headers)
        token = page.cookies[settings.CSRF_COOKIE_NAME].value if page.status_code == 200 else ""
        form = {"csrfmiddlewaretoken": token, "username": "x", "password": "x"}
        headers["origin"] = origin or f"https://{host}"
        return client.post("/admin/login/", form, headers=headers).status_code


def ours() -> list[str]:
    return [name for name in settings.MIDDLEWARE if "forwarded" not in name]


@override_settings(SECURE_SSL_REDIRECT=False)
class ForwardedTests(TestCase):
    def test_forms_from_where_the_page_is_served(self) -> None:
        for environ, host, origin, *forwarded in SENT:
            with self.subTest(host=host, origin=origin):
                self.assertEqual(posted(environ, host, origin, *forwarded), 200)

    def test_forms_from_elsewhere(self) -> None:
        for environ, host, origin, *forwarded, status in REFUSED:
            with self.subTest(host=host, origin=origin):
                self.assertEqual(posted(environ, host, origin, *forwarded), status)

    def test_the_page_knows_its_public_address(self) -> None:
        headers = {
            "host": "localhost:8007",
            "x-forwarded-host": CODESPACE,
            "x-forwarded-proto": "https",
        }
        chosen = {"MIDDLEWARE": ["djup_web.forwarded.ForwardedMiddleware", *ours()]}
        chosen["CSRF_TRUSTED_ORIGINS"] = env.trusted_origins(CODESPACES, debug=True)
        with override_settings(**chosen, ALLOWED_HOSTS=env.allowed_hosts(CODESPACES, debug=True)):
            found = self.client.get("/admin/login/", headers=headers).wsgi_request
            self.assertEqual(found.build_absolute_uri("/x"), f"https://{CODESPACE}/x")
            headers["x-forwarded-host"] = "evil.example"
            found = self.client.get("/admin/login/", headers=headers).wsgi_request
            self.assertEqual(found.build_absolute_uri("/x"), "http://localhost:8007/x")
