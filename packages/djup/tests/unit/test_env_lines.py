"""`inv deploy.env`: of what a stack holds, lines are made from which the same stack is deployed."""

from pathlib import Path

import pytest
from releases import BASE, LONG

from djup.checkout import env, env_file, web_env
from djup.code import requirements
from djup.deploy import env_lines, keeping, media, production
from djup.deploy.production import Production
from djup.settings import dotenv
from djup.settings.layout import Layout

# A fresh clone, and the lost one: nothing of development is to get into production.
FRESH = "COMPOSE_PROJECT_NAME=shop-5e6f7a\nSECRET_KEY=of-the-clone\nSQL_PASSWORD=of-the-clone\n"
ODD = "a b#c$d\"e'f\\g"
DOUBLED = "a\\\\b\"c'd #e"
PEM = f"-----BEGIN KEY-----\nMIIC{LONG}\n-----END KEY-----\n"
AUTHORITY = "project/certs/ca.pem"
MANAGED = {
    "PROD_SQL_HOST": "pg.example.org",
    "PROD_SQL_PORT": "6000",
    "PROD_SQL_USER": "ann",
    "PROD_SQL_SSLMODE": "verify-full",
    "PROD_SQL_SSLROOTCERT": "certs/ca.pem",
}
URL = "postgresql://ann:a%5C%5C%24b@pg.example.org/o%27f?sslmode=verify-full&sslrootcert=system"
BUCKET = {"MEDIA": "s3://shop/files", "MEDIA_ACCESS_KEY": "ann", "PROD_MEDIA_SECRET_KEY": ODD}
BACKUPS = {
    **{"BACKUP_AT": "03:15,15:15", "BACKUP_KEEP": "3d", "BACKUP_VERIFY": "daily"},
    **{"BACKUP_TO": "s3://backups/shop", "BACKUP_ENDPOINT": "https://s3.example.org"},
    **{"BACKUP_REGION": "eu", "BACKUP_ACCESS_KEY": "ann", "PROD_BACKUP_SECRET_KEY": ODD},
    **{"BACKUP_KEY": f"age1{'q' * 58}", "BACKUP_HOST_KEY": "ssh-ed25519 AAAA"},
    **{"HEARTBEAT_URL": "https://hc.example/1", "NOTIFY_URL": "https://chat.example/x#y"},
    **{"KEEPER_IMAGE": "mirror/python:1", "RCLONE_IMAGE": "mirror/rclone:1"},
}
SIZES = {
    key: str(number)
    for number, key in enumerate(production.LIMITS, 11)
    if key not in production.PORTS
}
# A value that is not the default for each key that the stack knows.
EVERYTHING = {
    **{"STACK": "shop", "EMAIL": "ann@example.org", "TLS": "internal", "DOMAIN": "*.a.example b.c"},
    **{"HTTP_PORT": "8080", "HTTPS_PORT": "8443", "REGISTRY": "shop-web.example.org:5000/shop-web"},
    **{"TRUSTED_PROXIES": "192.0.2.1 198.51.100.0/24", "MAX_BODY": "1.5GiB"},
    **{"NETWORK_ENCRYPTED": "off", "SYSTEM_PACKAGES": "gettext libpq=17.2-r0"},
    **{"WEB_MEMORY": "1g", "WORKER_MEMORY": "2g", "SCHEDULE_MEMORY": "64M", "POOL_SIZE": "20"},
    **{f"{name}_IMAGE": f"mirror/{name.lower()}:1" for name in ("PYTHON", "POSTGRES", "CADDY")},
    **{"PGBOUNCER_IMAGE": "mirror/pgbouncer:1", "SQL_ENGINE": "x", "SQL_DATABASE": "shop"},
    **{"PROD_CACHE_URL": "redis://valkey:6379/0", "PROD_EMAIL_URL": "smtp://mail:25"},
    **{"PROD_AUTH_USER_MODEL": "auth.User", "PROD_CSRF_TRUSTED_ORIGINS": "https://a.example"},
    **{"ADMINS": "ann@example.org", "DEFAULT_FROM_EMAIL": ODD, "PROD_SERVER_EMAIL": "x@y.example"},
    **{"PROD_SENTRY_DSN": "https://live@errors/2", "SENTRY_ENVIRONMENT": "staging"},
    **SIZES,
    **MANAGED,
    **BUCKET,
    **BACKUPS,
    "MEDIA_ENDPOINT": "https://s3.example.org",
    "MEDIA_REGION": "eu",
}
# A managed one has an archive and a standby already.
OF_OWN_DATABASE = {"DOMAIN": "a.example", "ARCHIVE": "9d", "STANDBY": "1", "EDGE": "1"}
# Of no use to what runs, so it is not there; and files, of which production knows the contents.
ELSEWHERE = {*env_lines.NOT_THERE, "TLS_CERT", "TLS_KEY", "BACKUP_SSH_KEY"}
OF_DEVELOPMENT = {"MAIL_IMAGE", "MAIL_PORT", "MAIL_PAGE_PORT", "DEBUG_PORT"}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the file of an authority, and locks that have what the settings need."""
    (tmp_path / AUTHORITY).parent.mkdir(parents=True)
    (tmp_path / AUTHORITY).write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "prod.txt").write_text("django_storages[s3]==1.14.6 \\\n")
    monkeypatch.setattr(production, "ROOT", tmp_path)
    monkeypatch.setattr(env_lines, "ROOT", tmp_path)
    monkeypatch.setattr(media, "REQUIREMENTS", tmp_path)
    monkeypatch.setattr(requirements, "REPORTER", "django")
    return tmp_path


def made(values: dict[str, str]) -> Production:
    lines = (f"{key}={dotenv.quoted(text)}\n" for key, text in {**BASE, **values}.items())
    return production.from_settings(env.settings_from("".join(lines)))


def lines(deployed: Production) -> str:
    """What the task prints of such a stack."""
    image = f"{deployed.image_name}:0123456789ab-abcdef012345"
    release = deployed.as_release(image, "0123456789ab", "0f0f", 7)
    return env_lines.as_text(env_lines.values_of(release, deployed.secrets, "ssh://ann@server"))


@pytest.mark.parametrize(
    "values",
    [
        {},
        EVERYTHING,
        {"EXTRA": ODD, "PROD_OTHER": DOUBLED, "KEY": "dev", "PROD_KEY": PEM, "DEPLOY_TOKEN": "x"},
        {"PROD_SQL_PASSWORD": ODD, "PROD_SECRET_KEY": f"{DOUBLED}{LONG}"},
        {"POOL_SIZE": "20", "PROD_SQL_PASSWORD": ODD},
        MANAGED,
        {**MANAGED, "POOL_SIZE": "20", "PROD_SQL_SSLMODE": "require"},
        {
            "PROD_SQL_HOST": "pg",
            "PROD_SQL_SSLMODE": "verify-full",
            "PROD_SQL_SSLROOTCERT": "system",
        },
        {"PROD_DATABASE_URL": URL, "POOL_SIZE": "3"},
        BUCKET,
        {"BACKUP_AT": "03:15", "BACKUP_IDENTITY": "AGE-SECRET-KEY-1" + "Q" * 58},
        {"MEDIA": "nfs://files.example.org:2050/export/shop?rw,nfsvers=4.2"},
        {"MEDIA": "none"},
        {"DATABASE_URL": "postgresql://dev:x@dev.example.org:7000/dev", "SQL_HOST": ""},
    ],
)
def test_the_lines_deploy_the_same_stack(values: dict[str, str]) -> None:
    deployed = made(values)
    text = lines(deployed)
    assert production.from_settings(env.settings_from(FRESH + text)) == deployed
    assert "of-development" not in text
    if not values:
        keys = {"DEPLOY_TO", "STACK", "DOMAIN", "PROD_SECRET_KEY", "PROD_SQL_PASSWORD"}
        assert dotenv.parse(text).keys() == keys, "what is the default is left out"


def test_each_key_of_production_is_read_back() -> None:
    """Whoever adds one to .env.example sees to it here, or says that it cannot be."""
    texts = (lines(made(EVERYTHING)), lines(made(OF_OWN_DATABASE)))
    found = {key.removeprefix("PROD_") for text in texts for key in dotenv.parse(text)}
    example = dotenv.parse(env_file.EXAMPLE.read_text())
    known = {key.removeprefix("PROD_") for key in example if web_env.is_of_production(key)}
    known |= {*env_lines.TOLD, *production.PLAIN_KEYS, *production.ELSEWHERE_KEYS}
    assert known - found == {*ELSEWHERE, *OF_DEVELOPMENT, "DATABASE_URL"}


def test_development_keeps_its_own() -> None:
    text = lines(made(EVERYTHING))
    before, after = (env.settings_from(FRESH + more).values for more in ("", text))
    theirs = web_env.without_production(before)
    assert theirs == {key: after[key] for key in theirs}
    found = dotenv.parse(text)
    assert found["PROD_POSTGRES_IMAGE"] == "mirror/postgres:1" and "POSTGRES_IMAGE" not in found
    assert found["DOMAIN"] == "*.a.example,b.c" and "PROD_DOMAIN" not in found


def test_what_the_project_reads_under_its_own_names_is_filled_in_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"DJANGO_KEY": "SECRET_KEY", "DB_URL": "DATABASE_URL", "DB_USER": "SQL_USER"}
    monkeypatch.setattr(
        web_env, "layout", lambda: Layout(environment={**names, "HOST": "SQL_HOST"})
    )
    deployed = made({"PROD_DB_USER": "live", "POOL_SIZE": "4", "PROD_DATABASE_URL": URL})
    text = lines(deployed)
    assert production.from_settings(env.settings_from(FRESH + text)) == deployed
    assert dotenv.parse(text).keys() & {"PROD_DJANGO_KEY", "PROD_DB_URL", "PROD_HOST"} == set()
    assert dotenv.parse(text)["PROD_DB_USER"] == "live"


def test_presets_of_a_team_do_not_win(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    example = env_file.EXAMPLE.read_text()
    monkeypatch.setattr(env_file, "EXAMPLE", root / "example")
    env_file.EXAMPLE.write_text(f"{example}PROD_WEB_REPLICAS=8\nMAIL_KEY=x\n")
    monkeypatch.setattr(production, "layout", lambda: Layout(build_environment={"MAIL_KEY": "x"}))
    for values in ({"PROD_WEB_REPLICAS": "2", "MAIL_KEY": "x"}, {"PROD_MAIL_KEY": "live"}):
        deployed = made(values)
        again = env.settings_from(FRESH + lines(deployed))
        assert production.from_settings(again) == deployed


def test_what_the_lines_lack_is_said_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    for name in ("cert", "key"):
        (root / name).write_text(f"-----BEGIN {name}-----\n")
    own = {"TLS": "certificate", "TLS_CERT": "cert", "TLS_KEY": "key", "BACKUP_SSH_KEY": "key"}
    server = {"BACKUP_TO": "sftp://ann@b.example/shop", "BACKUP_HOST_KEY": "ssh-ed25519 AAAA"}
    monkeypatch.setattr(keeping, "ROOT", root)
    given = {**MANAGED, **own, **server, "BACKUP_AT": "03:15"}
    deployed = made({**given, "STACK": "shop", "PROD_EXTRA": "secret-9d2f"})
    release = deployed.as_release("shop-web:1", "0f", "0f", 1)
    values = env_lines.values_of(release, deployed.secrets)
    again = env.settings_from(FRESH + env_lines.as_text({**values, **own}))
    assert production.from_settings(again) == deployed
    (root / AUTHORITY).unlink()
    absent, certificate, server_key, authority = env_lines._lacking(
        release, {**values, "PROD_X": "y"}
    )
    assert "DEPLOY_CHECK" in absent and "DEPLOY_TO" in absent
    assert "name=shop_proxy" in certificate and "/run/secrets/tls_key" in certificate
    assert "name=shop_keeper" in server_key and "-----BEGIN" not in server_key
    assert authority.endswith(f"{release.values['CA_CONFIG']} > {AUTHORITY}")
    _, unspelled, *_ = env_lines._lacking(release, {**values, "PROD_X": "a\\\\$b"})
    assert "PROD_X" in unspelled and "$b" not in unspelled
