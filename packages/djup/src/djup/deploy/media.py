"""Where production keeps uploads (MEDIA): a volume, a bucket, a folder of a server, nowhere."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from djup import REQUIREMENTS
from djup.code import requirements
from djup.host import uploads
from djup.problems import problem
from djup.settings.layout import layout

KEYS = ("MEDIA", "MEDIA_ENDPOINT", "MEDIA_REGION", "MEDIA_ACCESS_KEY", "MEDIA_SECRET_KEY")
VOLUME, NONE = "volume", "none"
NFS_FILE = "prod/media-nfs.yaml"
ANY_NODE = "node.id != none"
NFS_OPTIONS = "rw,nfsvers=4"  # those of an address that has none
PACKAGE = "django-storages"
NOWHERE = "/srv/none"  # the containers' file system is read-only: the web answers 507
BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[^?#\s]*)?")
ENDPOINT = re.compile(r"https?://[^/?#\s]+/?")
ALLOWED = "empty, volume, none, s3://BUCKET or nfs://SERVER/PATH"


def is_bucket(address: str) -> bool:
    """Whether a value of MEDIA names a bucket."""
    return address.startswith("s3:")


def check(chosen: Mapping[str, str], prefix: str) -> None:
    """Raise unless uploads could be kept there; before anything is built."""
    address = chosen["MEDIA"]
    if address and not layout().media:
        raise _wrong("MEDIA", "empty while media of [tool.djup] in pyproject.toml is false")
    if is_bucket(address):
        _check_bucket(chosen, prefix)
    elif address.startswith("nfs:"):
        url = urlsplit(address)
        if not url.hostname or url.path in ("", "/"):
            raise _wrong("MEDIA", ALLOWED)
    elif address not in ("", VOLUME, NONE):
        raise _wrong("MEDIA", ALLOWED)


def _check_bucket(chosen: Mapping[str, str], prefix: str) -> None:
    if not BUCKET.fullmatch(chosen["MEDIA"]):
        raise _wrong("MEDIA", ALLOWED)
    endpoint = chosen["MEDIA_ENDPOINT"]
    if endpoint and not ENDPOINT.fullmatch(endpoint):
        raise _wrong("MEDIA_ENDPOINT", "empty, or a URL such as https://s3.example.org")
    given = [key for key in KEYS[3:] if chosen[key]]
    if len(given) == 1:
        lacking = next(key for key in KEYS[3:] if key not in given)
        raise problem("ENV05", key=f"{prefix}{lacking}")
    if not any(requirements.locks(REQUIREMENTS / f, PACKAGE) for f in ("base.txt", "prod.txt")):
        raise problem("DEP50", address=chosen["MEDIA"])


def _wrong(key: str, allowed: str) -> Exception:
    return problem("ENV06", key=key, allowed=allowed)


def values(stack: str, chosen: Mapping[str, str]) -> dict[str, str]:
    """What the compose files are filled in with; nothing secret."""
    address = chosen["MEDIA"]
    root = NOWHERE if address == NONE else uploads.MEDIA_ROOT if layout().media else ""
    nodes = f"node.labels.proxy.{stack} == true" if address == VOLUME else ANY_NODE
    found = {"MEDIA": address, "MEDIA_ROOT": root, "MEDIA_NODES": nodes}
    return {**found, **_volume(f"{stack}_media", address)}


def _volume(volume: str, address: str) -> dict[str, str]:
    """The volume and, where it is a folder of a file server, its options, and a name for these."""
    if not address.startswith("nfs:"):
        return {"MEDIA_VOLUME": volume, "MEDIA_NFS_OPTIONS": "", "MEDIA_NFS_DEVICE": ""}
    url = urlsplit(address)
    port = f",port={url.port}" if url.port else ""
    options = f"addr={url.hostname}{port},{url.query or NFS_OPTIONS}"
    name = f"{volume}_{_digest(f'{url.path} {options}')}"
    share = {"MEDIA_NFS_OPTIONS": options, "MEDIA_NFS_DEVICE": f":{url.path}"}
    return {"MEDIA_VOLUME": name, **share}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def files(chosen: Mapping[str, str]) -> Iterator[str]:
    """The compose files that it takes."""
    if chosen["MEDIA"].startswith("nfs:"):
        yield NFS_FILE


def settings(chosen: Mapping[str, str]) -> dict[str, str]:
    """What the web's settings read: a bucket, and the way into it. It is in a secret alone."""
    if not is_bucket(chosen["MEDIA"]):
        return {}
    return {key: chosen[key] for key in KEYS if chosen[key]}
