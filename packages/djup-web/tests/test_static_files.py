import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import skipUnless

from django.test import SimpleTestCase


@skipUnless(find_spec("whitenoise"), "requirements/prod.txt is not installed")
class ShareTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.collected, self.shared = folder / "collected", folder / "shared"
        self.shared.mkdir()
        for name in ("a.1.css", "a.1.css.gz", "a.css", "b/c.2.js"):
            (self.collected / name).parent.mkdir(parents=True, exist_ok=True)
            (self.collected / name).write_text(name)

    def share(self, *names: str) -> int:
        from djup_web.static_files import share

        return share(names, self.collected, self.shared)

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
