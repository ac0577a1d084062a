"""Stands in for `docker`: notes each call, and answers from the table that the test wrote.

Run as a script. FAKE_HOME holds `rules`, a list of rules of which the first that matches answers.
{"words": [...], "when": flag, "unless": flag} matches when the words all are arguments, in that
order, and the flag has been set or has not. {"out", "err", "code", "sets": flag, "sleep": seconds,
"stdin": true, "out_file": path, "serve": port} is what it does. Each call is one line of `calls`.

Both are Python literals, and hardly anything is imported: a thousand starts of this script are
most of what the suite costs, and `json` or `pathlib` would double each.
"""

# ruff: noqa: PTH109, PTH110, PTH123
import os
import sys
import time

HOME = os.environ["FAKE_HOME"]
READY = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"ready": true}'
Rule = dict  # from str to whatever
SERVICES = '{"services": {"db": {"healthcheck": {}}, "web": {"healthcheck": {}}}}'
CONFIG = {"words": ["compose", "config", "--format", "json"], "out": SERVICES}


def matches(rule: Rule, argv: list[str]) -> bool:
    left = iter(argv)
    flags = {
        wanted: rule[key] for key, wanted in (("when", True), ("unless", False)) if key in rule
    }
    return all(word in left for word in rule["words"]) and all(
        os.path.exists(f"{HOME}/{flag}") is wanted for wanted, flag in flags.items()
    )


def note(rule: Rule, argv: list[str]) -> None:
    stdin = sys.stdin.buffer.read() if rule.get("stdin") else None
    call = {"argv": argv, "env": dict(os.environ), "cwd": os.getcwd(), "stdin": stdin}
    with open(f"{HOME}/calls", "a") as calls:
        calls.write(f"{call!r}\n")


def end_by_ctrl_c() -> None:
    """As docker does: at once, and without a traceback."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)


def serve(port: int) -> None:
    """Answer ready on `port`, in a process of its own that ends after ten seconds."""
    import socket

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
    with open(f"{HOME}/rules") as file:
        rules = eval(file.read())
    rule = next((rule for rule in [*rules, CONFIG] if matches(rule, argv)), {})
    if "sleep" in rule:
        end_by_ctrl_c()
    note(rule, argv)
    if "sets" in rule:
        open(f"{HOME}/{rule['sets']}", "a").close()
    time.sleep(rule.get("sleep", 0))
    if "serve" in rule:
        serve(rule["serve"])
    sys.stdout.write(rule.get("out", ""))
    sys.stderr.write(rule.get("err", ""))
    sys.stdout.flush()
    if "out_file" in rule:
        with open(rule["out_file"], "rb") as blob:
            sys.stdout.buffer.write(blob.read())
    return int(rule.get("code", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
