"""The embedded runtime: its folder, its processes, and the database from within."""

import os
import shutil
from functools import partial
from pathlib import Path

from djup import ROOT
from djup.checkout import fingerprint
from djup.doctor.checks import port, server
from djup.doctor.finding import Finding, Fix
from djup.host import packages
from djup.host.checkout_lock import one_at_a_time
from djup.postgres import local_server
from djup.problems import Problem, problem
from djup.stack import embedded_services, strays
from djup.stack.causes import web as web_cause
from djup.stack.stack import Stack

ACCEPTS = "ready to accept connections"  # PostgreSQL's words, once it does


def check(stack: Stack) -> list[Finding]:
    """Everything that can be told without starting anything."""
    settings = stack.settings
    embedded_services.refuse_of_another()
    if not packages.is_installed("embedded") and not embedded_services.lost(settings):
        return [Finding("server", "inv up will install it", known=False), port.check(settings)]
    running = embedded_services.processes(settings)
    if lost := embedded_services.lost(settings):
        return [_lost(", ".join(lost.values()))]
    strays.refuse_moved_away(embedded_services.data_home(), embedded_services.DB)
    return [
        *(_folder() if settings.has_own_database else ()),
        *(_service(stack, name, running) for name in running),
        _port(stack, running["web"]),
        *_stack(stack, running),
        *(server.check(stack) if running.get("db") and not _full_disk() else ()),
    ]


def _lost(words: str) -> Finding:
    cause = problem("EMB08", processes=words)
    return Finding("processes", f"{words} running, but no longer tracked", cause)


def _folder() -> list[Finding]:
    home = embedded_services.data_home()
    if os.geteuid() == 0 and home.exists() and home.stat().st_uid == ROOT.stat().st_uid != 0:
        return [Finding("data", f"in {home}, which root cannot check")]
    local_server.check_folder(embedded_services.our_server())
    if not home.exists():
        return [Finding("data", "inv up will create them", known=False)]
    return [Finding("data", f"in {home}"), _leftovers(home)]


def _leftovers(home: Path) -> Finding:
    left = sorted(home.glob("*/main.part*"))
    if not left:
        return Finding("leftovers", "no incomplete cluster")
    names = [str(path) for path in left]
    fix = Fix(f"rm -r {' '.join(names)}", partial(_remove, left))
    half_made = problem("RUN05", names=", ".join(names))
    return Finding("leftovers", "an incomplete cluster", half_made, fix)


def _remove(folders: list[Path]) -> None:
    with one_at_a_time("doctor --fix"):  # not those of an `inv up` at work
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _service(stack: Stack, name: str, running: dict[str, int | None]) -> Finding:
    pid = running[name]
    process = embedded_services.process_of(name)
    log = process.last_lines(web_cause.LINES)
    if pid is not None:
        return Finding(name, f"running, process {pid}", _full_disk() if name == "db" else None)
    if name == "web" and web_cause.has_failed(log):
        ended = process.log.stat().st_mtime
        return Finding(name, "ended", web_cause.still_holds(stack, log, "ended", ended))
    if name == "db" and running["web"] and (full := local_server.disk_full(log)):
        return Finding(name, "ended", full)
    if any(running.values()):
        return Finding(name, "not running", problem("RUN01", service=name))
    return Finding(name, "not running", known=False)


def _full_disk() -> Problem | None:
    """The problem of a server that ends and starts again, since it has no room for its files."""
    log = embedded_services.DB.last_lines(web_cause.LINES)
    return local_server.disk_full(log.rpartition(ACCEPTS)[2])


def _port(stack: Stack, web: int | None) -> Finding:
    if web and stack.is_served():
        return Finding("port", f"{stack.settings.web_port}, this checkout's")
    return port.check(stack.settings)


def _stack(stack: Stack, running: dict[str, int | None]) -> list[Finding]:
    if not all(running.values()):
        return []
    if fingerprint.is_current(fingerprint.embedded_inputs(stack.settings), {}):
        return [Finding("stack", "matches .env and the packages")]
    return [Finding("stack", "older than its files", problem("RUN04"), edited=True)]
