"""One-off services: they have what the stack's web has, and end by themselves."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.swarm.objects import KIND, STACK
from djup.deploy.swarm.release import CA, WAY, Release
from djup.docker import engine
from djup.docker.data_volume import DATA
from djup.host import process
from djup.host.uploads import MEDIA
from djup.problems import problem
from djup.terminal import console

USER = "10001:10001"
SECRETS = ("secret_key", "sql_password", "settings")
ENDED = ("complete", "failed", "rejected", "shutdown", "orphaned", "remove")
FETCH, MAINTENANCE = "fetch", "maintenance"
ON_NODES = (FETCH, MAINTENANCE)  # those that each of several nodes has to do
EVERYWHERE = ("--mode", "global-job", "--restart-condition", "none", "--with-registry-auth")
WAITING, WAIT_SECONDS = ("new", "pending"), 60
PLAIN = ("SQL_ENGINE", "SQL_DATABASE", "SQL_USER")
JOB = "job"
POLL_SECONDS = 0.3
# An engine says so at times of what it has only just mounted. Nothing has begun then, and a moment
# later it can start the container.
BUSY, STARTS = "device or resource busy", 3


@dataclass(frozen=True)
class Outcome:
    """How a job ended: whether well, what it wrote, and what Swarm says of a task that failed."""

    good: bool
    said: str
    error: str


def run(release: Release, name: str, command: Sequence[str]) -> Outcome:
    """Run a command once, in the web's image, on whatever node."""
    for _ in range(STARTS):
        outcome = _run(release, f"{release.stack}_job_{name}", command)
        if BUSY not in outcome.error:
            break
    return outcome


def _run(release: Release, service: str, command: Sequence[str]) -> Outcome:
    with removed(service):
        create(release, service, JOB, release.image, ["--mode", "replicated-job"], command)
        return outcome(service)


def fetch(release: Release, image: str) -> Outcome:
    """Have every node fetch an image: what cannot be had is known before anything is stopped."""
    service = f"{release.stack}_job_{FETCH}"
    with removed(service):
        _create(release.stack, service, JOB, [*EVERYWHERE, "--entrypoint", "true", image])
        return outcome(service)


def on_each_proxy(release: Release, label: str, command: Sequence[str]) -> Outcome:
    """Run a command in the web's image on each node of a label, with the volume that the proxy
    reads: as root, since whoever made it first there owns it."""
    service = f"{release.stack}_job_{MAINTENANCE}"
    volume = f"type=volume,source={release.stack}_static,target=/srv/static"
    words = [
        *("--constraint", f"node.labels.{label} == true", "--mount", volume),
        *("--user", "0:0", "--cap-drop", "ALL", "--cap-add", "DAC_OVERRIDE"),
        *("--read-only", "--no-healthcheck", "--entrypoint", ""),
    ]
    with removed(service):
        argv = [*EVERYWHERE, *words, release.image, *command]
        _create(release.stack, service, JOB, argv)
        return outcome(service)


def in_volume(release: Release, name: str, words: Sequence[str]) -> Outcome:
    """Run a program once on the data of the database, as root: `words` are further flags, the image
    and the arguments. On the node that has them, unless a flag says which."""
    # A name of its own: who only looks does so beside a deploy, and beside what a killed task left.
    service = f"{release.stack}_job_{name}_{token_hex(4)}"
    fixed = ("--mode", "replicated-job", "--restart-condition", "none", "--with-registry-auth")
    # FOWNER: the image has its folder as one where nobody removes what is another's.
    given = ("CHOWN", "DAC_OVERRIDE", "FOWNER")
    rights = ("--cap-drop", "ALL", *(word for right in given for word in ("--cap-add", right)))
    with removed(service):
        argv = [*fixed, *rights, "--read-only", "--no-healthcheck", *data(release), *words]
        _create(release.stack, service, JOB, argv)
        return outcome(service)


def data(release: Release) -> list[str]:
    """Flags for the volume of the database; and for that which the image of version 17 declares in
    it, which would be an anonymous one."""
    volume = f"type=volume,source={release.stack}_postgres_data,target={DATA}"
    return ["--mount", volume, "--mount", f"type=tmpfs,target={DATA}/data"]


def finish_left(stack: str) -> None:
    """Wait for what a killed deploy has left at work: a migration is not to be done behind the back
    of who looks at the database now."""
    for service in names(stack, JOB):
        if not service.endswith(ON_NODES):
            console.say(f"waiting for {service}, which a killed deploy started ...")
            _wait(service)
        _remove(service)


def create(
    release: Release,
    name: str,
    role: str,
    image: str,
    flags: Sequence[str],
    command: Sequence[str],
    *,
    temporary: str = "tmpfs",
    further: Sequence[str] = (),
) -> None:
    """Make such a service: the web's environment and secrets, its rights, its networks. What is
    temporary lies in memory (tmpfs), or on disk (volume). `further` secrets are other services'."""
    words = [
        *_access_of_web(release, (*SECRETS, *further)),
        *("--read-only", "--cap-drop", "ALL", "--mount", f"type={temporary},target=/tmp"),
        *("--user", USER, "--no-healthcheck", "--restart-condition", "none"),
        *("--with-registry-auth", "--stop-grace-period", "1s"),
        *(_uploads(release) if image == release.image else ()),
    ]
    _create(release.stack, name, role, [*flags, *words, image, *command])


def create_server(release: Release, name: str, role: str, words: Sequence[str]) -> None:
    """Make a service that others of the stack's network can ask by its name; `words` are its flags,
    image and arguments. It has what it takes to hand its volume over, and run as somebody else."""
    fixed = (
        *("--network", f"{release.stack}_back", "--endpoint-mode", "dnsrr"),
        *("--read-only", "--cap-drop", "ALL", "--mount", "type=volume,target=/tmp"),
        *("--cap-add", "CHOWN", "--cap-add", "SETUID", "--cap-add", "SETGID"),
        *("--restart-condition", "none", "--with-registry-auth", "--stop-grace-period", "5s"),
    )
    _create(release.stack, name, role, [*fixed, *words])


def _access_of_web(release: Release, named: Sequence[str]) -> list[str]:
    """Flags for these secrets, and for the web's environment and networks."""
    secrets = [_secret(release, secret) for secret in named]
    return [
        *(word for secret in secrets for word in ("--secret", secret)),
        *("--config", f"source={release.values['CA_CONFIG']},target={CA}"),
        *engine.env_words(map("=".join, environment(release).items())),
        *("--network", f"{release.stack}_front", "--network", f"{release.stack}_back"),
    ]


def _uploads(release: Release) -> list[str]:
    """Flags for the volume of the uploads, which releases of earlier versions do not have."""
    values = release.values
    if not (volume := values.get("MEDIA_VOLUME")):
        return []
    words = ["type=volume", f"source={volume}", f"target={MEDIA}"]
    if options := values.get("MEDIA_NFS_OPTIONS"):
        share = ("type=nfs", f"device={values['MEDIA_NFS_DEVICE']}", f"o={options}")
        words += ["volume-driver=local", *(f'"volume-opt={option}"' for option in share)]
    return ["--mount", ",".join(words), *engine.env_words([f"MEDIA_ROOT={values['MEDIA_ROOT']}"])]


def environment(release: Release) -> dict[str, str]:
    """The web's, straight to the database."""
    values = release.values
    files = {
        "SECRET_KEY_FILE": "/run/secrets/secret_key",
        "SQL_PASSWORD_FILE": "/run/secrets/sql_password",
        "SETTINGS_FILE": "/run/secrets/settings",
    }
    database = {f"SQL_{key}": values[f"DATABASE_{key}"] for key in WAY}
    debug = values.get("DEBUG", "0")  # releases of earlier versions have none
    fixed = {"DEBUG": debug, "HTTPS": "1", "ALLOWED_HOSTS": values["ALLOWED_HOSTS"]}
    database["SQL_REPLICA_HOST"] = values.get("SQL_REPLICA_HOST", "")
    reported = {"WEB_IMAGE": release.image, "STACK": release.stack}  # with an error
    return {**fixed, **files, **database, **reported, **{key: values[key] for key in PLAIN}}


def names(stack: str, role: str = "") -> list[str]:
    """List the one-off services of a stack, all of them or those in one role."""
    labels = [f"label={STACK}={stack}", *([f"label={KIND}={role}"] if role else [])]
    flags = [word for label in labels for word in ("--filter", label)]
    return engine.ask("service", "ls", *flags, "--format", "{{.Name}}").split()


def _secret(release: Release, name: str) -> str:
    full = release.values[f"{name.upper()}_SECRET"]
    return f"source={full},target={name},uid=10001,gid=10001,mode=0400"


def _create(stack: str, name: str, role: str, words: Sequence[str]) -> None:
    labels = ["--label", f"{STACK}={stack}", "--label", f"{KIND}={role}"]
    argv = ["docker", "service", "create", "--detach", "--quiet", "--name", name, *labels, *words]
    done = process.run(argv)
    if done.code:
        raise problem("DEP24", command="docker service create", reason=done.err.strip())


@contextmanager
def removed(service: str) -> Iterator[None]:
    """In the end it is, also where it was only just made: it is not to go on behind our back."""
    try:
        yield
    finally:
        _remove(service)


def started(service: str) -> Outcome:
    """Wait until a server answers, which is good; or has ended, or finds no node for a while."""
    begun = time.monotonic()
    while True:
        found = swarm.patiently(lambda: tasks(service))
        if any(state == "running" for state, _ in found):
            return Outcome(good=True, said="", error="")
        if ended := [error for state, error in found if state in ENDED]:
            said = last_lines(swarm_stack.logs(service))
            return Outcome(good=False, said=said, error=ended[0])
        waits = [error for state, error in found if state in WAITING]
        if len(waits) == len(found) and time.monotonic() - begun > WAIT_SECONDS:
            error = "".join(waits[:1]) or "no node accepts it"
            return Outcome(good=False, said="", error=error)
        time.sleep(POLL_SECONDS)


def outcome(service: str) -> Outcome:
    """Wait until a job, or a server that ends by itself, has ended: how."""
    errors = _wait(service)
    return Outcome(not errors, swarm_stack.logs(service), "; ".join(dict.fromkeys(errors)))


def _wait(service: str) -> list[str]:
    """Until each of its tasks has ended, or none finds a node for a while; what Swarm says of those
    that failed. A migration may take as long as it takes."""
    begun = time.monotonic()
    while True:
        found = swarm.patiently(lambda: tasks(service))
        if found and all(state in ENDED for state, _ in found):
            return [error or state for state, error in found if state != "complete"]
        waits = [error or "no node accepts it" for state, error in found if state in WAITING]
        if len(waits) == len(found) and time.monotonic() - begun > WAIT_SECONDS:
            return waits or ["no node accepts it"]
        time.sleep(POLL_SECONDS)


def tasks(service: str) -> list[tuple[str, str]]:
    """State and error of each; of a job that is done that task alone which did it, since Swarm may
    have tried again where another had failed."""
    listed = engine.ask("service", "ps", "--no-trunc", "--format", "{{json .}}", service)
    found = [json.loads(line) for line in listed.splitlines()]
    completed = [task for task in found if task["CurrentState"].startswith("Complete")]
    if completed and not service.endswith(ON_NODES):
        found = completed
    return [
        (
            task["CurrentState"].split()[0].lower(),
            "{}: {}".format(task["Node"], task["Error"].strip('"')) if task["Error"] else "",
        )
        for task in found
    ]


def _remove(service: str) -> None:
    process.clean_up(["docker", "service", "rm", service])


def remove_left(stack: str) -> None:
    """Remove whatever a killed task has left, jobs and tools: they hold the stack's networks."""
    for name in names(stack):
        _remove(name)


def last_lines(said: str) -> str:
    """The end of what a job wrote."""
    return "\n".join(said.splitlines()[-20:])
