"""Scheduled backups of production, as `.env` asks for them (BACKUP_AT and the keys beside it)."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from djup import ROOT
from djup.deploy import keeper_image
from djup.deploy.swarm.release import CA
from djup.keeper import seal, thinning, times
from djup.keeper.config import IDENTITY, KEYS, Config
from djup.problems import problem
from djup.settings.settings import SYSTEM

FILE = "prod/keeper.yaml"
ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^?#\s]*)?")
SERVER = re.compile(r"sftp://[^/?#\s]+@[^/?#\s]+/[^?#\s]+")
ALLOWED = "empty, s3://BUCKET/PATH or sftp://USER@SERVER/PATH"
HOST_KEY = re.compile(r"(ssh-|ecdsa-|sk-)\S+ \S+.*")
URLS = ("HEARTBEAT_URL", "NOTIFY_URL")


def is_on(chosen: Mapping[str, str]) -> bool:
    """Whether production has scheduled backups."""
    return bool(chosen["BACKUP_AT"])


def has_store(chosen: Mapping[str, str]) -> bool:
    """Whether there may be some: also of a stack that makes none any more, or not yet again."""
    return is_on(chosen) or bool(chosen["BACKUP_TO"])


def files(chosen: Mapping[str, str]) -> Iterator[str]:
    """The compose files that they take."""
    if is_on(chosen):
        yield FILE


def check(chosen: Mapping[str, str], prefix: str) -> None:
    """Raise at the first value that no backup could be made with."""
    if not has_store(chosen):
        return
    if is_on(chosen):
        _check_rules(chosen, prefix)
    _check_address(chosen, prefix)
    key, identity = chosen["BACKUP_KEY"], chosen[IDENTITY]
    if identity and not seal.PRIVATE.fullmatch(identity):
        raise _wrong(IDENTITY, "empty, or a private key (AGE-SECRET-KEY-1...)")
    if key and not (seal.PUBLIC.fullmatch(key) or seal.PRIVATE.fullmatch(key)):
        raise _wrong(f"{prefix}BACKUP_KEY", seal.ALLOWED)
    for name in URLS:
        if chosen[name] and not re.fullmatch(r"https?://\S+", chosen[name]):
            raise _wrong(f"{prefix}{name}", "empty, or a URL such as https://hc-ping.com/...")


def _check_rules(chosen: Mapping[str, str], prefix: str) -> None:
    try:
        times.of_day(chosen["BACKUP_AT"])
    except ValueError:
        raise _wrong(f"{prefix}BACKUP_AT", f"empty, or {times.ALLOWED_AT}") from None
    try:
        thinning.periods(chosen["BACKUP_KEEP"])
    except ValueError:
        raise _wrong(f"{prefix}BACKUP_KEEP", thinning.ALLOWED) from None
    if chosen["BACKUP_VERIFY"] not in times.VERIFY:
        raise _wrong(f"{prefix}BACKUP_VERIFY", f"one of {', '.join(times.VERIFY)}")


def _check_address(chosen: Mapping[str, str], prefix: str) -> None:
    address = chosen["BACKUP_TO"]
    if address.startswith("sftp:"):
        if not SERVER.fullmatch(address):
            raise _wrong(f"{prefix}BACKUP_TO", ALLOWED)
        _check_server(chosen, prefix)
    elif address and not ADDRESS.fullmatch(address):
        raise _wrong(f"{prefix}BACKUP_TO", ALLOWED)
    elif address and not (chosen["BACKUP_ENDPOINT"] or chosen["BACKUP_REGION"]):
        raise problem("ENV05", key=f"{prefix}BACKUP_REGION")
    elif address and not (chosen["BACKUP_ACCESS_KEY"] and chosen["BACKUP_SECRET_KEY"]):
        lacking = "SECRET" if chosen["BACKUP_ACCESS_KEY"] else "ACCESS"
        raise problem("ENV05", key=f"{prefix}BACKUP_{lacking}_KEY")


def _check_server(chosen: Mapping[str, str], prefix: str) -> None:
    """Who is asked, and that it is the right one: a server that is not known could be anybody."""
    host = urlsplit(chosen["BACKUP_TO"]).hostname
    if urlsplit(chosen["BACKUP_TO"]).password:
        raise _wrong(
            f"{prefix}BACKUP_TO", "an address without a password, which BACKUP_SECRET_KEY takes"
        )
    if not HOST_KEY.fullmatch(chosen["BACKUP_HOST_KEY"]):
        allowed = f"the server's key, such as ssh-ed25519 AAAA...: ssh-keyscan {host} shows it"
        raise _wrong(f"{prefix}BACKUP_HOST_KEY", allowed)
    if not (chosen["BACKUP_SSH_KEY"] or chosen["BACKUP_SECRET_KEY"]):
        raise problem("ENV05", key=f"{prefix}BACKUP_SSH_KEY")


def _wrong(key: str, allowed: str) -> Exception:
    return problem("ENV06", key=key, allowed=allowed)


def values(stack: str, chosen: Mapping[str, str], way: Mapping[str, str]) -> dict[str, str]:
    """What the compose file is filled in with, nothing secret; `way` leads to the database."""
    if not is_on(chosen):
        return {}
    root = way["DATABASE_SSLROOTCERT"]
    of_proxy = chosen["MEDIA"] == "volume" or bool(chosen["SQL_HOST"])
    return {
        "KEEPER": keeper_image.name(stack, chosen),
        "KEEPER_REPLICAS": "1",
        "KEEPER_NODES": f"node.labels.{'proxy' if of_proxy else 'db'}.{stack} == true",
        "KEEPER_SSLROOTCERT": root if root in ("", SYSTEM) else CA,
        **{key: chosen[key] for key in keeper_image.BASES},
    }


def secrets(stack: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """What the keeper alone is told."""
    return {"keeper": config(stack, chosen).as_text()} if is_on(chosen) else {}


def config(stack: str, chosen: Mapping[str, str], *, restores: bool = False) -> Config:
    """What the keeper is told; who `restores` has the private key as well."""
    told = {key: chosen[key] for key in KEYS if chosen[key]}
    if name := chosen["BACKUP_SSH_KEY"]:
        told["BACKUP_SSH_KEY"] = _private_key(name)
    if restores and chosen[IDENTITY]:
        told[IDENTITY] = chosen[IDENTITY]
    return Config(stack, told)


def _private_key(name: str) -> str:
    try:
        text = (ROOT / Path(name).expanduser()).read_text()
    except (OSError, UnicodeDecodeError):
        text = ""
    if "-----BEGIN " not in text:
        raise problem("DEP23", key="BACKUP_SSH_KEY", name=name)
    return text


def warnings(chosen: Mapping[str, str], prefix: str) -> Iterator[str]:
    """What the plan warns of, one sentence each."""
    if chosen["BACKUP_TO"] and not is_on(chosen):
        yield f"without {prefix}BACKUP_AT no scheduled backups are made"
    if is_on(chosen) and not chosen["BACKUP_TO"]:
        yield (
            f"without {prefix}BACKUP_TO the scheduled backups are in a volume of the node, and are "
            "lost with it"
        )
    if is_on(chosen) and chosen["BACKUP_TO"] and not chosen["BACKUP_KEY"]:
        yield f"without {prefix}BACKUP_KEY the scheduled backups are stored without encryption"
    if is_on(chosen) and not chosen["HEARTBEAT_URL"]:
        yield (
            f"without {prefix}HEARTBEAT_URL nobody is told when the server that makes the backups "
            "is gone"
        )
