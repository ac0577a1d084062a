"""Why a database elsewhere does not let the web in: from libpq's sentence to what to type."""

import re

from djup.problems import Problem, problem
from djup.stack.causes.asked import Asked

# By psycopg2, or by psycopg 3, which looks a name up itself.
NO_NAME = r"could not translate host name|failed to resolve host"
# The keys at fault, and what else may be done; the first that matches counts.
CAUSES = {
    r"authentication failed|no password supplied": ("SQL_USER and SQL_PASSWORD", ""),
    r'role ".*" (does not exist|is not permitted)': ("SQL_USER", ""),
    r'database ".*" does not exist': ("SQL_DATABASE", "create that database there"),
    NO_NAME: ("SQL_HOST", ""),
    r"does not match host name": ("SQL_HOST, which must be the name in its certificate", ""),
    r"certificate verify failed": (
        "SQL_SSLROOTCERT, which must hold the certificate that signed the server's",
        "",
    ),
    r"no encryption$": ("SQL_SSLMODE, to require or, with SQL_SSLROOTCERT, to verify-full", ""),
    r"does not support SSL": ("SQL_SSLMODE", "enable encrypted connections there"),
    r"no pg_hba.conf entry": (
        "SQL_USER and SQL_DATABASE",
        "allow the address of this machine there",
    ),
    r"refused|timeout|timed out|unreachable|No route|did not respond": (
        "SQL_HOST and SQL_PORT",
        "allow the address of this machine there (on Amazon: in its security group)",
    ),
}
ALL = "SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_DATABASE"


def refused(stack: Asked, sentence: str) -> Problem:
    """Return the problem with its fix, as far as the sentence tells."""
    keys, instead = _cause(stack, sentence.rstrip("."))
    where = "DATABASE_URL in .env" if stack.settings.values["DATABASE_URL"] else ".env"
    fix = f"correct {keys} ({where}){f', or {instead}' if instead else ''}, then run: inv up"
    return problem("DB10.remote", reason=sentence, fix=fix)


def _cause(stack: Asked, text: str) -> tuple[str, str]:
    host = stack.settings.values["SQL_HOST"]
    if stack.is_web_itself(host):
        return f"SQL_HOST, because {host} is the container itself", "use --runtime embedded"
    matching = (told for pattern, told in CAUSES.items() if re.search(pattern, text))
    return next(matching, (ALL, ""))
