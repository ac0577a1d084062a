"""The folder of the uploads, and the program beside it that links, packs, unpacks and swaps it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from djup.host import process
from djup.host.process import Result
from djup.problems import problem
from djup.terminal.task import this_task

# The volume of the uploads in the web's container, and MEDIA_ROOT: a folder within, since a restore
# swaps folders by rename, which the place of a mount does not allow.
MEDIA = "/srv/media"
MEDIA_ROOT = f"{MEDIA}/files"
PART = "part"
TOOL = Path(__file__).with_name("uploads_tool.py")
# Into a container the program gets as a variable: so the command that is shown stays short.
CODE = "UPLOADS_TOOL"
RUN_CODE = f"import os; exec(os.environ['{CODE}'])"


def beside(token: str) -> str:
    """The folder that is kept under a token, from that of the volume."""
    return f"beside/{token}"


@dataclass(frozen=True)
class Uploads:
    """Where the uploads are: the folder `home`, as it is seen by the Python with which the command
    line of `python` begins; `owner` is whose they are (UID:GID), where that runs as root."""

    home: str
    python: Callable[[], list[str]]
    owner: str = ""

    def ask(self, operation: str, *names: str) -> dict[str, Any]:
        """Run an operation, and give what it has come to."""
        argv, env = self._command(operation, *names)
        if this_task.dry:
            process.show(argv)
            return {}
        return _answer(process.run(argv, env=env))

    def receive(self, take: Callable[[bytes], object], operation: str, *names: str) -> Any:
        """Run an operation with its output streamed to `take`."""
        argv, env = self._command(operation, *names)
        return _answer(process.receive(argv, take, env=env))

    def send(self, feed: Callable[[IO[bytes]], object], operation: str, *names: str) -> Any:
        """Run an operation with what `feed` writes on its stdin."""
        argv, env = self._command(operation, *names)
        return _answer(process.send(argv, feed, env=env))

    def _command(self, operation: str, *names: str) -> tuple[list[str], dict[str, str]]:
        argv = [*self.python(), self.home, self.owner, operation, *names]
        return argv, {**os.environ, CODE: TOOL.read_text(encoding="utf-8")}


def _answer(done: Result) -> dict[str, Any]:
    """The last line of what the program said, or the problem that it ended with."""
    lines = done.err.strip().splitlines() or ["it gave no reason"]
    if done.code:
        raise problem("BAK19", reason=lines[-1].rstrip("."))
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
