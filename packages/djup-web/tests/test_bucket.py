"""Uploads in a bucket of a real server: stored, read by a link, copied there and back."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock, skipUnless

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings
from djup_web import media

RCLONE = shutil.which("rclone") or str(Path(sys.executable).with_name("rclone"))
KEYS = {"MEDIA_ACCESS_KEY": "ann", "MEDIA_SECRET_KEY": "secret-3f1c", "MEDIA_REGION": "eu"}
LARGE = 9 * 2**20  # two parts
FILES = {"a.txt": b"a", "deep/er/b.png": b"b" * 5000, "c c ü.bin": b"", "large.bin": b"x" * LARGE}
SECONDS = 20


@skipUnless(find_spec("storages") and Path(RCLONE).exists(), "requirements/s3.txt is not installed")
class BucketTests(SimpleTestCase):
    home: Path
    environ: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.home = Path(folder.name)
        (cls.home / "shop").mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        login = f"{KEYS['MEDIA_ACCESS_KEY']},{KEYS['MEDIA_SECRET_KEY']}"
        argv = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", login, str(cls.home)]
        environ = {**os.environ, "RCLONE_CONFIG": "/dev/null"}
        server = subprocess.Popen([RCLONE, *argv], env=environ, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(server.wait)
        cls.addClassCleanup(server.kill)
        cls.environ = {
            **KEYS,
            "MEDIA": "s3://shop/in",
            "MEDIA_ENDPOINT": f"http://127.0.0.1:{port}",
        }
        deadline = time.monotonic() + SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)

    def storage(self) -> Storage:
        made: Storage = storages.create_storage(media.storage(self.environ))
        return made

    def copy(self, source: Path | str, target: Path | str) -> str:
        said = io.StringIO()
        with mock.patch.dict(os.environ, self.environ):
            call_command("media_copy", source=str(source), target=str(target), stdout=said)
        return said.getvalue()

    def folder(self) -> Path:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        folder = Path(made.name)
        for name, content in {**FILES, ".part": b"half"}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def test_stored_and_read_by_a_link_that_expires(self) -> None:
        storage = self.storage()
        name = storage.save("note/brève.txt", ContentFile(b"hello"))
        self.assertEqual(storage.open(name).read(), b"hello")
        url = storage.url(name)
        self.assertIn("X-Amz-Expires=3600", url)
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            self.assertEqual(answer.read(), b"hello")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(url.partition("?")[0], timeout=SECONDS)
        with override_settings(STORAGES={"default": media.storage(self.environ)}):
            private = media.private()
            kept = private.save("mine.txt", ContentFile(b"mine"))
            self.assertIn("/in/private/mine", private.url(kept))
        storage.delete(name)
        self.assertFalse(storage.exists(name))

    def test_two_of_one_name_at_once_are_both_kept(self) -> None:
        storage = self.storage()
        with ThreadPoolExecutor(4) as pool:
            saved = [
                pool.submit(storage.save, "same.txt", ContentFile(b"%d" % i)) for i in range(8)
            ]
            names = {done.result() for done in saved}
        self.assertEqual(
            {storage.open(name).read() for name in names}, {b"%d" % i for i in range(8)}
        )
        long = storage.get_available_name("n" * 300 + ".txt", max_length=100)
        self.assertTrue(len(long) == 100 and long.endswith(".txt"))

    def test_what_a_browser_could_run_is_saved(self) -> None:
        storage: Any = self.storage()
        self.assertEqual(storage.get_object_parameters("a.svg")["ContentDisposition"], "attachment")
        self.assertEqual(storage.get_object_parameters("a.png"), {})

    def test_copied_there_and_back_and_only_once(self) -> None:
        folder, bucket = self.folder(), "s3://shop/copied"
        self.assertIn("copied 4 files", self.copy(folder, bucket))
        self.assertIn("copied 0 files (0 bytes); 4 were there; 4 of 4", self.copy(folder, bucket))
        (folder / "a.txt").write_bytes(b"A")  # of the same size
        self.assertIn("copied 1 files (1 bytes); 3 were there", self.copy(folder, bucket))
        with tempfile.TemporaryDirectory() as back:
            self.assertIn("copied 4 files", self.copy(bucket, back))
            self.assertIn("copied 0 files", self.copy(bucket, back))
            for name in FILES:
                self.assertEqual((Path(back) / name).read_bytes(), (folder / name).read_bytes())
            names = [file for file in Path(back).rglob("*") if file.is_file()]
            self.assertEqual(len(names), 4)  # no half of one

    def test_broken_off_it_goes_on(self) -> None:
        from djup_web import media_copy

        folder, bucket, sent = self.folder(), "s3://shop/broken", media_copy.Bucket.put

        def breaks_off(self: Any, name: str, file: Path) -> None:
            if name == "large.bin":
                raise OSError("connection reset")
            sent(self, name, file)

        broken = mock.patch.object(media_copy.Bucket, "put", breaks_off)
        with broken, self.assertRaisesMessage(CommandError, "Run it again"):
            self.copy(folder, bucket)
        self.assertIn("4 of 4 are in s3://shop/broken", said := self.copy(folder, bucket))
        self.assertNotIn("copied 4 files", said)

    def test_what_cannot_be_copied_is_said_in_a_sentence(self) -> None:
        folder = self.folder()
        with self.assertRaisesMessage(CommandError, "s3://BUCKET"):
            self.copy(folder, folder)
        with self.assertRaisesMessage(CommandError, "s3://gone"):
            self.copy(folder, "s3://gone")
        wrong = {**self.environ, "MEDIA_SECRET_KEY": "wrong"}
        with mock.patch.object(self, "environ", wrong), self.assertRaises(CommandError) as found:
            self.copy(folder, "s3://shop")
        self.assertNotIn("wrong", str(found.exception))
        lacks = mock.patch("djup_web.management.commands.media_copy.Command.copy")
        with lacks as copy, self.assertRaisesMessage(CommandError, "django-storages[s3]"):
            copy.side_effect = ImportError("storages")
            self.copy(folder, "s3://shop")
