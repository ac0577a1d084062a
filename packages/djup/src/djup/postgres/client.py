"""PostgreSQL's own programs beside a server: pg_dump, pg_restore and psql of its version."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from djup.docker import engine
from djup.host import process
from djup.host.process import Result
from djup.host.uploads import Uploads
from djup.postgres import local_server
from djup.problems import Problem, problem

SCRIPT = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1")
# The database from which others are made, renamed and dropped; where that is the project's own, the
# one that every server has besides.
MAINTENANCE, OTHER_MAINTENANCE = "postgres", "template1"
STAGING = "/tmp/inv-restore"  # within a container
END = "-- end --"
# What a server says that starts, ends or recovers (cannot_connect_now, SQLSTATE 57P03).
STARTS = "the database system is "
OLDEST = 15  # psql has \\getenv from then on
NAMES_COMPRESSION = 16  # pg_dump --compress=METHOD
Feed = Callable[[IO[bytes]], object]
# For who fills a database that nobody uses yet: it loses nothing by commits that reach the disk
# later, since the commit that puts it in its place, in another session, waits for all before it.
LOADING = "-c synchronous_commit=off -c maintenance_work_mem=256MB"


@dataclass(frozen=True)
class Client:
    """Where the programs run, and the libpq variables that lead them to the database as SQL_USER.

    `project` is whose database it is: a checkout's, or a stack's of production. `container` is ''
    where they run on this machine, from `folder` or, where that is '', from PATH. `data` is the
    server's folder, as it is seen from there; '' if it is on another machine. `compression` is what
    its pg_dump does best, as bench/ has measured it. `version` is the major one of the programs
    where they may not be of the server's; else 0. `uploads` are the files that belong to the rows,
    None where the tasks know of none.
    """

    project: str
    container: str
    folder: str
    variables: Mapping[str, str] = field(repr=False)
    data: str
    compression: str
    version: int = 0
    uploads: Uploads | None = None

    @property
    def database(self) -> str:
        """The project's own."""
        return self.variables["PGDATABASE"]

    @property
    def maintenance(self) -> str:
        """From where databases are made, renamed and dropped: not from within the project's own."""
        return OTHER_MAINTENANCE if self.database == MAINTENANCE else MAINTENANCE

    def command(
        self, program: str, *arguments: str, values: Mapping[str, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The argv of a program and its environment, with these variables besides our own."""
        given = {**self.variables, **(values or {})}
        if not self.container:
            ours = Path(self.folder, program)
            path = str(ours) if self.folder and ours.exists() else program
            return [path, *arguments], {**local_server.clean_environment(), **given}
        names = engine.env_words(given)
        argv = ["docker", "exec", "--interactive", *names, self.container, program, *arguments]
        return argv, {**os.environ, **given}

    def run(self, program: str, *arguments: str) -> Result:
        """Ask a program, captured."""
        argv, env = self.command(program, *arguments)
        return process.run(argv, env=env)

    def script(self, text: str, database: str = "", **values: str) -> Result:
        """Run a psql script; it finds `values` by \\getenv."""
        where = {"PGDATABASE": database or self.maintenance}
        argv, env = self.command("psql", *SCRIPT, values={**values, **where})
        return process.run(argv, env=env, stdin=text)

    def ask(self, text: str, database: str = "", **values: str) -> str:
        """What a psql script prints, or the problem that it ends with."""
        done = self.script(text, database, **values)
        if done.code:
            raise rejected(last_error(done.err))
        return done.out.strip()

    def receive(
        self, take: Callable[[bytes], object], program: str, *arguments: str, database: str = ""
    ) -> Result:
        """Run a program on `database`, with its output streamed to `take`."""
        values = {"PGDATABASE": database or self.database}
        argv, env = self.command(program, *arguments, values=values)
        return process.receive(argv, take, env=env)

    def send(self, feed: Feed, program: str, *arguments: str) -> Result:
        """Run a program, with what `feed` writes on its stdin."""
        argv, env = self.command(program, *arguments)
        return process.send(argv, feed, env=env)

    def load(self, feed: Feed, program: str, *arguments: str, database: str) -> Result:
        """Send to a program that fills a new `database`; its result."""
        values = {"PGDATABASE": database}
        if self.data:  # a pooler before a server elsewhere may take no options
            values["PGOPTIONS"] = LOADING
        argv, env = self.command(program, *arguments, values=values)
        return process.send(argv, feed, env=env)

    def of_its_version(self) -> "Client":
        """The same, with the version of its programs, and a compression that their pg_dump knows;
        a problem where they are too old for the tasks."""
        version = self.program_version()
        if version < OLDEST:
            raise self._too_old(version, f"{OLDEST} is needed", OLDEST)
        compression = self.compression if version >= NAMES_COMPRESSION else "6"
        return replace(self, version=version, compression=compression)

    def program_version(self) -> int:
        """The major version of pg_dump."""
        told = self.run("pg_dump", "--version")
        match = re.search(r"\) (\d+)", told.out)
        if not match:
            raise problem("DB10", reason=last_error(told.err))
        return int(match[1])

    def server_version(self) -> int:
        """The major version of the server."""
        return int(self.ask("SHOW server_version_num", self.database)) // 10_000

    def refuse_newer_server(self) -> None:
        """Raise where the server is newer than pg_dump, which then dumps nothing."""
        if self.version and (theirs := self.server_version()) > self.version:
            raise self._too_old(self.version, f"the server is {theirs}", theirs)

    def _too_old(self, version: int, why: str, needed: int) -> Problem:
        if self.container:
            needed = max(needed, 17)
            return problem("DB19.container", version=version, why=why, needed=needed)
        return problem("DB19", version=version, why=why, needed=needed)

    @contextmanager
    def session(self, database: str = "") -> Iterator["PsqlSession"]:
        """A psql that stays, for questions within one transaction."""
        values = {"PGDATABASE": database or self.database}
        argv, env = self.command("psql", *SCRIPT, values=values)
        with process.talk(argv, env=env) as (stdin, stdout, ended):
            yield PsqlSession(stdin, stdout, ended)

    @contextmanager
    def staged(self, feed: Feed, unpack: bool) -> Iterator[str]:
        """What `feed` writes, as a file where the programs run; removed after.

        To `unpack` it as a tar archive makes a folder of it.
        """
        if not self.container:
            with tempfile.TemporaryDirectory() as folder:
                with (copy := Path(folder, "dump")).open("wb") as file:
                    feed(file)
                yield str(copy)
            return
        copy = Path(f"{STAGING}.{os.getpid()}")
        make = 'mkdir "$0" && tar -xf - -C "$0"' if unpack else 'cat >"$0"'
        # What a killed task has left goes first; one task at a time works on a database.
        done = self.send(feed, "sh", "-c", f"rm -rf {STAGING}.*; {make}", str(copy))
        try:
            if done.code:
                raise rejected(last_error(done.err))
            yield str(copy)
        finally:
            self.run("rm", "-rf", str(copy))


class PsqlSession:
    """A conversation with psql: scripts are begun, and answered in their order."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], ended: Callable[[], Result]) -> None:
        self.stdin, self.stdout, self.ended = stdin, stdout, ended

    def begin(self, script: str) -> None:
        """Have psql work on a script, and do not wait for it."""
        with suppress(BrokenPipeError):  # psql has ended; the answer says why
            self.stdin.write(f"{script}\n\\echo {END}\n".encode())
            self.stdin.flush()

    def answer(self) -> list[str]:
        """The lines that the first script without an answer has printed."""
        lines: list[str] = []
        for line in self.stdout:
            text = line.decode().rstrip("\n")
            if text == END:
                return lines
            lines.append(text)
        raise rejected(last_error(self.ended().err))

    def ask(self, script: str) -> list[str]:
        """Run a script in the session, and give the lines that it prints."""
        self.begin(script)
        return self.answer()


def named(database: str) -> str:
    """`--dbname` of a database; a name that libpq would take for a list of settings is one."""
    if "=" not in database and "://" not in database:
        return f"--dbname={database}"
    quoted = database.replace("\\", r"\\").replace("'", r"\'")
    return f"--dbname=dbname='{quoted}'"


def rejected(reason: str) -> Problem:
    """Give the problem that a database answers with `reason` instead of letting us in."""
    return problem("DB22" if STARTS in reason else "DB10", reason=reason)


def last_error(text: str) -> str:
    """Of what a program wrote on stderr, the error that ended it, which others may follow."""
    lines = [line for line in text.splitlines() if "rror:" in line or "ERROR:" in line]
    lines = lines or text.strip().splitlines()[-1:] or ["it gave no reason"]
    return lines[0].strip()
