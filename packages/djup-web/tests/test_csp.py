"""The content security policy, by Django 6's own middleware or by django-csp."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import django
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, SimpleTestCase, override_settings
from django.views.debug import technical_500_response
from djup_web import csp

HEADER = "Content-Security-Policy"
NONCE = "<CSP_NONCE_SENTINEL>"  # django.utils.csp.CSP.NONCE


def page(request: HttpRequest) -> HttpResponse:
    """A page, with the nonce in it where the path asks for one."""
    if "nonce" not in request.path:
        return HttpResponse()
    name = "_csp_nonce" if django.VERSION >= (6, 0) else "csp_nonce"  # of either package
    return HttpResponse(str(getattr(request, name)))


def broken(request: HttpRequest) -> HttpResponse:
    """Django's page of an error, with DEBUG."""
    try:
        raise ValueError("broken")
    except ValueError as error:
        return technical_500_response(request, type(error), error, error.__traceback__)


def sent(path: str = "/", view: Callable[[HttpRequest], HttpResponse] = page) -> tuple[str, str]:
    """The policy and the page that come of a path."""
    answer = csp.middleware(view)(RequestFactory().get(path))
    return answer.get(HEADER, ""), answer.content.decode()


class PolicyTests(SimpleTestCase):
    def test_the_styles_of_a_page_count_and_no_others(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder, "500.html")
            found.write_text("<style>p {}</style>")
            policy = csp.policy(found, Path(folder, "gone.html"))
        self.assertEqual(policy["style-src"][0], "'self'")
        self.assertEqual(len(policy["style-src"]), 2)
        self.assertRegex(policy["style-src"][1], r"^'sha256-[\w+/]{43}='$")

    @override_settings(SECURE_CSP=csp.policy())
    def test_it_is_sent(self) -> None:
        policy, _ = sent()
        for directive in ("script-src 'self'", "object-src 'none'", "img-src 'self' data:"):
            self.assertIn(directive, policy.split("; "))

    @override_settings(SECURE_CSP={"script-src": ["'self'", NONCE]})
    def test_a_nonce_is_sent_where_the_page_has_one(self) -> None:
        policy, nonce = sent("/nonce")
        self.assertIn(f"'nonce-{nonce}'", policy)
        self.assertNotIn("nonce", sent()[0])

    @override_settings(SECURE_CSP={})
    def test_none_is_sent_where_there_is_none(self) -> None:
        self.assertEqual(sent()[0], "")

    @override_settings(SECURE_CSP=csp.policy(), DEBUG=True)
    def test_the_debug_page_has_its_styles(self) -> None:
        self.assertEqual(sent(view=broken)[0], "")

    def test_a_package_that_is_missing_is_named(self) -> None:
        names = {"csp": None, "django.middleware.csp": None, "djup_web.csp_before_django_6": None}
        missing = mock.patch.dict("sys.modules", names)
        with missing, self.assertRaisesMessage(ImproperlyConfigured, "package django-csp"):
            csp.middleware(page)
