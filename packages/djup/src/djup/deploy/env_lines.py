"""`inv deploy.env`: what a deployed stack holds of a lost `.env`, as lines for a new one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from djup import ROOT
from djup.checkout import env_file, web_env
from djup.deploy import edge, history, keeper_image, media, production, standby
from djup.deploy.production import HANDED_OVER, PLAIN_KEYS, POOL_KEYS, PORTS, SHARED
from djup.deploy.swarm import jobs, toolbox
from djup.deploy.swarm.release import WAY, Release
from djup.deploy.swarm.swarm import Swarm
from djup.deploy.target import find_target
from djup.docker import engine
from djup.keeper.config import IDENTITY, KEYS
from djup.problems import problem
from djup.settings import database_url, dotenv, stages
from djup.settings.layout import layout
from djup.settings.settings import SYSTEM, Settings
from djup.terminal import console
from djup.terminal.task import this_task

# Known keys whose values are in the secret `settings`, with the keys that the user has added.
TOLD = (*HANDED_OVER, *SHARED, *media.KEYS)
# What one URL can say in the place of several keys, however odd the signs in it.
IN_URL = ("SQL_USER", "SQL_PASSWORD", "SQL_DATABASE", "SQL_HOST", "SQL_PORT", *database_url.TLS)
KEEPER = "keeper"  # the secret of scheduled backups, which the web has not got
SSH_KEY = "BACKUP_SSH_KEY"  # names a file, and the secret has its text
# Who deploys or restores reads them, and no container of the stack.
NOT_THERE = ("DEPLOY_CHECK", stages.KEY, "PIP_INDEX_URL", "PIP_CERT", IDENTITY)


def show(settings: Settings, context: str, *, local: bool) -> None:
    """Print the lines on stdout, and on stderr what they lack."""
    target = find_target(settings, context, local=local)
    release = history.current(target.stack)
    if release is None:  # to deploy, as the problem says elsewhere, would make a second stack
        command = engine.as_typed("stack ls")
        raise problem("DEP18.unknown", stack=target.stack, where=target.where, command=command)
    if this_task.dry:
        console.say(f"would read the secrets of {release.stack} in a container of its own")
        return
    values = values_of(release, _secrets(release, target.swarm), this_task.engine, settings)
    console.answer(as_text(values))
    for sentence in _lacking(release, values):
        console.say(sentence)


def _secrets(release: Release, swarm: Swarm) -> dict[str, str]:
    """The contents of the secrets of the web, and of the keeper where there is one, by name."""
    further = (KEEPER,) if f"{KEEPER.upper()}_SECRET" in release.values else ()
    with toolbox.toolbox(release, swarm, further=further) as container:
        names = (*jobs.SECRETS, *further)
        return {name: toolbox.read_secret(container, name) for name in names}


def values_of(
    release: Release,
    secrets: Mapping[str, str],
    deploy_to: str = "",
    settings: Settings | None = None,
) -> dict[str, str]:
    """The values by the keys that `.env` has them under, without those that are the default; of a
    stage those that it would not have by the other lines of `.env`.

    `secrets` are the contents of a stack's secrets by their names; `deploy_to` is where it is.
    """
    example = dotenv.parse(env_file.example())
    others = _without_its_lines(settings, example)
    defaults = production.values_of(others)
    found = {**_of_release(release), **_of_secrets(secrets), "DEPLOY_TO": deploy_to}
    chosen = {**defaults, **found}
    spelled = _spelled(chosen).items()
    own = {key: text for key, text in spelled if text != defaults.get(key, "")}
    own |= _added(json.loads(secrets["settings"]), chosen)
    return {_name(key, example, others): text for key, text in own.items()}


def _without_its_lines(settings: Settings | None, example: Mapping[str, str]) -> Settings:
    """What there would be without a line of `.env`; of a stage, without its own lines."""
    if not (settings and settings.stage):
        return Settings(example, frozenset())
    others = {k: text for k, text in settings.values.items() if not k.startswith(settings.prefix)}
    return replace(settings, values={**example, **others})


def as_text(values: Mapping[str, str]) -> str:
    """The lines of `.env` that have these values."""
    spelled = ((key, dotenv.quoted(text)) for key, text in values.items())
    return "\n".join(f"{key}={text}" for key, text in spelled if text)


def _of_release(release: Release) -> dict[str, str]:
    """What the values of a release were made from: releases of earlier versions have fewer."""
    values = release.values
    as_they_are = (*PLAIN_KEYS, *PORTS, *POOL_KEYS, *keeper_image.BASES, "MEDIA")
    return {
        **{key: values[key] for key in as_they_are if key in values},
        **_way_to_database(release),
        "STACK": release.stack,
        "DOMAIN": ",".join(release.names),
        "EMAIL": values["ACME_ACCOUNT"].removeprefix("email "),
        "TLS": values.get("EDGE_TLS", values["TLS"]),
        "EDGE": "1" if edge.is_behind(release) else "0",
        "TRUSTED_PROXIES": ",".join(edge.trusted_besides(release)),
        "REGISTRY": release.image.rpartition(f"{release.stack}-web")[0].rstrip("/"),
        "STANDBY": "1" if standby.FILE in release.files else "",
        "ARCHIVE": f"{values['ARCHIVE_DAYS']}d" if "ARCHIVE_DAYS" in values else "",
        "NETWORK_ENCRYPTED": "1" if "prod/encryption.yaml" in release.files else "0",
    }


def _of_secrets(secrets: Mapping[str, str]) -> dict[str, str]:
    """The known keys whose values are in secrets."""
    told: dict[str, str] = json.loads(secrets["settings"])
    kept: dict[str, str] = json.loads(secrets.get(KEEPER, "{}"))
    return {
        "SECRET_KEY": secrets["secret_key"],
        "SQL_PASSWORD": secrets["sql_password"],
        **{key: told[key] for key in TOLD if key in told},
        **{key: kept[key] for key in KEYS if key in kept and key != SSH_KEY},
    }


def _way_to_database(release: Release) -> dict[str, str]:
    """The keys of a managed database, and not those of a pooler in front of it."""
    if release.has_own_database:
        return {}
    return {f"SQL_{key}": release.values[f"DATABASE_{key}"] for key in WAY}


def _added(told: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """The keys that the user has added, without those that `environment` of `[tool.djup]` fills."""
    filled, known = production.mapped(chosen), production.known_keys()
    return {k: text for k, text in told.items() if k not in known and filled.get(k) != text}


def _spelled(chosen: Mapping[str, str]) -> dict[str, str]:
    """The values with the database as a URL, where `.env` has no spelling for a part of it."""
    if not chosen["SQL_HOST"] or all(dotenv.quoted(chosen[key] or "-") for key in IN_URL):
        return dict(chosen)
    others = {key: text for key, text in chosen.items() if key not in IN_URL}
    return {**others, "DATABASE_URL": database_url.of(chosen)}


def _name(key: str, example: Mapping[str, str], settings: Settings) -> str:
    """The key as `.env` has it: with PROD_, unless development has no part in it anyway; or with
    the prefix of a stage."""
    prefixed = settings.prefix + key
    preset = example.get(prefixed)  # by a team, for all of its members: it would win
    is_shared = settings.stage or not web_env.is_of_production(key) or preset
    return prefixed if is_shared else key


def _lacking(release: Release, values: Mapping[str, str]) -> Iterator[str]:
    """What the lines lack, a sentence each, with the way to it."""
    absent = (*NOT_THERE, *(() if this_task.engine else ("DEPLOY_TO",)))
    yield (
        f"not in the stack, so not printed: {', '.join(absent)}, and whatever only development "
        "uses. If you had set them, set them again"
    )
    if unspelled := [key for key, text in values.items() if not dotenv.quoted(text)]:
        yield f"not printed, since .env has no spelling for the value: {', '.join(unspelled)}"
    if release.values.get("EDGE_TLS", release.values["TLS"]) == "certificate":
        yield _of_files(release, "proxy", "TLS_CERT and TLS_KEY", "tls_cert", "tls_key")
    if any("sftp:" in text for key, text in values.items() if key.endswith("BACKUP_TO")):
        yield _of_files(release, "keeper", SSH_KEY, KEEPER)
    yield from _lacking_authority(release)


def _of_files(release: Release, service: str, keys: str, *secrets: str) -> str:
    """How to see the contents of the files that some keys name."""
    paths = " ".join(f"/run/secrets/{name}" for name in secrets)
    return (
        f"not printed: {keys}, since the stack has the content of a file and not its name. To "
        f"print it, run on the node of the {service}: docker exec $(docker ps --quiet --filter "
        f"name={release.stack}_{service}) cat {paths}"
    )


def _lacking_authority(release: Release) -> Iterator[str]:
    """How to write the file of the database's authority, where this checkout has no such file."""
    name = release.values["DATABASE_SSLROOTCERT"]
    path = f"{layout().prefix}{name}"
    if name in ("", SYSTEM) or Path(ROOT, path).exists():
        return
    inspect = "config inspect --format '{{printf \"%s\" .Spec.Data}}' "
    command = engine.as_typed(f"{inspect}{release.values['CA_CONFIG']} > {path}")
    yield f"{path}, which SQL_SSLROOTCERT names, is not in this checkout: {command}"
