"""What libpq says of a database elsewhere is led to the keys at fault."""

import pytest

from djup.checkout import env
from djup.stack import runtimes
from djup.stack.causes import remote

NEEDED = "COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=x\nSQL_PASSWORD=x\n"
FAILED = "Cannot connect to the database at pg.example port 5432"
SENTENCES = [
    ('password authentication failed for user "ann"', "SQL_USER and SQL_PASSWORD"),
    ('database "shop" does not exist', "SQL_DATABASE"),
    ('could not translate host name "pg.example" to address: Name not known', "SQL_HOST ("),
    ("failed to resolve host 'pg.example': [Errno -2] Name or service not known", "SQL_HOST ("),
    ("SSL error: certificate verify failed", "SQL_SSLROOTCERT"),
    (
        'server certificate for "other.example" does not match host name "pg.example"',
        "SQL_HOST, which must be the name in its certificate",
    ),
    (
        'no pg_hba.conf entry for host "192.0.2.1", user "ann", database "shop", no encryption',
        "SQL_SSLMODE, to require",
    ),
    (
        'no pg_hba.conf entry for host "192.0.2.1", user "ann", database "shop", SSL encryption',
        "SQL_USER and SQL_DATABASE",
    ),
    ("server does not support SSL, but SSL was required", "SQL_SSLMODE"),
    ("Connection refused", "SQL_HOST and SQL_PORT"),
    ("timeout expired", "SQL_HOST and SQL_PORT"),
    ("something else", "SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_DATABASE"),
]


@pytest.mark.parametrize(("sentence", "keys"), SENTENCES)
def test_the_mend_names_the_keys(sentence: str, keys: str) -> None:
    settings = env.settings_from(f"{NEEDED}SQL_HOST=pg.example\n")
    problem = remote.refused(runtimes.stack_of(settings), f"{FAILED}: {sentence}.")
    assert problem.code == "DB10" and sentence in problem.what
    assert problem.fix.startswith(f"correct {keys}") and "(.env)" in problem.fix


@pytest.mark.parametrize(
    ("name", "keys"),
    [("docker", "SQL_HOST, because localhost is the container"), ("embedded", "SQL_HOST and")],
)
def test_a_container_has_another_localhost(name: str, keys: str) -> None:
    settings = env.settings_from(f"{NEEDED}SQL_HOST=localhost\nRUNTIME={name}\n")
    problem = remote.refused(runtimes.stack_of(settings), f"{FAILED}: Connection refused.")
    assert problem.fix.startswith(f"correct {keys}")


def test_and_where_they_stand() -> None:
    settings = env.settings_from(f"{NEEDED}DATABASE_URL=postgres://ann:x@pg.example/shop\n")
    problem = remote.refused(runtimes.stack_of(settings), f"{FAILED}: Connection refused.")
    assert "correct SQL_HOST and SQL_PORT (DATABASE_URL in .env), or allow" in problem.fix
