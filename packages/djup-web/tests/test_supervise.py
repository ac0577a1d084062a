"""The supervisor with a stand-in for manage.py, in a folder of its own."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from django.test import SimpleTestCase
from djup_web import supervise

# Tells what it was asked, then does what the file `act.txt` says.
MANAGE = """
import os, pathlib, signal, sys, time
print(*sys.argv[1:], os.environ["RUN_MAIN"], flush=True)
exec(pathlib.Path("act.txt").read_text())
"""
SERVE = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
while True:  # A signal just before a long sleep would be seen after it only.
    time.sleep(0.02)
"""


class SuperviseTests(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve() / "project"
        self.folder.mkdir()
        (self.folder / "manage.py").write_text(MANAGE)
        self.ready_file = self.folder / "ready"

    def act(self, code: str) -> None:
        """Replace the file in one step: a half-written one would be run."""
        part = self.folder / "act.part"
        part.write_text(code)
        part.rename(self.folder / "act.txt")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "djup_web.supervise", *arguments],
            cwd=self.folder,
            env={**os.environ, "READY_FILE": str(self.ready_file)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)  # Not kill: the child would be left behind.
        return process

    def line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout
        return process.stdout.readline().strip()

    def lines(self, process: subprocess.Popen[str], count: int) -> list[str]:
        return [self.line(process) for _ in range(count)]

    def ended(self, process: subprocess.Popen[str]) -> int:
        return process.wait(timeout=60)

    def test_a_first_start_that_fails_ends_with_its_status(self) -> None:
        self.act("sys.exit('reason')")
        process = self.start()
        self.assertEqual(self.ended(process), 1)
        wanted = ["serve --reload true", "reason", "Ended with status 1."]
        self.assertEqual(self.lines(process, 3), wanted)

    def test_a_first_start_that_is_killed_ends_with_128_plus_the_signal(self) -> None:
        self.act("os.kill(os.getpid(), signal.SIGKILL)")
        process = self.start()
        self.assertEqual(self.ended(process), 128 + signal.SIGKILL)
        self.assertEqual(self.lines(process, 2)[1], "Ended with status 137.")

    def test_a_ready_file_of_an_earlier_run_does_not_count(self) -> None:
        self.ready_file.touch()
        self.act("sys.exit(7)")
        self.assertEqual(self.ended(self.start()), 7)

    def test_arguments_are_passed_on(self) -> None:
        self.act("")
        self.assertEqual(self.line(self.start("0.0.0.0:80")), "serve --reload 0.0.0.0:80 true")

    def test_changed_code_starts_again_and_migrates_until_ready(self) -> None:
        self.act(
            "steps = pathlib.Path('steps'); n = len(steps.read_text()) if steps.exists() else 0\n"
            "steps.write_text('x' * (n + 1))\n"
            "if n == 1: pathlib.Path('ready').touch()\n"
            "sys.exit([3, 3, 0][n])"
        )
        process = self.start()
        again = "serve --reload --no-migrate true"
        full = "serve --reload true"
        self.assertEqual(self.lines(process, 4), [full, full, again, ""])
        self.assertEqual(self.ended(process), 0)

    def test_an_error_after_ready_waits_for_a_change(self) -> None:
        self.act("pathlib.Path('ready').touch(); sys.exit(1)")
        process = self.start()
        waiting = "Ended with status 1; waiting for a change in project/ ..."
        self.assertEqual(self.lines(process, 2), ["serve --reload true", waiting])
        again = ["A file has changed: starting again.", "serve --reload --no-migrate true"]
        (self.folder / "added.py").touch()
        self.assertEqual(self.lines(process, 3), [*again, waiting])
        (self.folder / "added.py").unlink()
        self.assertEqual(self.lines(process, 3), [*again, waiting])
        self.act(SERVE)
        self.assertEqual(self.lines(process, 3), [*again, "up"])

    def test_a_change_made_while_the_child_ran_counts(self) -> None:
        self.act(
            "pathlib.Path('ready').touch(); fixed = pathlib.Path('fixed.py')\n"
            "if fixed.exists(): sys.exit(0)\n"
            "fixed.touch(); sys.exit(1)"
        )
        self.assertEqual(self.ended(self.start()), 0)

    def test_signals_stop_the_child(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.act(SERVE)
            process = self.start()
            self.lines(process, 2)
            process.send_signal(signum)
            self.assertEqual(self.ended(process), 0)

    def test_the_childs_status_at_a_signal_is_passed_on(self) -> None:
        self.act(SERVE.replace("sys.exit(0)", "sys.exit(5)"))
        process = self.start()
        self.lines(process, 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), 5)
        self.assertEqual(self.line(process), "Ended with status 5.")

    def test_a_signal_while_waiting_for_a_change(self) -> None:
        self.act("pathlib.Path('ready').touch(); sys.exit(1)")
        process = self.start()
        self.lines(process, 2)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(process), 0)


A, B = Path("a.py"), Path("b.py")


class SnapshotTests(SimpleTestCase):
    def test_sees_source_files_only(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a.py", "app/b.html", "app/__pycache__/c.py", ".git/d.py", "db.sqlite3"):
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.touch()
            found = {os.path.relpath(path, folder) for path in supervise.snapshot(Path(folder))}
        self.assertEqual(found, {"a.py", "app/b.html"})

    def test_fingerprint_tells_snapshots_apart(self) -> None:
        one, two = {A: (1, 1), B: (2, 2)}, {B: (2, 2), A: (1, 1)}
        self.assertEqual(supervise.fingerprint(one), supervise.fingerprint(two))
        self.assertNotEqual(supervise.fingerprint(one), supervise.fingerprint({A: (1, 2)}))

    def test_needs_no_django(self) -> None:
        code = "import sys; from djup_web import supervise; sys.exit('django' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)
