"""When the debug toolbar is added to the settings, and what for."""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase
from djup_web import toolbar

ON = {"DEBUG_TOOLBAR": "1"}
ROUTES = """\
Iface\tDestination\tGateway\tFlags
eth0\t00000000\t010014AC\t0003
eth0\t000014AC\t00000000\t0001
"""


def added(environ: dict[str, str], there: bool = True, **theirs: Any) -> dict[str, Any]:
    """The settings of a server, to which the toolbar was added or not."""
    own = ["djup_web.requests.RequestsMiddleware", "django.middleware.security.SecurityMiddleware"]
    settings = {"DEBUG": True, "INSTALLED_APPS": ["djup_web"], "MIDDLEWARE": own, **theirs}
    module = mock.Mock(origin="/srv/debug/debug_toolbar/__init__.py") if there else None
    found = mock.patch.object(toolbar, "find_spec", return_value=module)
    argv = mock.patch.object(sys, "argv", ["manage.py", "serve"])
    with found, argv, mock.patch.object(toolbar, "_is_test", return_value=False):
        toolbar.add(settings, environ)
    return settings


class ToolbarTests(SimpleTestCase):
    def test_off_without_its_key_or_debug_and_where_the_project_has_it(self) -> None:
        for environ, theirs in (
            ({}, {}),
            ({"DEBUG_TOOLBAR": "0"}, {}),
            (ON, {"DEBUG": False}),
            (ON, {"INSTALLED_APPS": ["debug_toolbar"]}),
        ):
            self.assertNotIn("INTERNAL_IPS", added(environ, **theirs))

    def test_on(self) -> None:
        found = added(ON, INTERNAL_IPS=("10.0.0.1",))
        self.assertEqual(found["INSTALLED_APPS"], ["djup_web", "debug_toolbar"])
        self.assertEqual(found["MIDDLEWARE"][1], toolbar.MIDDLEWARE)
        self.assertEqual(found["INTERNAL_IPS"], ["10.0.0.1", "127.0.0.1", "::1"])

    def test_an_older_django_has_a_toolbar_of_its_own(self) -> None:
        with mock.patch.object(toolbar, "OLDEST", (99,)):
            self.assertIn("INTERNAL_IPS", added(ON))
            self.assertNotIn("INTERNAL_IPS", added({**ON, "DEBUG_PACKAGES": "/srv/debug"}))

    def test_a_server_without_the_package_ends(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "inv up fetches it"):
            added(ON, there=False)

    def test_a_test_run_is_without_it(self) -> None:
        settings: dict[str, Any] = {"DEBUG": True, "INSTALLED_APPS": [], "MIDDLEWARE": []}
        with mock.patch.object(sys, "argv", ["manage.py", "test"]):
            toolbar.add(settings, ON)
        self.assertEqual(settings["INSTALLED_APPS"], [])

    def test_the_gateway_of_a_container(self) -> None:
        routes = mock.Mock(spec=Path)
        routes.read_text.return_value = ROUTES
        with mock.patch.object(toolbar, "ROUTES", routes):
            self.assertEqual(toolbar.addresses({"DEBUG_BY_GATEWAY": "1"})[2:], ["172.20.0.1"])
            self.assertEqual(toolbar.addresses({}), ["127.0.0.1", "::1"])
