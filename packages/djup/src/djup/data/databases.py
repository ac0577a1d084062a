"""Databases of one server, beside the project's own: made, put in its place by rename, dropped.

Such a database is called DATABASE@NAME, and a comment on it says what it is. One that is not
finished is DATABASE@part-PROJECT: never shown, and dropped by the next task.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from djup.host.process import Result
from djup.postgres.client import MAINTENANCE, OTHER_MAINTENANCE, Client, last_error, rejected
from djup.postgres.contents import ANY_TABLE
from djup.postgres.roles import TAKE_BACK
from djup.problems import Problem, problem
from djup.stack.stack import Stack

LONGEST = 59  # bytes of a name: PostgreSQL takes 63, and ~99 has to fit as well
TRIES = 5
IN_USE = "55006"
OLDER = re.compile(r"~\d{1,4}$")

NAMES = r"""
\set VERBOSITY verbose
\getenv live LIVE
\getenv source SOURCE
\getenv part PART
\getenv final FINAL
\getenv note NOTE
"""
# A new connection waits for the lock that the next statement takes, so that none comes between.
ALONE = r"""
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname IN (:'{0}', :'{1}') AND pid <> pg_backend_pid() \g /dev/null
"""
LIST = r"""
\getenv stem STEM
SELECT json_build_object('database', datname, 'bytes', pg_database_size(oid),
                         'note', shobj_description(oid, 'pg_database'))
FROM pg_database WHERE starts_with(datname, :'stem') ORDER BY oid;
"""
OTHERS = r"""
\getenv live LIVE
\getenv part PART
SELECT datname FROM pg_database
WHERE NOT datistemplate AND datallowconn AND datname NOT IN (:'live', 'postgres')
  AND NOT starts_with(datname, :'live' || '@part-') AND datname <> :'part';
"""
# With whatever a killed task has left at work, and the roles that it was lent: one task at a time
# works on a database, so other sessions of our name are of none.
DROP_PART = rf"""
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
  AND application_name LIKE 'inv %' \g /dev/null
\getenv part PART
SELECT format('DROP DATABASE %I WITH (FORCE)', datname)
FROM pg_database WHERE datname = :'part' \gexec
{TAKE_BACK}"""
NEW = rf"""{DROP_PART}{NAMES}
CREATE DATABASE :"part" TEMPLATE template0;
"""
# Before PostgreSQL 15 there is this way alone, and no word for it.
COPY = rf"""{DROP_PART}{NAMES}{ALONE.format("source", "source")}
SELECT format('CREATE DATABASE %I TEMPLATE %I %s', :'part', :'source',
  CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'STRATEGY file_copy' END)
\gexec
"""
# The last one of a name has it; those before get ~1, ~2 and so on.
NAME_IT = rf"""{NAMES}
SELECT format('%s~%s', :'final', 1 + coalesce(max(number::int), 0)) AS older
FROM pg_database, substr(datname, length(:'final') + 2) AS number
WHERE starts_with(datname, :'final' || '~') AND number ~ '^\d{{1,4}}$' \gset
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', :'final', :'older') FROM pg_database
WHERE datname = :'final' \gexec
SELECT format('COMMENT ON DATABASE %I IS %L', :'older', jsonb_set(note::jsonb, '{{name}}',
  to_jsonb((note::jsonb ->> 'name') || substr(:'older', 1 + length(:'final')))))
FROM pg_database, shobj_description(oid, 'pg_database') AS note WHERE datname = :'older' \gexec
COMMENT ON DATABASE :"part" IS :'note';
ALTER DATABASE :"part" RENAME TO :"final";
COMMIT;
"""
# All in one question: to ask costs more than the copy of a small database.
MIGRATIONS = r"""
SELECT to_regclass('django_migrations') IS NOT NULL AS migrated \gset
\set migrations []
\if :migrated
SELECT json_agg(app || '.' || name ORDER BY id) AS migrations FROM django_migrations \gset
\endif
\getenv note NOTE
SELECT jsonb_set(:'note'::jsonb, '{migrations}', :'migrations'::jsonb) AS note \gset
\setenv NOTE :note
"""
# Settings and grants belong to the database itself: no dump and no copy has them.
CARRY_OVER = r"""
SELECT format('ALTER %s DATABASE %I SET %I = %s',
    CASE WHEN setrole = 0 THEN '' ELSE format('ROLE %I IN', setrole::regrole::text) END,
    :'part', key, CASE WHEN key IN ('search_path', 'temp_tablespaces', 'session_preload_libraries',
      'local_preload_libraries') THEN value ELSE quote_literal(value) END)
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) AS pair,
  split_part(pair, '=', 1) AS key, substr(pair, strpos(pair, '=') + 1) AS value
WHERE datname = :'live' \gexec
SELECT format('GRANT %s ON DATABASE %I TO %s', privilege_type, :'part',
  CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
FROM pg_database, aclexplode(datacl) WHERE datname = :'live' \gexec
"""
SWAP = rf"""{NAMES}{CARRY_OVER}{ALONE.format("live", "part")}
BEGIN;
SELECT EXISTS (SELECT FROM pg_database WHERE datname = :'live') AS there \gset
\if :there
ALTER DATABASE :"live" RENAME TO :"final";
COMMENT ON DATABASE :"final" IS :'note';
\endif
ALTER DATABASE :"part" RENAME TO :"live";
COMMENT ON DATABASE :"live" IS NULL;
COMMIT;
"""
DROP = r"""
\getenv final FINAL
DROP DATABASE :"final" WITH (FORCE);
"""


@dataclass(frozen=True)
class Note:
    """The comment on such a database: its name for people, why it is there, when it was made
    (ISO 8601), the migrations that it has, and under which token its uploads are kept."""

    name: str
    why: str
    at: str
    migrations: list[str]
    files: str = ""


@dataclass(frozen=True)
class Beside:
    """A database beside the project's own, its size in bytes and its note."""

    database: str
    bytes: int
    note: Note

    @property
    def name(self) -> str:
        """The name that its note has."""
        return self.note.name


def has_data(stack: Stack) -> bool:
    """Whether there is a server with data to ask; the stack's own may not be made yet."""
    return not stack.settings.has_own_database or stack.has_data()


def refuse_without_data(stack: Stack) -> None:
    """Raise before a task would make a server only to find it empty."""
    if not has_data(stack):
        raise problem("RUN01", service="db")


def beside(client: Client) -> list[Beside]:
    """List the finished databases beside the project's own, the newest first."""
    live = client.database
    lines = client.ask(LIST, STEM=_stem(live)).splitlines()
    noted = [_beside(json.loads(line)) for line in lines]
    return [other for other in reversed(noted) if other and _belongs(other, live)]


def besides(client: Client) -> list[Beside]:
    """List them and whatever else the server holds; one without a note is named by its database."""
    known = beside(client)
    mine = {other.database for other in known}
    part = part_of(client)
    lines = client.ask(OTHERS, LIVE=client.database, PART=part).splitlines()
    names = [*lines, *_of_every_server(client)]
    others = [Beside(name, 0, Note(name, "", "", [])) for name in names if name not in mine]
    return [*known, *others]


def _of_every_server(client: Client) -> list[str]:
    """Those that every server has, where they hold rows: the project's own may have been such a
    one before."""
    names = {MAINTENANCE, OTHER_MAINTENANCE} - {client.database}
    return sorted(name for name in names if client.ask(ANY_TABLE, name) == "t")


def _stem(live: str) -> str:
    """What the name of each database beside begins with."""
    whole = f"{live}@".encode()
    return whole[: LONGEST - 9].decode(errors="ignore")


def _belongs(other: Beside, live: str) -> bool:
    """Whether it is beside this database: of a long name there is but the beginning."""
    if other.database.startswith(f"{live}@"):
        return True
    return OLDER.sub("", other.database) == _fitting(live, OLDER.sub("", other.name))


def _beside(record: Mapping[str, object]) -> Beside | None:
    try:
        note = Note(**json.loads(str(record["note"])))
    except (ValueError, TypeError):  # of somebody else, or not finished
        return None
    return Beside(str(record["database"]), int(str(record["bytes"])), note)


def note_of(name: str, why: str, files: str = "") -> Note:
    """One of this moment."""
    return Note(name, why, datetime.now(UTC).isoformat(timespec="seconds"), [], files)


def part_of(client: Client) -> str:
    """The database that a task of this checkout works on, until it is finished."""
    return _fitting(client.database, f"part-{client.project}")


def drop_part(client: Client) -> None:
    """Drop it, if it is there."""
    client.ask(DROP_PART, PART=part_of(client))


@contextmanager
def new_part(client: Client) -> Iterator[str]:
    """A new one, empty; dropped at the end, unless the block has put it in place."""
    part = part_of(client)
    client.ask(NEW, PART=part)
    try:
        yield part
    finally:
        with suppress(Problem):  # where the server has ended, the next task drops it
            drop_part(client)


def keep_part(client: Client, part: str, note: Note) -> None:
    """Give it the name in the note, and be finished."""
    client.ask(NAME_IT, PART=part, FINAL=named(client, note.name), NOTE=_json(note))


def snapshot(client: Client, note: Note) -> None:
    """Copy the project's database under the name in the note, with the migrations it has."""
    live, part = client.database, part_of(client)
    values = {"SOURCE": live, "PART": part, "FINAL": named(client, note.name), "NOTE": _json(note)}
    script = f"{MIGRATIONS}\\connect {client.maintenance}\n{COPY}{NAME_IT}"
    _alone(client, script, database=live, **values)


def swap(client: Client, part: str, note: Note, live: str = "") -> None:
    """Put `part` in the place of the project's own, or of the database `live`, which is kept as the
    note says if it is there; in one transaction."""
    values = _swapping(client, part, note)
    database = OTHER_MAINTENANCE if live == MAINTENANCE else ""  # none is renamed from within
    _alone(client, SWAP, database, **{**values, "LIVE": live or client.database})


def swap_copy(client: Client, source: str, note: Note) -> None:
    """The same with a copy of `source`. The psql of a killed task goes on to its end: to that of
    the copy alone."""
    part = part_of(client)
    _alone(client, COPY, SOURCE=source, PART=part)
    swap(client, part, note)


def _swapping(client: Client, part: str, note: Note) -> dict[str, str]:
    final = named(client, note.name)
    return {"LIVE": client.database, "PART": part, "FINAL": final, "NOTE": _json(note)}


def _json(note: Note) -> str:
    return json.dumps(asdict(note))


def drop(client: Client, database: str) -> None:
    """Drop one for good."""
    client.ask(DROP, FINAL=database)


def named(client: Client, name: str) -> str:
    """DATABASE@NAME, as far as it fits."""
    return _fitting(client.database, name)


def _fitting(database: str, name: str) -> str:
    whole = f"{database}@{name}".encode()
    if len(whole) <= LONGEST:
        return whole.decode()
    import hashlib

    digest = hashlib.sha256(whole).hexdigest()[:8]
    return f"{whole[: LONGEST - 9].decode(errors='ignore')}~{digest}"


def _alone(client: Client, script: str, database: str = "", **values: str) -> None:
    """Run a script that needs the databases for itself; one that a connection came in the way of
    is run again."""
    done = Result(1, "", "")
    for _ in range(TRIES):
        done = client.script(script, database, **values)
        if not done.code or IN_USE not in done.err:
            break
    if done.code:
        raise rejected(last_error(done.err))
