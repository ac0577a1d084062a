"""Why the database does not let the web in: what its own superuser sees, beside `.env`.

A stack lends two doors: `superuser` runs a psql script past every password, from within, and
`logs_in` tries what the web does. Secrets go to psql by environment alone.
"""

import json
import re
from dataclasses import dataclass

from djup.postgres.client import MAINTENANCE, rejected
from djup.postgres.contents import ANY_TABLE
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.stack.causes.asked import Asked

NAMES = r"""
\getenv user SQL_USER
\getenv password SQL_PASSWORD
\getenv database SQL_DATABASE
"""
# What psql says of a server of the stack that ends, or is not there yet.
AWAY = "server closed the connection|terminating connection|Is the server running"
# Those that every server has count where they hold a table; one that has a note of ours, or is not
# finished, does not.
FACTS = rf"""{NAMES}
{ANY_TABLE.replace(";", " AS used")} \gset
\connect template1
{ANY_TABLE.replace(";", " AS template_used")} \gset
SELECT json_build_object(
  'roles', (SELECT array_agg(rolname::text ORDER BY rolname) FROM pg_roles WHERE rolcanlogin),
  'databases', (SELECT array_agg(datname::text ORDER BY datname) FROM pg_database
                WHERE datallowconn AND (datname <> 'postgres' OR :'used'::bool)
                  AND (datname <> 'template1' OR :'template_used'::bool)
                  AND (datname !~ '@' OR NOT datname ~ '@part-'
                    AND coalesce(shobj_description(oid, 'pg_database'), '') !~ '"why":')),
  'has_database', EXISTS (SELECT FROM pg_database WHERE datname = :'database'));
"""


@dataclass(frozen=True)
class Accounts:
    """Who may log in, which databases are there, and whether the one in `.env` is."""

    roles: list[str]
    databases: list[str]
    has_database: bool


def misfit(stack: Asked) -> Problem | None:
    """Why the web is not let in by the stack's own database, by asking it; None where it is."""
    if stack.logs_in():
        return left_behind(stack)
    accounts, values = facts(stack), stack.settings.values
    if values["SQL_USER"] not in accounts.roles:
        return _role_missing(stack.settings, accounts)
    if not accounts.has_database and accounts.databases:
        databases = ", ".join(accounts.databases)
        return problem("DB04", name=values["SQL_DATABASE"], databases=databases)
    if not accounts.has_database:
        return problem("DB04.none", name=values["SQL_DATABASE"])
    return problem("DB02", user=values["SQL_USER"])


def _role_missing(settings: Settings, accounts: Accounts) -> Problem:
    user, name = settings.values["SQL_USER"], settings.values["SQL_DATABASE"]
    roles = ", ".join(accounts.roles)
    if accounts.has_database:
        return problem("DB03", user=user, roles=roles)
    return problem("DB03.database", user=user, roles=roles, database=name)


def left_behind(stack: Asked) -> Problem | None:
    """Whether .env names the database that every server has, while the rows are in another one."""
    if stack.settings.values["SQL_DATABASE"] != MAINTENANCE:
        return None
    databases = facts(stack).databases
    if databases and MAINTENANCE not in databases:
        return problem("DB20", name=MAINTENANCE, databases=", ".join(databases))
    return None


def facts(stack: Asked) -> Accounts:
    """What the server holds."""
    answer = json.loads(as_superuser(stack, FACTS))
    return Accounts(answer["roles"] or [], answer["databases"] or [], answer["has_database"])


def as_superuser(stack: Asked, script: str) -> str:
    """Run a psql script past every password; what it prints, or the problem that it ends with."""
    done = stack.superuser(script)
    if done.code:
        reason = " ".join(done.err.split())
        raise problem("DB22", reason=reason) if re.search(AWAY, reason) else rejected(reason)
    return str(done.out).strip()
