"""`.env`: the grammar that every reader sees alike, the defaults, and what a bad one gets."""

from pathlib import Path

import pytest

from djup import ROOT
from djup.checkout import env, env_file
from djup.problems import Problem
from djup.settings import dotenv
from djup.settings.settings import REQUIRED

SECRET = "s3cr3t"
NEEDED = f"COMPOSE_PROJECT_NAME=shop\nSECRET_KEY={SECRET}\nSQL_PASSWORD={SECRET}\n"
ELSEWHERE = "SQL_HOST=pg.example\n"
URL = f"DATABASE_URL=postgres://ann:{SECRET}@pg.example/shop"

ACCEPTED = [
    ("", {}),
    ("# only a comment\n\n   # another\n", {}),
    ("A=b", {"A": "b"}),
    ("A=b\n", {"A": "b"}),
    ("A=b\nB=c\n", {"A": "b", "B": "c"}),
    ("  A=b", {"A": "b"}),
    ("export A=b", {"A": "b"}),
    ("A=b  ", {"A": "b"}),
    ("_a1=b", {"_a1": "b"}),
    ("A=", {"A": ""}),
    ("A=''", {"A": ""}),
    ('A=""', {"A": ""}),
    ("A=b c", {"A": "b c"}),
    ("A=b=c", {"A": "b=c"}),
    ("A=b#c", {"A": "b#c"}),
    ("A=b # c", {"A": "b"}),
    ("A='b' # it's \"c\"", {"A": "b"}),
    ("A=localhost,[::1]", {"A": "localhost,[::1]"}),
    ("A=naïve-日本", {"A": "naïve-日本"}),
    ("A='b c'", {"A": "b c"}),
    ("A='b # c'", {"A": "b # c"}),
    ("A='$b ${c}'", {"A": "$b ${c}"}),
    (r"A='it\'s'", {"A": "it's"}),
    (r"A='b\c'", {"A": r"b\c"}),
    ("A='b\"c'", {"A": 'b"c'}),
    ('A="b c"', {"A": "b c"}),
    ('A="it\'s"', {"A": "it's"}),
    (r'A="b\"c"', {"A": 'b"c'}),
    (r'A="b\\c"', {"A": r"b\c"}),
    (r'A="b\nc"', {"A": "b\nc"}),
    ("A=b\r\nB='c'\r\n", {"A": "b", "B": "c"}),
    ("\ufeffA=b\n", {"A": "b"}),
    ("\ufeff# begins with a comment\r\nA=b\r\n", {"A": "b"}),
    ("A=first\nA=last\n", {"A": "last"}),
]


@pytest.mark.parametrize(("text", "expected"), ACCEPTED)
def test_accepted(text: str, expected: dict[str, str]) -> None:
    assert dotenv.parse(text) == expected


REFUSED = [
    # (line, code, what the sentence contains)
    (SECRET, "ENV03", "begin the line with #"),
    (f"KEY {SECRET}", "ENV03", "KEY='value'"),
    (f"KEY: {SECRET}", "ENV03", "KEY='value'"),
    (f"KEY ={SECRET}", "ENV03", "KEY='value'"),
    (f"={SECRET}", "ENV03", "KEY='value'"),
    (f"1KEY={SECRET}", "ENV03", "KEY='value'"),
    (f"KEY-A={SECRET}", "ENV03", "KEY='value'"),
    (f"KEY={SECRET}$x", "ENV04", "KEY='…' in single quotes"),
    (f"KEY=${SECRET}", "ENV04", "KEY='…' in single quotes"),
    (f'KEY="{SECRET}$x"', "ENV04", "KEY='…' in single quotes"),
    (f"KEY=`{SECRET}`", "ENV04", "KEY='…' in single quotes"),
    (f"KEY=#{SECRET}", "ENV04", "KEY='…' in single quotes"),
    (f"KEY='{SECRET}", "ENV04", "KEY='…' in single quotes"),
    (f'KEY="{SECRET}', "ENV04", "KEY='…' in single quotes"),
    (f"KEY='{SECRET}'x", "ENV04", "KEY='…' in single quotes"),
    (f"KEY='{SECRET}'#x", "ENV04", "KEY='…' in single quotes"),
    (f"KEY='it's {SECRET}'", "ENV04", "KEY='…' in single quotes"),
    (f"KEY={SECRET}\t# tab", "ENV04", "KEY='…' in single quotes"),
    (f"KEY={SECRET}\xa0# other space", "ENV04", "KEY='…' in single quotes"),
    (f"KEY={SECRET}\rB=c", "ENV04", "KEY='…' in single quotes"),
    (f"KEY={SECRET}\x00", "ENV04", "KEY='…' in single quotes"),
    (rf"KEY='{SECRET}\\x'", "ENV04", 'KEY="…" in double quotes'),
    (rf"KEY='{SECRET}\'", "ENV04", 'KEY="…" in double quotes'),
    (rf"KEY='{SECRET}$\\x'", "ENV04", "no spelling"),
    (rf'KEY="{SECRET}\t"', "ENV04", "KEY"),
]


@pytest.mark.parametrize(("line", "code", "contains"), REFUSED)
def test_refused_with_the_line_and_never_the_value(line: str, code: str, contains: str) -> None:
    with pytest.raises(Problem) as caught:
        dotenv.parse(f"# one\nB=2\n{line}\n")
    problem = caught.value
    assert problem.code == code
    assert ".env line 3" in str(problem)
    assert contains in str(problem)
    assert SECRET not in str(problem) and SECRET not in repr(problem)


SPELLINGS = {
    "in single quotes": lambda value: "'{}'".format(value.replace("'", r"\'")),
    "in double quotes": lambda value: '"{}"'.format(value.replace("\\", r"\\").replace('"', r"\"")),
}


@pytest.mark.parametrize(
    "refused",
    ["a$b", "it's $5", 'say "x" for $1', r"'C:\\dir'", r"'a\'", "`x`", "#a", "'it's'", "$"],
)
def test_the_spelling_that_is_advised_is_accepted_and_keeps_the_value(refused: str) -> None:
    with pytest.raises(Problem) as caught:
        dotenv.parse(f"A={refused}")
    [spell] = [spell for name, spell in SPELLINGS.items() if name in caught.value.fix]
    meant = refused[1:-1] if refused.startswith("'") else refused
    assert dotenv.parse(f"A={spell(meant)}") == {"A": meant}


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQ+/a=\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_value_of_several_lines_is_advised_the_spelling_that_keeps_it(quote: str) -> None:
    with pytest.raises(Problem, match=r"(of|for) several lines") as caught:
        dotenv.parse(f"KEY={quote}{PEM}{quote}\n")
    assert r"\n" in caught.value.fix and "in double quotes" in caught.value.fix
    assert "MIIE" not in str(caught.value)
    spelled = PEM.replace("\n", r"\n")
    assert dotenv.parse(f'KEY="{spelled}"') == {"KEY": PEM}


# What the sentence contains stands in the third column; every value is a secret in effect.
BAD_SETTINGS = [
    ("SECRET_KEY=", "ENV05", "SECRET_KEY has no value in .env"),
    ("SQL_PASSWORD=''", "ENV05", "SQL_PASSWORD has no value in .env"),
    ("COMPOSE_PROJECT_NAME=", "ENV05", "COMPOSE_PROJECT_NAME has no value in .env"),
    ("COMPOSE_PROJECT_NAME=S3cr3t", "ENV06", "COMPOSE_PROJECT_NAME in .env must be"),
    ("COMPOSE_PROJECT_NAME=-s3cr3t", "ENV06", "COMPOSE_PROJECT_NAME in .env must be"),
    ("COMPOSE_PROJECT_NAME='s3cr3t x'", "ENV06", "COMPOSE_PROJECT_NAME in .env must be"),
    ("COMPOSE_PROJECT_NAME=s3cr3t.x", "ENV06", "COMPOSE_PROJECT_NAME in .env must be"),
    ("WEB_PORT=s3cr3t", "ENV06", "WEB_PORT in .env must be a number from 1 to 65535"),
    ("WEB_PORT=0", "ENV06", "WEB_PORT in .env must be a number"),
    ("WEB_PORT=65536", "ENV06", "WEB_PORT in .env must be a number"),
    ("WEB_PORT=-1", "ENV06", "WEB_PORT in .env must be a number"),
    ("WEB_PORT=80 00", "ENV06", "WEB_PORT in .env must be a number"),
    ("WEB_PORT=٨٠٠٠", "ENV06", "WEB_PORT in .env must be a number"),
    ("WEB_PORT=²", "ENV06", "WEB_PORT in .env must be a number"),
    ("ALLOWED_HOSTS=https://s3cr3t.x", "ENV06", "ALLOWED_HOSTS in .env must be names of hosts"),
    ("ALLOWED_HOSTS=localhost,s3cr3t:8000", "ENV06", "without a port"),
    ("ALLOWED_HOSTS=[::1]:8000", "ENV06", "without a port"),
    ("CSRF_TRUSTED_ORIGINS=s3cr3t.x", "ENV06", "CSRF_TRUSTED_ORIGINS in .env must be origins"),
    ("CSRF_TRUSTED_ORIGINS=https://s3cr3t.x/", "ENV06", "without a path"),
    ("CSRF_TRUSTED_ORIGINS=*", "ENV06", "such as https://"),
    (
        "SYSTEM_PACKAGES=gettext;s3cr3t",
        "ENV06",
        "SYSTEM_PACKAGES in .env must be names",
    ),
    ("SYSTEM_PACKAGES=--s3cr3t", "ENV06", "SYSTEM_PACKAGES in .env must be names"),
    ("SQL_DATABASE=template1", "ENV06", "SQL_DATABASE in .env must be a name other than template0"),
    ("SQL_DATABASE=template0", "ENV06", "SQL_DATABASE in .env must be a name other than template0"),
    (f"SQL_DATABASE={'s3cr3t' * 11}", "ENV06", "SQL_DATABASE in .env must be at most 63 bytes"),
    (f"SQL_USER={'£' * 32}", "ENV06", "SQL_USER in .env must be at most 63 bytes"),
    ("SQL_USER=pg_s3cr3t", "ENV06", "SQL_USER in .env must be a name that PostgreSQL does not"),
    ("SQL_USER=none", "ENV06", "SQL_USER in .env must be a name that PostgreSQL does not"),
    ("SQL_PORT=postgres", "ENV06", "SQL_PORT in .env must be a number"),
    ("APP_UID=root", "ENV06", "APP_UID in .env must be a number from 0"),
    ("APP_GID=-1", "ENV06", "APP_GID in .env must be a number from 0"),
    ("SQL_SSLMODE=verify-full", "ENV06", "SQL_SSLMODE in .env must be empty while SQL_HOST is"),
    ("SQL_SSLROOTCERT=system", "ENV06", "SQL_SSLROOTCERT in .env must be empty while SQL_HOST is"),
    (f"{ELSEWHERE}SQL_SSLMODE=s3cr3t", "ENV06", "SQL_SSLMODE in .env must be one of disable,"),
    (f"{ELSEWHERE}SQL_SSLROOTCERT=s3cr3t", "ENV06", "SQL_SSLMODE in .env must be verify-full"),
    (f"{ELSEWHERE}SQL_SSLMODE=prefer\nSQL_SSLROOTCERT=x", "ENV06", "must be verify-full while"),
    (f"{ELSEWHERE}SQL_SSLMODE=require\nSQL_SSLROOTCERT=system", "ENV06", "must be verify-full"),
    (f"{ELSEWHERE}SQL_SSLMODE=verify-ca", "ENV06", "SQL_SSLROOTCERT in .env must be set while"),
    (f"{ELSEWHERE}SQL_SSLMODE=require\nSQL_SSLROOTCERT=/s3cr3t", "ENV06", "within project/"),
    (f"{ELSEWHERE}SQL_SSLMODE=require\nSQL_SSLROOTCERT=a/../../s3cr3t", "ENV06", "project/"),
    (f"SQL_HOST=s3cr3t\n{URL}", "ENV06", "SQL_HOST in .env must be empty, or what DATABASE_URL"),
    (f"SQL_SSLMODE=require\n{URL}?sslmode=disable", "ENV06", "SQL_SSLMODE in .env must be empty"),
    (f"{URL}?sslmode=s3cr3t", "ENV06", "SQL_SSLMODE (or sslmode in DATABASE_URL) in .env must be"),
    ("DATABASE_URL=s3cr3t", "ENV06", "DATABASE_URL in .env must be postgresql://USER:PASSWORD@"),
    ("DATABASE_URL=mysql://ann:s3cr3t@pg.example/shop", "ENV06", "must be postgresql://"),
    ("DATABASE_URL=sqlite:///s3cr3t", "ENV06", "must be postgresql://"),
    ("DATABASE_URL=postgres://ann:s3cr3t/x@pg.example/shop", "ENV06", "encoded as %XX"),
    ("DATABASE_URL=postgres://ann:1#s3cr3t@pg.example/shop", "ENV06", "encoded as %XX"),
    ("DATABASE_URL=postgres://ann:s3cr3t%ff@pg.example/shop", "ENV06", "encoded as %XX"),
    ("DATABASE_URL=postgres://ann:s3cr3t@pg.example:s3cr3t/shop", "ENV06", "encoded as %XX"),
    ("DATABASE_URL=postgres://ann:s3cr3t@[pg.example/shop", "ENV06", "encoded as %XX"),
    ("DATABASE_URL=postgres://s3cr3t@pg.example/shop", "ENV06", "postgresql://"),
    ("DATABASE_URL=postgres://ann:s3cr3t@/shop", "ENV06", "postgresql://"),
    ("DATABASE_URL=postgres://ann:s3cr3t@pg.example", "ENV06", "postgresql://"),
    ("RUNTIME=podman", "ENV08", "unknown runtime 'podman'"),
]


@pytest.mark.parametrize(("line", "code", "contains"), BAD_SETTINGS)
def test_bad_settings(line: str, code: str, contains: str) -> None:
    with pytest.raises(Problem) as caught:
        env.settings_from(NEEDED + line)
    assert (caught.value.code, contains in str(caught.value)) == (code, True)
    assert SECRET not in str(caught.value).lower()


@pytest.mark.parametrize("key", REQUIRED)
def test_a_required_key_that_is_not_there_is_named_with_its_file(key: str) -> None:
    text = "\n".join(line for line in NEEDED.splitlines() if not line.startswith(key))
    with pytest.raises(Problem, match=f"ENV05: {key} has no value in .env"):
        env.settings_from(text)


def test_keys_that_are_not_there_have_the_documented_defaults() -> None:
    settings = env.settings_from(NEEDED)
    example = dotenv.parse(env_file.EXAMPLE.read_text())
    assert settings.own == {"COMPOSE_PROJECT_NAME", "SECRET_KEY", "SQL_PASSWORD"}
    assert settings.values == example | dotenv.parse(NEEDED)
    assert settings.url == f"http://127.0.0.1:{example['WEB_PORT']}/"


def test_an_empty_value_has_the_default_and_another_key_stays() -> None:
    settings = env.settings_from(f"{NEEDED}WEB_PORT=\nMAIL_HOST=mail\nMAIL_USER=\n")
    assert settings.web_port == 8000
    assert (settings.values["MAIL_HOST"], settings.values["MAIL_USER"]) == ("mail", "")


@pytest.mark.parametrize(("line", "own"), [("SQL_HOST=", True), ("SQL_HOST=pg.example", False)])
def test_a_database_elsewhere_takes_the_place_of_the_stacks_own(line: str, own: bool) -> None:
    assert env.settings_from(NEEDED + line).has_own_database == own


TLS = "?sslmode=verify-full&sslrootcert=certs%2Fca.pem&application_name=x"


def test_a_url_is_read_as_if_the_keys_had_been_set() -> None:
    url = f"DATABASE_URL=postgresql://a%40nn:%20s%2Fp%C3%A9%25@PG.example:6543/sh%20op{TLS}\n"
    settings = env.settings_from(NEEDED + url)
    expected = {
        "SQL_HOST": "pg.example",
        "SQL_PORT": "6543",
        "SQL_DATABASE": "sh op",
        "SQL_USER": "a@nn",
        "SQL_PASSWORD": " s/p\u00e9%",
        "SQL_SSLMODE": "verify-full",
        "SQL_SSLROOTCERT": "certs/ca.pem",
    }
    assert {key: settings.values[key] for key in expected} == expected
    assert settings.address == "pg.example port 6543"
    assert settings.ca_file == ROOT / "project/certs/ca.pem"
    # Compose, which reads .env itself, sees them as well.
    child = settings.child_environment()
    assert {key: child[key] for key in expected} == expected and "DATABASE_URL" not in child


def test_a_url_is_added_to_by_the_keys_of_tls_and_agrees_with_the_same_host() -> None:
    keys = "SQL_HOST=pg.example\nSQL_SSLMODE=verify-full\nSQL_SSLROOTCERT=system\n"
    settings = env.settings_from(f"{NEEDED}{keys}{URL}")
    assert (settings.values["SQL_SSLROOTCERT"], settings.ca_file) == ("system", None)
    assert (settings.values["SQL_PORT"], settings.values["SQL_USER"]) == ("5432", "ann")


@pytest.mark.parametrize("port", ["1", "65535"])
def test_ports_up_to_the_bounds(port: str) -> None:
    assert env.settings_from(f"{NEEDED}WEB_PORT={port}").web_port == int(port)


# The file


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(env_file, "ENV", tmp_path / ".env")
    return tmp_path / ".env"


@pytest.mark.parametrize(
    "content",
    [NEEDED.encode(), NEEDED.encode("utf-8-sig"), NEEDED.replace("\n", "\r\n").encode()],
    ids=["plain", "BOM", "CRLF"],
)
def test_a_file_with_bom_or_crlf_reads_the_same(written: Path, content: bytes) -> None:
    written.write_bytes(content)
    assert env.load().values["SQL_PASSWORD"] == SECRET
    assert written.read_bytes() == content


def test_not_utf8(written: Path) -> None:
    written.write_bytes(NEEDED.encode() + b"A=\xe9" + SECRET.encode() + b"\n")
    with pytest.raises(Problem, match=r"ENV02: \.env line 4 is not UTF-8") as caught:
        env.load()
    assert SECRET not in str(caught.value)


def test_utf16(written: Path) -> None:
    written.write_text(NEEDED, encoding="utf-16")
    with pytest.raises(Problem, match=r"ENV02: \.env line 1 is not UTF-8"):
        env.load()


def test_a_folder_in_its_place(written: Path) -> None:
    written.mkdir()
    with pytest.raises(Problem, match=r"ENV01: \.env cannot be read"):
        env.load()


# What the children see


def test_children_read_env_themselves_and_get_only_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported = {
        "SQL_PASSWORD": "wrong",  # in .env: taken out, so that Compose reads it there
        "SQL_PORT": "1",  # not in .env: the documented default, not what happens to be exported
        "MAIL_HOST": "wrong",  # the user's own key in .env
        "OTHER": "stays",
        "DOCKER_HOST": "stays",
        "COMPOSE_PROFILES": "x",
        "COMPOSE_ENV_FILES": "x",
        "COMPOSE_DISABLE_ENV_FILE": "1",
    }
    for key, value in exported.items():
        monkeypatch.setenv(key, value)
    child = env.settings_from(f"{NEEDED}MAIL_HOST=mail\n").child_environment()
    assert "SQL_PASSWORD" not in child and "MAIL_HOST" not in child
    assert child["SQL_PORT"] == "5432"
    assert child["WEB_PORT"] == "8000"
    assert (child["OTHER"], child["DOCKER_HOST"]) == ("stays", "stays")
    assert not {key for key in child if key in exported and key.startswith("COMPOSE_")}


@pytest.mark.parametrize(
    "value",
    ["", "plain", "two words", "it's", 'a "b" $c', "a\nb", "a\\\\b 'c' \"d\"", "it's\ntwo", "#no"],
)
def test_a_value_that_env_can_have_is_written_so_that_it_stays(value: str) -> None:
    assert dotenv.parse(f"KEY={dotenv.quoted(value)}") == {"KEY": value}
