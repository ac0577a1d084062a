"""`.env.example` is the master of all defaults: every other place that states one agrees."""

import re

import pytest

from djup import HERE, ROOT, SOURCES
from djup.checkout import env, env_file, fingerprint, web_env
from djup.code import locks
from djup.data import load, seed
from djup.deploy import production
from djup.host import packages
from djup.postgres import client, local_server
from djup.settings import dotenv, settings
from djup.settings.layout import layout
from djup.settings.settings import REQUIRED, RUNTIMES
from djup.stack import services

EXAMPLE = dotenv.parse(env_file.EXAMPLE.read_text())
FOLDER = ROOT / "compose"
PRODUCTION = [path.read_text() for path in (FOLDER / "prod.yaml", *FOLDER.glob("prod/*.yaml"))]
COMPOSE = {
    path.name: path.read_text() for path in FOLDER.glob("*.yaml") if path.name != "prod.yaml"
}
SWITCHED_ON = {f"{name}.yaml" for name in services.OF_TOOLKIT}
OPTIONAL = ("requirements/wheels", "requirements/dev.txt")  # of a project
REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")
REFERENCES = [
    (name, key, operator, text)
    for name, content in COMPOSE.items()
    for key, operator, text in REFERENCE.findall(content)
]
# Not the user's to set: the hash that `inv` hands to a build.
INTERNAL = {
    *("BUILD_INPUTS", "PACKAGE_INDEX_FILE", "PACKAGE_CA_FILE"),
    *(*web_env.OF_COMPOSE.values(), *web_env.NO_MEDIA),
}
# What [tool.djup] says; the default is the starter's layout.
LAYOUT = {"LOCKS": "requirements", "PROJECT": "project", "SETTINGS_MODULE": "config.settings"}
# Empty in .env means that the runtime knows it, as the name of its own database service, or none.
EMPTY = (
    "SQL_SSLMODE",
    "SQL_SSLROOTCERT",
    "DATABASE_URL",
    "SYSTEM_PACKAGES",
    "CSRF_TRUSTED_ORIGINS",
    *(key for key in production.HANDED_OVER if key != production.ORIGINS),
    *production.SHARED,
)
# Those that a first deploy or a build asks for, makes, or does without.
PRODUCTION_EMPTY = (
    *(
        *("STAGES", "DEPLOY_TO"),
        "STACK",
        "DOMAIN",
        "EMAIL",
        "TLS_CERT",
        "TLS_KEY",
        "REGISTRY",
        *("ARCHIVE", "STANDBY"),
        "POOL_SIZE",
        "DEPLOY_CHECK",
        "TRUSTED_PROXIES",
    ),
    *("BACKUP_AT", "BACKUP_TO", "BACKUP_KEY", "BACKUP_IDENTITY", "HEARTBEAT_URL", "NOTIFY_URL"),
    *("BACKUP_ENDPOINT", "BACKUP_REGION", "BACKUP_ACCESS_KEY", "BACKUP_SECRET_KEY"),
    *("BACKUP_SSH_KEY", "BACKUP_HOST_KEY"),
    *("MEDIA", "MEDIA_ENDPOINT", "MEDIA_REGION", "MEDIA_ACCESS_KEY", "MEDIA_SECRET_KEY"),
    *("PROD_SECRET_KEY", "PROD_SQL_PASSWORD", "PIP_INDEX_URL", "PIP_CERT"),
)
FILLED_IN = {"SQL_HOST": "db", **dict.fromkeys(EMPTY, "")}


def test_the_references_are_found() -> None:
    assert set(COMPOSE) == {"web.yaml", "db.yaml", "dev.yaml", *SWITCHED_ON}
    assert {"SQL_PASSWORD", "WEB_PORT", "PYTHON_IMAGE", "POSTGRES_IMAGE"} <= {
        key for _, key, _, _ in REFERENCES
    }


@pytest.mark.parametrize(("file", "key", "operator", "text"), REFERENCES)
def test_compose_files(file: str, key: str, operator: str, text: str) -> None:
    if key in INTERNAL:
        return
    assert key in EXAMPLE
    if key in (*REQUIRED, "DEBUG"):  # no file that a Swarm may load turns DEBUG on by itself
        assert operator == "?" and (key == "DEBUG" or not EXAMPLE[key])
        assert text  # what Compose says where it is missing
    else:
        assert (operator, text) == ("-", EXAMPLE[key] or FILLED_IN[key])


def test_production_is_filled_in_by_deploy() -> None:
    """`docker stack` reads no .env: each reference is one that `inv deploy` has a value for."""
    settings = env.settings_from(
        "COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=x\nSQL_PASSWORD=x\nDOMAIN=a.example\n"
        f"PROD_SECRET_KEY={'x' * 50}\nPROD_SQL_PASSWORD=x\nPOOL_SIZE=20\nBACKUP_AT=03:15\n"
        "ARCHIVE=7d\nSTANDBY=1\n"
    )
    given = {
        *production.from_settings(settings).values,
        "RELEASE",
        "BEFORE",
        "WEB_IMAGE",
        "REPOSITORY",
        "WEB_AT_ONCE",
        "WORKER_AT_ONCE",
    }
    found = [found for text in PRODUCTION for found in REFERENCE.findall(text)]
    assert len(found) > 20
    for key, operator, default in found:
        assert key in given, key
        assert (operator, default) in (("?", ""), ("-", "")), f"{key} has a default of its own"


def test_no_unguarded_reference() -> None:
    """`$KEY` without braces would have no default at all."""
    for content in (*COMPOSE.values(), *PRODUCTION):
        assert not re.findall(r"(?<!\$)\$[A-Za-z_]", content)


def test_dockerfile() -> None:
    text = (ROOT / "compose" / "web" / "Dockerfile").read_text()
    arguments = re.findall(r"(?m)^ARG (\w+)=(.*)$", text)
    assert "PYTHON_IMAGE" in dict(arguments)
    for key, default in arguments:
        assert default == (EXAMPLE | LAYOUT | {"BUILD_ENVIRONMENT": ""})[key], key
    assert layout().production_module == LAYOUT["SETTINGS_MODULE"]
    assert (layout().project, HERE) == (LAYOUT["PROJECT"], LAYOUT["LOCKS"])


def test_django_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SOURCES / "djup-web" / "src"))
    from djup_web.databases import KEYS, SSLMODES, database

    needed = {"SQL_DATABASE": "x", "SQL_USER": "x", "SQL_PASSWORD": "x", "SQL_HOST": "x"}
    found = database(needed | {"SQL_ENGINE": EXAMPLE["SQL_ENGINE"]}, False, ROOT)
    assert found["PORT"] == EXAMPLE["SQL_PORT"]
    assert SSLMODES == settings.SSLMODES
    assert set(KEYS) == {key for key in EXAMPLE if key.startswith("SQL_")}


def test_required_keys_are_those_that_have_no_default() -> None:
    assert {key for key, value in EXAMPLE.items() if not value} == {
        *REQUIRED,
        *FILLED_IN,
        *seed.ADMIN.values(),
        "CHECKOUT",
        *PRODUCTION_EMPTY,
    }


def test_runtime() -> None:
    assert EXAMPLE["RUNTIME"] in RUNTIMES


def test_compose_file_lists_every_compose_file() -> None:
    listed = EXAMPLE["COMPOSE_FILE"].split(EXAMPLE["COMPOSE_PATH_SEPARATOR"])
    assert sorted(listed) == sorted(f"compose/{name}" for name in COMPOSE.keys() - SWITCHED_ON)


def test_every_key_is_explained() -> None:
    """Each block of keys stands under a comment."""
    for block in env_file.EXAMPLE.read_text().strip().split("\n\n"):
        assert block.startswith("#"), block


def test_what_the_image_is_built_from_is_what_the_dockerfile_copies() -> None:
    """The development one, whose stages come first."""
    text = (ROOT / "compose" / "web" / "Dockerfile").read_text().partition(" AS project")[0]
    copied = {
        word
        for words in re.findall(r"(?m)^COPY (.*)$", text)
        for word in words.split()[:-1]
        if not word.startswith(("--", "/", "<<"))
    }
    assert copied, "the Dockerfile copies something"
    # The wheel is in a project, the sources are here, and mounted over what is installed.
    copied -= {"package[s]/djup-web"}
    here = (re.sub(r"\[(.)\]", r"\1", path).replace("${LOCKS}", HERE) for path in copied)
    for path in set(here):
        assert any(
            path == known or path.startswith(f"{known}/") for known in fingerprint.IMAGE_FILES
        )
        assert (ROOT / path).exists() or path in OPTIONAL, path


def test_oldest_python_is_one_and_the_same() -> None:
    oldest = packages.OLDEST
    dotted = ".".join(map(str, oldest))
    assert dotted == locks.PYTHON_VERSION
    launcher = (ROOT / "inv").read_text()
    assert f"sys.version_info < max({oldest}," in launcher
    assert f"Python {dotted} or newer" in launcher
    assert (
        f'target-version = "py{"".join(map(str, oldest))}"' in (ROOT / "pyproject.toml").read_text()
    )


def test_every_server_has_the_same_shared_memory() -> None:
    """db.yaml is development's and production's; an upgrade's server is started without it. It is
    enough for the index builds of a restore, each with all the memory that it may take."""
    [size] = re.findall(r"target: /dev/shm, tmpfs: \{size: (\d+)\}", COMPOSE["db.yaml"])
    assert int(size) == local_server.SHARED_MEMORY
    standby = (FOLDER / "prod/standby.yaml").read_text()
    assert f"target: /dev/shm, tmpfs: {{size: {size}}}" in standby, "it may become the database"
    others = [text for text in PRODUCTION if text != standby]
    assert not any("/dev/shm" in text for text in others)
    [megabytes] = re.findall(r"maintenance_work_mem=(\d+)MB", client.LOADING)
    assert int(size) > load.JOBS * int(megabytes) * 1_048_576
