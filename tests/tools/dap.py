"""An editor that attaches to debugpy: the Debug Adapter Protocol, as JSON on a socket."""

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 60


class Editor:
    """One connection: requests are answered in any order, events come between."""

    def __init__(self, connection: socket.socket) -> None:
        self.stream = connection.makefile("rwb")
        self.numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request, and give its number."""
        number = next(self.numbers)
        said = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(said).encode()
        self.stream.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.stream.flush()
        return number

    def answer(self, number: int) -> dict[str, Any]:
        """The answer to a request, which has to be a good one."""
        while True:
            message = self._read()
            if message.get("request_seq") == number:
                assert message["success"], message
                return dict(message.get("body") or {})

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        return self.answer(self.send(command, **arguments))

    def event(self, name: str) -> dict[str, Any]:
        """The next event of a name, or one that came while something else was waited for."""
        while True:
            found = [event for event in self.events if event["event"] == name]
            if found:
                self.events.remove(found[0])
                return dict(found[0].get("body") or {})
            self._read()

    def _read(self) -> dict[str, Any]:
        length = 0
        while line := self.stream.readline().strip():
            length = int(line.partition(b":")[2])
        assert length, "debugpy has closed the connection"
        message: dict[str, Any] = json.loads(self.stream.read(length))
        if message["type"] == "event":
            self.events.append(message)
        return message

    def attach(self, local: Path, remote: str, breakpoint: tuple[Path, int]) -> None:
        """As VS Code does with `request: attach`, and one breakpoint."""
        self.ask("initialize", adapterID="debugpy", clientID="tests", pathFormat="path")
        mappings = [{"localRoot": str(local), "remoteRoot": remote}]
        attached = self.send("attach", pathMappings=mappings)
        self.event("initialized")
        file, line = breakpoint
        source, lines = {"path": str(file)}, [{"line": line}]
        [found] = self.ask("setBreakpoints", source=source, breakpoints=lines)["breakpoints"]
        assert found["verified"], found
        self.ask("configurationDone")
        self.answer(attached)

    def stopped(self) -> tuple[int, dict[str, Any]]:
        """Wait for a stop: the thread, and the frame on top."""
        event = self.event("stopped")
        assert event["reason"] == "breakpoint", event
        frames = self.ask("stackTrace", threadId=event["threadId"])["stackFrames"]
        return event["threadId"], frames[0]


@contextmanager
def connected(port: int) -> Iterator[Editor]:
    """An editor that is connected to a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        yield Editor(connection)
