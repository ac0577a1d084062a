"""An editor attaches to the web and stops at a line, and the toolbar shows on the pages."""

import json
import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import first_port
from dap import Editor, connected
from stacks import Checkout, Make, Runtime, docker, eventually, needs_notes

from djup.host import ports

pytestmark = needs_notes  # views.py of home, as the starter has it
VIEW = "project/home/views.py"
LINE = "    migrations = "


@pytest.fixture(scope="module")
def stack(make: Make, runtime: Runtime) -> Iterator[Checkout]:
    """Up with both: the toolbar by its key, the debugger by --debug."""
    port = ports.free_port(first_port() + 80)
    made = make(runtime, name="debug", DEBUG_TOOLBAR="1", DEBUG_PORT=str(port))
    done = made.inv("up", "--debug")
    assert f"debugpy listens on 127.0.0.1:{port}" in done.stderr
    yield made
    made.inv("up")
    assert ports.port_is_free(port), "without --debug it ends"
    assert made.get()[0] == 200


def port(stack: Checkout) -> int:
    return int(stack.values["DEBUG_PORT"])


def listens(stack: Checkout) -> int:
    """How often the web has said that debugpy listens."""
    return stack.inv("logs", "--service", "web").stdout.count("debugpy listens")


def attached(stack: Checkout, editor: Editor) -> None:
    """Attach, with a breakpoint at the first line of the home page's view."""
    file = stack.root / VIEW
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if LINE in text)
    folder = stack.root / "project"
    remote = "/srv/project" if stack.runtime.name == "docker" else str(folder)
    editor.attach(folder, remote, (file, line))


def stops(stack: Checkout, editor: Editor) -> None:
    """A request stops at the line, where its variables can be seen, and then goes on."""
    answers: list[tuple[int, str]] = []
    request = threading.Thread(target=lambda: answers.append(stack.get()))
    request.start()
    thread, frame = editor.stopped()
    assert frame["name"] == "index" and Path(frame["source"]["path"]) == stack.root / VIEW
    seen = editor.ask("evaluate", expression="request.path", frameId=frame["id"], context="watch")
    assert seen["result"] == "'/'"
    editor.ask("continue", threadId=thread)
    request.join(30)
    assert answers[0][0] == 200


def test_an_editor_stops_at_a_line_and_again_after_a_reload(stack: Checkout) -> None:
    assert stack.get()[0] == 200, "it waits for no one"
    before = listens(stack)
    with connected(port(stack)) as editor:
        attached(stack, editor)
        stops(stack, editor)
        stack.write(VIEW, f"{(stack.root / VIEW).read_text()}\n# edited\n")
        editor.event("terminated")
        editor.send("disconnect")  # as an editor does then
    eventually(lambda: listens(stack) == before + 1, 20, "debugpy listens again")
    eventually(lambda: stack.get()[0] == 200, 20, "the page is served")
    with connected(port(stack)) as editor:
        attached(stack, editor)
        stops(stack, editor)
        editor.ask("disconnect")
    if stack.runtime.name == "docker":
        left = stack.inv("shell", "--", "-c", "ps -o stat,args").stdout
        assert not re.search(r"(?m)^Z", left), left


def test_it_listens_on_the_loopback_interface_alone(stack: Checkout) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it asks for the address of this machine
        address = probe.getsockname()[0]
    with pytest.raises(OSError):
        socket.create_connection((address, port(stack)), 3).close()


def test_the_toolbar_is_on_pages_that_this_machine_asks_for(stack: Checkout) -> None:
    eventually(lambda: "djDebug" in stack.get("notes/")[1], 10, "the toolbar is there")
    script = stack.url + "static/debug_toolbar/js/toolbar.js"
    with urllib.request.urlopen(script, timeout=10) as answer:
        assert answer.status == 200
    assert "W001" not in stack.inv("logs", "--service", "web").stdout


def test_nothing_of_it_is_in_an_image(stack: Checkout) -> None:
    """Nor in the packages of the embedded web: they lie in a folder of their own."""
    code = "import sys; sys.path[:] = [p for p in sys.path if '/debug-' not in p];"
    code += "from importlib.util import find_spec as f; print(f('debugpy'), f('debug_toolbar'))"
    done = stack.inv("shell", "--", "-c", f'python -c "{code}"')
    assert done.stdout.strip() == "None None"
    if stack.runtime.name == "docker":
        mounts = docker("inspect", "--format", "{{json .Mounts}}", f"{stack.project}-web-1").stdout
        [found] = [mount for mount in json.loads(mounts) if mount["Destination"] == "/srv/debug"]
        assert found["Type"] == "bind" and found["RW"] is False
