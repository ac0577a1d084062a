"""Stands in for `docker`: notes each call, and answers from the table that the test wrote.

Run as a script. FAKE_HOME holds rules.json, a list of rules of which the first that matches
answers. {"words": [...], "when": flag, "unless": flag} matches when the words all are arguments, in
that order, and the flag has been set or has not. {"out", "err", "code", "sets": flag, "sleep":
seconds, "stdin": true, "out_file": path, "serve": port} is what it does. Each call is one line of
calls.jsonl.
"""

import base64
import json
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FAKE_HOME"])
READY = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"ready": true}'


def matches(rule: dict[str, Any], argv: list[str]) -> bool:
    left = iter(argv)
    flags = {
        wanted: rule[key] for key, wanted in (("when", True), ("unless", False)) if key in rule
    }
    return all(word in left for word in rule["words"]) and all(
        (HOME / flag).exists() is wanted for wanted, flag in flags.items()
    )


def note(rule: dict[str, Any], argv: list[str]) -> None:
    stdin = base64.b64encode(sys.stdin.buffer.read()).decode() if rule.get("stdin") else None
    call = {"argv": argv, "env": dict(os.environ), "cwd": str(Path.cwd()), "stdin": stdin}
    with (HOME / "calls.jsonl").open("a") as log:
        log.write(json.dumps(call) + "\n")


def serve(port: int) -> None:
    """Answer ready on `port`, in a process of its own that ends after ten seconds."""
    server = socket.create_server(("127.0.0.1", port))
    if os.fork():
        return
    for stream in (0, 1, 2):  # whoever waits for this program's output must not wait for us
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    server.settimeout(10)
    while True:
        with server.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(READY)


def main(argv: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C ends it as it would end docker
    rules = json.loads((HOME / "rules.json").read_text())
    rule = next((rule for rule in rules if matches(rule, argv)), {})
    note(rule, argv)
    if "sets" in rule:
        (HOME / rule["sets"]).touch()
    time.sleep(rule.get("sleep", 0))
    if "serve" in rule:
        serve(rule["serve"])
    sys.stdout.write(rule.get("out", ""))
    sys.stderr.write(rule.get("err", ""))
    sys.stdout.flush()
    if "out_file" in rule:
        with Path(rule["out_file"]).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    return int(rule.get("code", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
