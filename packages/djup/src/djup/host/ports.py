"""TCP ports of this machine's loopback interface: which are free, and who has one that is not."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from djup import ROOT, is_checkout
from djup.host import process
from djup.problems import Problem, problem

if TYPE_CHECKING:
    from psutil import Process

ENGINE_SECONDS = 3
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# How the command line of the web's process begins; the second is from versions before djup_web.
SUPERVISORS = (["-m", "djup_web.supervise"], ["supervise.py"])
WEBS = {*SUPERVISORS[0], *SUPERVISORS[1], "manage.py"} - {"-m"}
# Listeners on these keep 127.0.0.1 from us; those on another interface's address do not.
IN_OUR_WAY = ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1")
FIELDS = '{{.Names}}\t{{.Label "com.docker.compose.project.working_dir"}}'


def free_port(first: int) -> int:
    """The first port from `first` on that nothing on the loopback interface listens on."""
    return next(port for port in range(first, 65536) if port_is_free(port))


def refuse_taken(port: int) -> None:
    """Raise, with who has it and what to type, unless `port` is free."""
    if not port_is_free(port):
        raise taken(port)


def taken(port: int) -> Problem:
    """The problem of a port that is not free."""
    by = holder(port)
    if by.end:
        return problem("NET01.ours", port=port, holder=by.words, end=by.end)
    return problem("NET01", port=port, holder=by.words, free=free_port(port))


def port_is_free(port: int) -> bool:
    """Whether 127.0.0.1:`port` could be listened on now."""
    with socket.socket() as probe:
        # As servers do: a connection of before that the kernel still remembers is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:  # below 1024: whether Docker may, only a try can tell
            return True
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Holder:
    """Who listens on a port, in words that fit "port 8000 is taken by ...".

    `end` is the command that ends it, if it is something of this checkout's that was lost sight of.
    """

    words: str
    end: str = ""


def holder(port: int) -> Holder:
    """Who listens on `port`."""
    # The engine first: to the kernel, a container's port belongs to a process of root's.
    return _container(port) or _program(port) or Holder("a program of another user")


def _container(port: int) -> Holder | None:
    argv = ["docker", "ps", "--filter", f"publish={port}", "--format", FIELDS]
    listed = process.run(argv, timeout=ENGINE_SECONDS).out.splitlines()
    if not listed:
        return None
    name, _, folder = listed[0].partition("\t")
    # Compose's working folder is the one of its files, compose/.
    root = Path(folder).resolve().parent if folder else None
    if root == ROOT:
        end = f"docker rm --force {name}"
        return Holder(f"this checkout itself, under another name (container {name})", end)
    known = root and is_checkout(root)
    return Holder(f"the checkout at {root}" if known else f"the container {name}")


def _program(port: int) -> Holder | None:
    import psutil  # slow to import, and seldom needed

    with suppress(psutil.Error):  # it has ended meanwhile
        for program in psutil.process_iter():  # by number: a parent before its children
            if any(_blocks(address, port) for address in _listening(program)):
                return _described(program)
    return None


def _blocks(address: tuple[str, int], port: int) -> bool:
    return address[0] in IN_OUR_WAY and address[1] == port


def _listening(program: "Process") -> Iterator[tuple[str, int]]:
    """The addresses that a process listens on; none for one that we may not look into."""
    import psutil

    # One process at a time: macOS shows the connections of all at once to root alone.
    with suppress(psutil.Error):
        for connection in program.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip, connection.laddr.port


def _described(program: "Process") -> Holder:
    who = f"process {program.pid}"
    folder = _folder(program)
    serves = not WEBS.isdisjoint(Path(word).name for word in program.cmdline())
    for root in (folder, folder.parent) if folder else ():  # a web runs in project/
        if root == ROOT and not serves:
            return Holder(f"{who} ({program.name()}), which was started in this folder")
        if root == ROOT:
            return Holder(f"this checkout itself ({who})", f"kill {_supervisor(program)}")
        if is_checkout(root):
            return Holder(f"the checkout at {root} ({who})")
    return Holder(f"{who} ({program.name()})")


def _supervisor(program: "Process") -> int:
    """The number of the process that would start `program` again, else its own."""
    parent = program.parent()
    return parent.pid if parent and is_supervisor(parent.cmdline()) else program.pid


def is_supervisor(argv: Sequence[str]) -> bool:
    """Whether a command line is that of the process that keeps the development server running."""
    return any(list(argv[1 : 1 + len(words)]) == words for words in SUPERVISORS)


def _folder(program: "Process") -> Path | None:
    import psutil

    with suppress(psutil.AccessDenied):
        if folder := program.cwd():  # empty for a process that is ending
            return Path(folder)
    return None
