"""The static files of projects with each storage and each STATIC_URL, collected for real."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock, skipIf, skipUnless
from urllib.parse import urlsplit
from wsgiref.headers import Headers
from wsgiref.util import setup_testing_defaults

import django
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.files.storage import Storage
from django.core.management import call_command
from django.template import Context, Template
from django.test import SimpleTestCase, modify_settings, override_settings
from djup_web import static_files, static_names

PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
COMPRESSED = "whitenoise.storage.CompressedStaticFilesStorage"
DJANGOS = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
WHITENOISE = "whitenoise.storage.CompressedManifestStaticFilesStorage"
FORGIVING = "djup_web.storage.ForgivingStorage"
BUCKET = f"{__name__}.Bucket"
UNHASHED, HASHED = (PLAIN, COMPRESSED), (DJANGOS, WHITENOISE, FORGIVING)
SIGN = b"<svg/>"
FILES = {"site.css": b"body { background: url(img/sign.svg) }" * 9, "img/sign.svg": SIGN}
FOREVER = "max-age=315360000, public, immutable"


NAMES_NOTHING = {
    "missing.css": b"a { background: url(gone.png) } b { background: url('img/sign.svg') }",
    "import.css": b'@import "gone.css";\n@import "site.css";',
    "outside.css": b"a { background: url(../../../../gone.png) }",
    "map.css": b"a {}\n/*# sourceMappingURL=map.css.map */",
    "map.js": b"a()\n//# sourceMappingURL=map.js.map\n",
}
LATIN = {"latin.css": b"/* \xe4 */ a { background: url(img/sign.svg) }"}
# Django's override_settings(STORAGES=…) keeps the backend alone until then.
KEEPS_STORAGES = skipIf(django.VERSION < (5, 1), "these settings cannot be overridden")


def stored(name: str) -> str:
    """The name that a file with this one has in the folder."""
    assert isinstance(staticfiles_storage, ManifestFilesMixin)
    return staticfiles_storage.stored_name(name)


class Bucket(Storage):
    """Storage that is not on this machine, and whose settings are not there while one builds."""

    def __init__(self) -> None:
        raise AssertionError("the bucket was asked")


class Collecting(SimpleTestCase):
    """A project whose static files are collected into a folder of its own."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.source, self.root = folder / "source", folder / "root"

    @contextmanager
    def project(
        self,
        backend: str,
        url: str = "/static/",
        files: Mapping[str, bytes] = FILES,
        **settings: Any,
    ) -> Iterator[None]:
        """One that has these settings and files, and has collected them."""
        for name, content in files.items():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_bytes(content)
        chosen = {
            "STATIC_URL": url,
            "STATIC_ROOT": self.root,
            "STATICFILES_DIRS": [self.source],
            "STATICFILES_FINDERS": ["django.contrib.staticfiles.finders.FileSystemFinder"],
            "STORAGES": {"staticfiles": {"BACKEND": backend}},
        }
        with override_settings(**(chosen | settings)):
            call_command("collect_static", stdout=io.StringIO(), stderr=io.StringIO())
            yield

    def found(self, folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@skipUnless(find_spec("whitenoise"), "requirements/prod.txt is not installed")
class ServedTests(Collecting):
    def ask(self, url: str) -> tuple[str, Headers, bytes]:
        """What the production server answers for a URL, wherever that URL leads a browser."""
        said: list[Any] = []
        environ: dict[str, Any] = {"PATH_INFO": urlsplit(url).path, "REQUEST_METHOD": "GET"}
        setup_testing_defaults(environ)
        application = static_files.served_before(not_found)
        body = b"".join(application(environ, lambda *answer: said.extend(answer)))
        return said[0], Headers(said[1]), body

    def test_hashed_names_are_kept_for_ever_and_no_others(self) -> None:
        for backend in (*UNHASHED, *HASHED):
            with self.subTest(backend), self.project(backend):
                status, headers, body = self.ask(staticfiles_storage.url("img/sign.svg"))
                self.assertEqual((status, body), ("200 OK", SIGN))
                kept = FOREVER if backend in HASHED else "max-age=60, public"
                self.assertEqual(headers["Cache-Control"], kept)
                status, headers, body = self.ask("/static/img/sign.svg")
                self.assertEqual((status, body), ("200 OK", SIGN))
                self.assertEqual(headers["Cache-Control"], "max-age=60, public")
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_any_url(self) -> None:
        for url in (
            *("static/", "/assets/", "/a/b/", "https://cdn.example.org/static/"),
            *("https://cdn.example.org/", "//cdn.example.org/x/"),
        ):
            for backend in (PLAIN, WHITENOISE):
                with self.subTest(url, backend=backend), self.project(backend, url):
                    named = staticfiles_storage.url("site.css")
                    self.assertEqual(self.ask(named)[0], "200 OK")
                    self.assertEqual(self.ask("/nowhere/site.css")[0], "404 Not Found")

    @KEEPS_STORAGES
    def test_no_storage_for_static_files(self) -> None:
        with self.project(PLAIN, STORAGES={"default": {"BACKEND": BUCKET}}):
            self.assert_left_alone()

    @KEEPS_STORAGES
    def test_a_storage_with_options(self) -> None:
        options = {"location": self.root / "other", "base_url": "/other/"}
        storages = {"staticfiles": {"BACKEND": DJANGOS, "OPTIONS": options}}
        with self.project(DJANGOS, STATIC_ROOT=None, STORAGES=storages):
            status, headers, _ = self.ask(staticfiles_storage.url("site.css"))
        self.assertEqual((status, headers["Cache-Control"]), ("200 OK", FOREVER))

    def test_what_is_in_no_folder_is_left_alone(self) -> None:
        for settings in (
            {"STORAGES": {"staticfiles": {"BACKEND": BUCKET}}},
            {"STORAGES": {"staticfiles": {"BACKEND": BUCKET}}, "STATIC_ROOT": None},
            {"STATIC_ROOT": None},
            {"STATIC_URL": None},
        ):
            with self.subTest(settings), self.project(PLAIN, **settings):
                self.assert_left_alone()

    def test_a_project_without_static_files(self) -> None:
        name = "django.contrib.staticfiles"
        with modify_settings(INSTALLED_APPS={"remove": name}), self.project(PLAIN):
            self.assert_left_alone()

    def assert_left_alone(self) -> None:
        self.assertIs(static_files.served_before(not_found), not_found)
        self.assertIsNone(static_files.share_with_proxy())
        self.assertEqual(static_names.lacking(), {})
        self.assertFalse(self.root.exists())

    def test_files_that_are_not_collected_yet(self) -> None:
        with override_settings(STATIC_ROOT=self.root):
            self.assertIs(static_files.served_before(not_found), not_found)

    def test_djangos_own_sources_are_removed_if_one_says_so(self) -> None:
        sources = self.source.parent / "django/contrib/admin/static"
        sources.mkdir(parents=True)
        module = sources.parents[2] / "__init__.py"
        with (
            mock.patch.object(django, "__file__", str(module)),
            self.project(PLAIN),
        ):
            self.assertTrue(sources.exists())
            call_command("collect_static", remove_sources=True)
            self.assertFalse(sources.exists())


def not_found(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return []


@skipUnless(find_spec("whitenoise"), "requirements/prod.txt is not installed")
class SharedTests(Collecting):
    """With a folder in place of the volume that the proxy reads."""

    def setUp(self) -> None:
        super().setUp()
        self.shared = self.root.parent / "shared"
        self.shared.mkdir()
        self.enterContext(mock.patch.object(static_files, "SHARED", self.shared))
        self.enterContext(mock.patch.object(Path, "is_mount", return_value=True))

    def test_hashed_names_alone(self) -> None:
        for backend in HASHED:
            with self.subTest(backend), self.project(backend):
                static_files.share_with_proxy()
                names = {stored(name) for name in FILES}
                self.assertEqual(self.found(self.shared) & names, names)
                self.assertEqual(self.found(self.shared) & {*FILES, "staticfiles.json"}, set())

    def test_nothing_without_hashes(self) -> None:
        for backend in UNHASHED:
            with self.subTest(backend), self.project(backend):
                self.assertEqual(static_files.share_with_proxy(), 0)
                self.assertEqual(self.found(self.shared), set())

    def test_nothing_under_a_path_that_the_proxy_does_not_serve(self) -> None:
        for url in ("/assets/", "https://cdn.example.org/", "/static/v1/"):
            with self.subTest(url), self.project(WHITENOISE, url):
                self.assertIsNone(static_files.share_with_proxy())
        with self.project(WHITENOISE, "https://cdn.example.org/static/"):
            self.assertEqual(static_files.share_with_proxy(), 3)  # site.css has a compressed twin


@skipUnless(find_spec("whitenoise"), "requirements/prod.txt is not installed")
class ForgivingTests(Collecting):
    def content(self, name: str) -> str:
        return (self.root / stored(name)).read_bytes().decode("latin-1")

    def test_a_name_of_nothing_stays_as_it_is(self) -> None:
        with self.project(FORGIVING, files={**FILES, **NAMES_NOTHING}):
            for name in NAMES_NOTHING:
                self.assertRegex(staticfiles_storage.url(name), r"^/static/\w+\.[0-9a-f]{12}\.")
            sign = stored("img/sign.svg")
            missing = self.content("missing.css")
            self.assertIn("url(gone.png)", missing)
            self.assertIn(f'url("{sign}")', missing)
            imports = self.content("import.css")
            self.assertIn('@import "gone.css"', imports)
            self.assertIn(stored("site.css"), imports)
            for name in ("outside.css", "map.css", "map.js"):
                self.assertEqual(self.content(name), NAMES_NOTHING[name].decode())

    def test_a_stylesheet_in_another_encoding_stays_as_it_is(self) -> None:
        with self.project(FORGIVING, files={**FILES, **LATIN}):
            self.assertRegex(staticfiles_storage.url("latin.css"), r"latin\.[0-9a-f]{12}\.css$")
            self.assertEqual(self.content("latin.css"), LATIN["latin.css"].decode("latin-1"))

    def test_others_forgive_none_of_these(self) -> None:
        for name, content in {**NAMES_NOTHING, **LATIN}.items():
            with self.subTest(name), self.assertRaises(Exception):  # noqa: B017
                self.enterContext(self.project(WHITENOISE, files={**FILES, name: content}))
            (self.source / name).unlink()

    def test_a_page_that_names_nothing(self) -> None:
        text = "{% load static %}{% static 'gone.js' %} {% static '/a/b.css' %} {% static 'x/' %}"
        with self.project(FORGIVING):
            page = Template(text).render(Context())
            self.assertEqual(page, "/static/gone.js /static/a/b.css /static/x/")
            self.assertEqual(static_names.lacking(), {})

    def test_a_file_that_came_later_has_no_hash(self) -> None:
        with self.project(FORGIVING):
            (self.root / "later.css").write_text("a {}")
            self.assertEqual(staticfiles_storage.url("later.css"), "/static/later.css")


class ShareTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.collected, self.shared = folder / "collected", folder / "shared"
        self.shared.mkdir()
        for name in ("a.1.css", "a.1.css.gz", "a.css", "b/c.2.js"):
            (self.collected / name).parent.mkdir(parents=True, exist_ok=True)
            (self.collected / name).write_text(name)

    def share(self, *names: str) -> int:
        return static_files.share(names, self.collected, self.shared)

    def found(self) -> dict[str, str]:
        files = (path for path in self.shared.rglob("*") if path.is_file())
        return {str(path.relative_to(self.shared)): path.read_text() for path in files}

    def test_hashed_files_come_with_their_twins_and_nothing_else(self) -> None:
        self.assertEqual(self.share("a.1.css", "b/c.2.js"), 3)
        same = {name: name for name in ("a.1.css", "a.1.css.gz", "b/c.2.js")}
        self.assertEqual(self.found(), same)

    def test_what_is_there_stays_also_that_of_another_release(self) -> None:
        for name in ("a.0.css", "a.1.css"):
            (self.shared / name).write_text("there")
        self.assertEqual(self.share("a.1.css"), 1)
        self.assertEqual(
            self.found(), {"a.0.css": "there", "a.1.css": "there", "a.1.css.gz": "a.1.css.gz"}
        )
