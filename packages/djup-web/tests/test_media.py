"""Uploaded files: names that are not meant well, two of one name at once, a disk that is full."""

import errno
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from unittest import mock

from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile, UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory, SimpleTestCase, override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from djup_web import media
from djup_web.full_disk import FullDiskMiddleware
from djup_web.media import MediaStorage

LARGE = 3 * 2**20  # more than Django keeps in memory
NAMES = {
    "../../etc/passwd": "passwd",
    "a\x00b\r\nc.txt": "abc.txt",
    ".htaccess": "htaccess",
    "...": "file",
    "photo.JPG": "photo.JPG",
    "x" * 300 + ".png": "x" * 243 + ".png",
    "ü" * 300 + ".png": "ü" * 121 + ".png",
    "no-suffix." + "s" * 300: ("no-suffix." + "s" * 300)[:247],
}


def upload(request: HttpRequest) -> HttpResponse:
    """Stores what was sent, as a view does."""
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)
    return HttpResponse(MediaStorage().save(str(file.name), file))


urlpatterns = [path("", upload), path("exempt", csrf_exempt(upload))]


def large(name: str) -> TemporaryUploadedFile:
    file = TemporaryUploadedFile(name, "application/octet-stream", LARGE, None)
    file.write(b"x" * LARGE)
    file.seek(0)
    return file


class MediaTests(SimpleTestCase):
    def run(self, result: object = None) -> object:  # type: ignore[override]
        with tempfile.TemporaryDirectory() as folder, override_settings(MEDIA_ROOT=folder):
            self.folder = Path(folder)
            return super().run(result)  # type: ignore[arg-type]

    def files(self) -> Iterator[Path]:
        return (file for file in self.folder.rglob("*") if file.is_file())

    def test_names_are_made_acceptable(self) -> None:
        for given, wanted in NAMES.items():
            with self.subTest(given[:20]):
                self.assertEqual(media.acceptable(given).rpartition("/")[2], wanted)
                self.assertLessEqual(len(wanted.encode()), 247)

    def test_no_name_leads_out(self) -> None:
        for name in ("../up.txt", "/etc/up.txt", "a/../../up.txt"):
            with self.assertRaises(SuspiciousFileOperation):
                MediaStorage().save(name, ContentFile(b"x"))
        self.assertEqual([*self.files()], [])

    def test_what_is_sent_by_these_names_is_stored(self) -> None:
        names = [n for n in NAMES if not n.startswith("..")]
        with override_settings(ROOT_URLCONF=__name__):
            for name in (*names, "../../etc/passwd"):
                answer = self.client.post("/", {"file": SimpleUploadedFile(name[:255], b"content")})
                self.assertEqual(answer.status_code, 200)
                stored = self.folder / answer.content.decode()
                self.assertEqual(stored.read_bytes(), b"content")
                self.assertEqual(stored.parent, self.folder)

    def test_two_of_one_name_at_once_are_both_kept(self) -> None:
        kinds = (lambda i: ContentFile(b"%d" % i), lambda i: large(f"{i}"))
        for make in kinds:
            with ThreadPoolExecutor(8) as pool:
                save = [pool.submit(MediaStorage().save, "same.txt", make(i)) for i in range(16)]
            self.assertEqual(len({done.result() for done in save}), 16)
        self.assertEqual(len([*self.files()]), 32)

    def test_another_name_is_no_longer_than_the_field_allows(self) -> None:
        name = "n" * 96 + ".txt"
        with mock.patch.object(MediaStorage, "exists", return_value=False):  # so it is raced for
            first = MediaStorage().save(name, ContentFile(b"1"), max_length=100)
        second = MediaStorage().save(name, ContentFile(b"2"), max_length=100)
        self.assertEqual(first, name)
        self.assertLessEqual(len(second), 100)
        self.assertEqual((self.folder / second).read_bytes(), b"2")

    def test_text_and_the_mode_of_a_file(self) -> None:
        name = MediaStorage().save("a/b/text.txt", ContentFile("täxt"))
        self.assertEqual((self.folder / name).read_text(encoding="utf-8"), "täxt")
        self.assertEqual((self.folder / name).stat().st_mode & 0o777, 0o644)  # the proxy reads it

    def test_a_full_disk_leaves_nothing_half_written(self) -> None:
        content = ContentFile(b"x" * 100)
        with (
            mock.patch.object(content, "chunks", lambda: iter(full_after(b"x" * 50))),
            self.assertRaises(OSError),
        ):
            MediaStorage().save("half.bin", content)
        self.assertEqual([*self.files()], [])

    def test_private_files_are_in_a_folder_that_no_url_leads_to(self) -> None:
        private = media.private()
        name = private.save("secret.txt", ContentFile(b"mine"))
        self.assertEqual((self.folder / "private" / name).read_bytes(), b"mine")
        self.assertIn("private/", private.url(name))

    def test_a_private_file_is_sent_by_the_proxy(self) -> None:
        private = media.private()
        name = private.save("brève 50%?.svg", ContentFile(b"<svg/>"))
        file = private.open(name)
        file.name, file.storage = name, private  # type: ignore[attr-defined]
        with mock.patch.dict(os.environ, MEDIA_ACCEL="/media/"):
            answer = media.send(file)
        self.assertEqual(answer["X-Accel-Redirect"], "/media/private/br%C3%A8ve%2050%25%3F.svg")
        self.assertTrue(answer["Content-Disposition"].startswith("attachment"))
        self.assertFalse(answer.has_header("Content-Type"))
        self.assertEqual(answer["Cache-Control"], "private, no-cache")
        sent = media.send(file)  # where no proxy does
        self.assertEqual(b"".join(sent), b"<svg/>")
        sent.close()

    def test_development_serves_what_the_proxy_would(self) -> None:
        for name in ("photo.png", "page.html", "private/mine.txt", ".git/config"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text("x")
        request = RequestFactory().get("/")
        for name, saved in {"photo.png": False, "page.html": True}.items():
            with closing(media.serve(request, name, self.folder)) as answer:
                self.assertEqual(answer["Content-Disposition"].startswith("attachment"), saved)
        for name in ("private/mine.txt", "./private/mine.txt", ".git/config"):
            with self.assertRaises(Http404):
                media.serve(request, name, self.folder)

    def test_the_storage_is_by_the_environment(self) -> None:
        folder = media.root({}, Path("/src/project"))
        self.assertEqual(folder, Path("/src/.state/media"))
        self.assertEqual(media.root({"MEDIA_ROOT": "/srv/media"}, folder), Path("/srv/media"))
        for address in ("", "volume", "nfs://files/media"):
            found = media.storage({"MEDIA": address})
            self.assertEqual(found["BACKEND"], media.STORAGE)
        keys = {"MEDIA": "s3://b/in/it", "MEDIA_ENDPOINT": "http://s3", "MEDIA_REGION": ""}
        options = {"bucket_name": "b", "location": "in/it", "endpoint_url": "http://s3"}
        self.assertEqual(media.storage(keys)["OPTIONS"], options)
        with self.assertRaisesMessage(ImproperlyConfigured, "MEDIA"):
            media.storage({"MEDIA": "s3:///b"})


def full_after(start: bytes) -> Iterator[bytes]:
    yield start
    raise OSError(errno.ENOSPC, "No space left on device")


@override_settings(
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "djup_web.full_disk.FullDiskMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)
class FullDiskTests(SimpleTestCase):
    """Both places where a file is written: /tmp, while the form is read, and the storage."""

    def post(self, url: str = "/") -> HttpResponse:
        file = SimpleUploadedFile("large.bin", b"x" * LARGE)
        with self.assertLogs("djup_web.full_disk", "ERROR") as log:
            answer: HttpResponse = self.client.post(url, {"file": file})  # type: ignore[assignment]
        self.assertIn("the disk is full", log.output[0])
        return answer

    def test_a_form_that_finds_no_room(self) -> None:
        handler = "django.core.files.uploadhandler.TemporaryFileUploadHandler"
        with mock.patch(f"{handler}.receive_data_chunk", side_effect=next_is_full):
            self.assertEqual(self.post().status_code, 507)
            self.assertEqual(self.post("/exempt").status_code, 507)

    def test_a_storage_that_finds_no_room(self) -> None:
        with mock.patch("os.fsync", side_effect=next_is_full):
            self.assertContains(self.post(), "Nothing was stored", status_code=507)

    def test_other_errors_are_left_alone(self) -> None:
        middleware = FullDiskMiddleware(lambda request: HttpResponse())
        for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x")):
            self.assertIsNone(middleware.process_exception(RequestFactory().get("/"), error))


def next_is_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
