"""What a database holds, so far as two that should be the same can be told apart by it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from djup.postgres.client import Client, PsqlSession

# A table of an extension is the extension's; a partitioned one holds no rows itself.
OF_TABLES = r"""
      FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
      WHERE r.relkind IN ('r', 'm') AND r.relispopulated AND r.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = r.oid AND d.deptype = 'e')
"""
ANY_TABLE = f"SELECT EXISTS (SELECT {OF_TABLES});"
# What PostgreSQL itself has made has lower numbers.
ANYTHING = """
SELECT EXISTS (SELECT FROM (
  SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_proc UNION ALL SELECT oid FROM pg_type
  UNION ALL SELECT oid FROM pg_largeobject_metadata
  UNION ALL SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_') AS made WHERE oid >= 16384);
"""
COUNTS = rf"""
SELECT format('SELECT json_build_object(''table'', %L, ''rows'', count(*)) FROM ONLY %s', c, c)
FROM (SELECT format('%I.%I', n.nspname, r.relname) AS c {OF_TABLES}
      ORDER BY 1) AS tables \gexec
"""
SEQUENCES = r"""
SELECT json_build_object('sequence', format('%I.%I', schemaname, sequencename),
                         'last', coalesce(last_value, 0))
FROM pg_sequences ORDER BY schemaname, sequencename;
"""
REST = r"""
SELECT to_regclass('django_migrations') IS NOT NULL AS migrated \gset
\if :migrated
SELECT json_build_object('migrations', array_agg(app || '.' || name ORDER BY id))
FROM django_migrations;
\endif
SELECT json_build_object(
  'extensions', (SELECT array_agg(extname || ' ' || extversion ORDER BY extname)
                 FROM pg_extension),
  'version', current_setting('server_version'),
  'bytes', pg_database_size(current_database()));
"""
ALL = COUNTS + SEQUENCES + REST


@dataclass(frozen=True)
class Contents:
    """Tables with their row counts, sequences with their last values, applied migrations in their
    order, extensions with versions; the server's version, and the size on disk in bytes."""

    tables: Mapping[str, int]
    sequences: Mapping[str, int]
    migrations: list[str]
    extensions: list[str]
    version: str
    bytes: int

    @property
    def rows(self) -> int:
        """How many rows all tables have together."""
        return sum(self.tables.values())


def is_empty(client: Client) -> bool:
    """Whether the project's database has no table yet."""
    return client.ask(ANY_TABLE, client.database) == "f"


def is_untouched(client: Client, database: str) -> bool:
    """Whether nothing was ever made in a database, neither a function nor a large object."""
    return client.ask(ANYTHING, database) == "f"


def read(client: Client, database: str) -> Contents:
    """The contents of a database, at one moment."""
    with client.session(database) as session:
        session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
        return parse(session.ask(ALL))


def begin(session: PsqlSession) -> None:
    """Have them counted while the same transaction is dumped; `answer` waits for it."""
    session.begin(ALL)


def answer(session: PsqlSession) -> Contents:
    """What `begin` has begun."""
    return parse(session.answer())


def parse(lines: list[str]) -> Contents:
    """From the lines of JSON that the questions above print."""
    records = [json.loads(line) for line in lines if line.startswith("{")]
    rest = {key: value for record in records for key, value in record.items()}
    return Contents(
        {record["table"]: record["rows"] for record in records if "table" in record},
        {record["sequence"]: record["last"] for record in records if "sequence" in record},
        rest.get("migrations") or [],
        rest.get("extensions") or [],
        rest.get("version", ""),
        rest.get("bytes", 0),
    )


def differences(before: Contents, after: Contents, exact: bool) -> list[str]:
    """What differs, in words; where the database was in use while it was dumped (not `exact`), a
    sequence may be further on, since sequences are of no transaction."""
    return [
        *_differing("table", before.tables, after.tables, "rows"),
        *(
            f"sequence {name}: {value} before, {after.sequences.get(name, 'missing')} after"
            for name, value in before.sequences.items()
            if name not in after.sequences
            or (value != after.sequences[name] if exact else value > after.sequences[name])
        ),
        *_missing("migration", before.migrations, after.migrations),
        *_missing("extension", _names(before.extensions), _names(after.extensions)),
    ]


def _differing(
    kind: str, before: Mapping[str, int], after: Mapping[str, int], unit: str
) -> Iterator[str]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            had, has = before.get(name, "missing"), after.get(name, "missing")
            yield f"{kind} {name}: {had} {unit} before, {has} after"


def _missing(kind: str, before: list[str], after: list[str]) -> Iterator[str]:
    return (f"{kind} {name} is missing" for name in before if name not in after)


def _names(extensions: list[str]) -> list[str]:
    return [extension.partition(" ")[0] for extension in extensions]
