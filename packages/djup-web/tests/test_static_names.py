import tempfile
from pathlib import Path
from typing import Any, ClassVar

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.test import SimpleTestCase, override_settings
from djup_web import static_names


class Collected(ManifestStaticFilesStorage):
    """Those files were collected that a test says."""

    names: ClassVar[set[str]] = set()

    def stored_name(self, name: str) -> str:
        if name not in self.names:
            raise ValueError(name)
        return name


class StaticNamesTests(SimpleTestCase):
    """A project with a template of its own, and the templates of packages."""

    def setUp(self) -> None:
        root = Path(self.enterContext(tempfile.TemporaryDirectory()), "project")
        (root / "templates").mkdir(parents=True)
        (root / "templates/a.html").write_text("{% load static %}{% static 'a.css' %}")
        backend = "django.template.backends.django.DjangoTemplates"
        engine = {"BACKEND": backend, "DIRS": [root / "templates"], "APP_DIRS": True}
        self.enterContext(override_settings(BASE_DIR=root, TEMPLATES=[engine]))

    def collected(self, *names: str) -> Any:
        Collected.names = {*names}
        return override_settings(STORAGES={"staticfiles": {"BACKEND": f"{__name__}.Collected"}})

    def test_what_is_written_out_is_named(self) -> None:
        text = """{% load static %}{% static "a.css" %}{% static 'b.js' as b %}{% static name %}
        {# {% static "c" %} #}{% comment %}{% static "d" %}{% endcomment %}{% static "e f.css" %}
        {% static %}{{ static }}{% if "static" %}{% endif %}{% static "" %}"""
        self.assertEqual(list(static_names.names_in(text)), ["a.css", "b.js", "e f.css"])

    def test_a_file_of_this_project_that_was_not_collected(self) -> None:
        with self.collected("b.css"):
            self.assertEqual(static_names.lacking(), {"a.css": "project/templates/a.html"})

    def test_all_are_there(self) -> None:
        with self.collected("a.css"):
            self.assertEqual(static_names.lacking(), {})

    def test_without_hashes_nobody_fails(self) -> None:
        self.assertEqual(static_names.lacking(), {})
