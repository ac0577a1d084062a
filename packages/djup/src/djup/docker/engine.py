"""The engine that docker commands go to: where it is, what it answers, and why it does not."""

import grp
import os
import pwd
import re
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from djup.docker import endpoint, refusals
from djup.host import process
from djup.problems import Problem, problem
from djup.terminal.task import this_task

ENGINE_SECONDS = 10
DIAGNOSIS_SECONDS = 5
# Of managers that have no leader, or one that is about to be none.
NO_LEADER = ("does not have a leader", "code = DeadlineExceeded", "code = Unavailable")
# Not merely "permission denied": docker says so of its own settings too, when they are root's.
FORBIDDEN = "permission denied while trying to connect"
# Health checks with a start interval came with these; a command line of before knows them not in a
# stack's files.
OLDEST = {"Docker Engine": "25.0", "Docker Compose": "2.20", "The command docker": "25.0"}
VERSIONS = "{{.Client.Version}}\n{{.Server.Version}}\n{{range .Server.Components}}{{.Name}} {{end}}"


def patience() -> float:
    """How many seconds the engine may take to answer: a Swarm whose leader is lost looks for
    another."""
    return 30 if this_task.engine else ENGINE_SECONDS


def as_typed(words: str) -> str:
    """A docker command as it reaches the engine that is deployed to."""
    engine = this_task.engine
    flag = "--host" if "://" in engine else "--context"
    return f"docker {flag} {engine} {words}" if engine else f"docker {words}"


def env_words(pairs: Iterable[str]) -> list[str]:
    """`--env` for each: a name alone, whose value then stays out of argv, or NAME=VALUE."""
    return [word for pair in pairs for word in ("--env", pair)]


def terminal_words() -> list[str]:
    """What has a program in a container read our stdin, and have a terminal if we have one."""
    return ["--interactive", *(["--tty"] if process.on_a_terminal() else [])]


def ask(*arguments: str, seconds: float = ENGINE_SECONDS) -> str:
    """The output of `docker ...`, or the problem that keeps it from answering."""
    result = process.run(["docker", *arguments], timeout=max(seconds, patience()))
    if result.code:
        raise diagnose(" ".join(("docker", *arguments[:2])), result.err)
    return result.out


def diagnose(command: str, reason: str = "") -> Problem:
    """Why a docker command failed: no command, no engine, no Compose, or its own reason."""
    if any(sign in reason for sign in NO_LEADER):
        return problem("DOCKER08")
    version = _version()
    return (
        _unusable_client(version, reason)
        or _unreachable(version)
        or _unfit_parts(version.out)
        or refusals.named(reason)
        or problem("DOCKER05", command=command, reason=_last_line(reason))
    )


def _unusable_client(version: process.Result, reason: str) -> Problem | None:
    """The problem of a command docker that is not there, or that does not fit the engine."""
    if version.code in (126, 127):
        return problem("DOCKER01")
    return _unfit_client(f"{version.err}\n{reason}")


def _unreachable(version: process.Result) -> Problem | None:
    """The problem of an engine that has not told its version; None if it has."""
    if version.code and this_task.engine:
        reason = _last_line(version.err).rpartition("stderr=")[2]
        question = as_typed("version")
        return problem("DOCKER09", where=this_task.engine, question=question, reason=reason)
    if FORBIDDEN in version.err:
        return _forbidden()
    return _silent(version.err) if version.code else None


def _silent(error: str) -> Problem:
    """The problem of an engine that does not answer, by what leads docker to it."""
    chosen_by, host = endpoint.chosen()
    # A context's own socket that is silent means an engine, such as Docker Desktop's, to start.
    if chosen_by and (chosen_by.isupper() or endpoint.is_elsewhere(host) or "://" not in host):
        return elsewhere(chosen_by, host, answers=False)
    return problem("DOCKER02", reason=_last_line(error))


def _unfit_parts(versions: str) -> Problem | None:
    """The problem, if Compose is missing or a part is unfit; `versions` as `unfit` has them."""
    compose = process.run(["docker", "compose", "version", "--short"])
    return problem("DOCKER04") if compose.code else unfit(versions, compose.out)


def unfit(told: str, compose: str = "") -> Problem | None:
    """The problem, if the engine is not Docker's, or a part is too old; `told` is what docker
    answers to VERSIONS."""
    client, engine, parts = [*told.splitlines(), "", "", ""][:3]
    if "Podman" in parts:
        if by := endpoint.chosen()[0]:
            return problem("DOCKER12.chosen", version=engine, chosen_by=by, unset=_unset(by))
        return problem("DOCKER12", version=engine)
    versions = {"Docker Engine": engine, "Docker Compose": compose, "The command docker": client}
    for part, version in versions.items():
        if is_too_old(version, OLDEST[part]):
            return problem("DOCKER06", part=part, version=version.strip(), needed=OLDEST[part])
    return None


def refuse_unfit() -> None:
    """Raise if the engine is not Docker's, or a part is too old; one that is silent is left to the
    next command."""
    told = _version()
    cause = _unfit_client(told.err) if told.code else unfit(told.out)
    if cause:
        raise cause


def _unfit_client(error: str) -> Problem | None:
    """Give the problem of a command docker that is Podman's, or too old for the engine."""
    if refusals.CLIENT_REFUSED in error:
        client = process.run(["docker", "version", "--format", "{{.Client.Version}}"]).out.strip()
        part = "The command docker"
        return problem("DOCKER06", part=part, version=client or "older", needed=OLDEST[part])
    if "can't evaluate field" in error:
        told = process.run(["docker", "--version"]).out.strip()
        if "podman" in told.lower():
            return problem("DOCKER12", version=told.split()[-1])
    return None


def obstacle() -> Problem | None:
    """What keeps us from an engine that is there; None where there is none, or it can be used."""
    engine = _version()
    if FORBIDDEN in engine.err:
        return _forbidden()
    composes = engine.code or not process.run(["docker", "compose", "version", "--short"]).code
    return None if composes else problem("DOCKER04")


def _forbidden() -> Problem:
    """Who may use the engine's socket, and what lets us in."""
    chosen_by, host = endpoint.chosen()
    socket = host.removeprefix("unix://") or endpoint.SOCKET
    try:
        socket_stat = Path(socket).stat()
    except OSError:  # in a folder that is closed to us
        socket_stat = None
    if socket_stat is None or (chosen_by and socket_stat.st_uid):
        return problem("DOCKER10", socket=socket, chosen_by=chosen_by, unset=_unset(chosen_by))
    group, members = _group(socket_stat.st_gid) if socket_stat.st_mode & stat.S_IWGRP else ("", [])
    if not group:
        return problem("DOCKER03.root", socket=socket, quoted=shlex.quote(socket))
    if _user() in members:
        return problem("DOCKER03.member", socket=socket, group=group)
    return problem("DOCKER03", socket=socket, group=group)


def elsewhere(chosen_by: str, host: str, *, answers: bool = True) -> Problem:
    """The problem that docker is led to an engine that is not this machine's."""
    back = _unset(chosen_by)
    if answers:
        return problem("DOCKER07", host=host, chosen_by=chosen_by, unset=back)
    return problem("DOCKER07.silent", host=host, chosen_by=chosen_by, unset=back)


def _unset(chosen_by: str) -> str:
    """What leads docker back to the usual engine."""
    return f"unset {chosen_by}" if chosen_by.isupper() else "docker context use default"


def _group(number: int) -> tuple[str, list[str]]:
    """The name and the members of a group; none of root's, or of one that has no name."""
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return "", []
    return (group.gr_name, group.gr_mem) if number else ("", [])


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without a name
        return ""


def _version() -> process.Result:
    """What docker says of the versions. Over ssh, it at times tells of its own broken pipe alone,
    and not what ssh has said: then it is asked again."""
    question = ["docker", "version", "--format", VERSIONS]
    for _ in range(5):
        answer = process.run(question, timeout=DIAGNOSIS_SECONDS)
        if "broken pipe" not in answer.err:
            break
    return answer


def answers(seconds: float = ENGINE_SECONDS) -> bool:
    """Whether there is an engine with Compose; one that is silent for `seconds` is none."""
    return not any(
        process.run(["docker", *question], timeout=seconds).code
        for question in (("version",), ("compose", "version"))
    )


def is_too_old(version: str, oldest: str) -> bool:
    """Whether the first two numbers of `version`, if it has any, are lower than `oldest`'s."""
    ours, least = ([int(n) for n in re.findall(r"\d+", v)[:2]] for v in (version, oldest))
    return bool(ours) and ours < least


def _last_line(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "no reason given")
