"""Roles that a dump names and this server does not have: lent while it is restored.

So a dump made elsewhere is restored word for word; then what they own goes to SQL_USER, their
grants end, and they go. A comment says whose they are, for when a restore is killed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from djup.postgres.client import Client

# Where we may, as superusers: restored by several workers, a grant can come before the one that it
# needs.
LEND = r"""
\getenv wanted WANTED
\getenv part PART
SELECT format(statement, name, :'part', CASE WHEN rolsuper THEN 'SUPERUSER' END)
FROM pg_roles AS us, json_array_elements_text(:'wanted') AS name,
  unnest(ARRAY['CREATE ROLE %1$I %3$s', 'GRANT %1$I TO CURRENT_USER',
    'COMMENT ON ROLE %1$I IS %2$L']) WITH ORDINALITY AS s(statement, n)
WHERE us.rolname = CURRENT_USER
  AND name NOT IN (SELECT rolname FROM pg_roles) AND NOT starts_with(name, 'pg_')
ORDER BY name, n \gexec
"""
# In the database where they own something; in any other there is nothing of theirs. Step by step
# for all of them: what one has granted to another goes when the first one's own grant does.
TAKE_BACK = r"""
\getenv part PART
SELECT format(statement, rolname)
FROM pg_roles, unnest(ARRAY['REASSIGN OWNED BY %1$I TO CURRENT_USER', 'DROP OWNED BY %1$I',
  'DROP ROLE %1$I']) WITH ORDINALITY AS s(statement, n)
WHERE shobj_description(oid, 'pg_authid') = :'part'
ORDER BY n, rolname \gexec
"""
IS_SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER"


def may_own(client: Client, wanted: set[str]) -> bool:
    """Whether they can be the owners of what is restored: we ourselves, or whoever if we are
    superuser, as no user of a managed database is."""
    return _ours(client, wanted) or client.ask(IS_SUPERUSER) == "t"


@contextmanager
def borrowed(client: Client, wanted: set[str], part: str) -> Iterator[None]:
    """Have the roles there while the block fills the database `part`."""
    if _ours(client, wanted):
        yield
        return
    client.ask(LEND, WANTED=json.dumps(sorted(wanted)), PART=part)
    yield
    client.ask(TAKE_BACK, database=part, PART=part)


def _ours(client: Client, wanted: set[str]) -> bool:
    """As in every dump of our own: there is nothing to ask for."""
    return wanted <= {client.variables["PGUSER"]}
