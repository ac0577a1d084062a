"""The collected static files: served past Django, and shared with a proxy, which is quicker yet.

A project may have any storage and any STATIC_URL. Files in a folder are served here, under the path
of that URL: a CDN fetches them from there. What is elsewhere, as in a bucket, is not our concern.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.headers import Headers

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.files.storage import FileSystemStorage
from django.utils.module_loading import import_string

# A volume that a proxy reads as well. Hashed names never change, so that those of every release may
# lie in it side by side: a page of the old one finds its files while replicas are replaced.
SHARED = Path("/srv/static")
SHARED_PREFIX = "/static/"  # the path that the proxy serves them under
Application = Callable[..., Any]


@dataclass(frozen=True)
class Collected:
    """Files in a folder of this image, and what the paths of their URLs begin with."""

    folder: Path
    prefix: str
    hashed: frozenset[str]
    """Names, relative to the folder, that have a hash of the content in them: it never changes."""


def collected() -> Collected | None:
    """What collectstatic writes into a folder; None where it writes elsewhere, or nothing."""
    storage = of_a_folder()
    if storage is None or not storage.location:  # it has none without STATIC_ROOT
        return None
    names = urlsplit(storage.base_url or "").path.strip("/")
    return Collected(Path(storage.location), f"/{names}/" if names else "/", hashed_names())


def of_a_folder() -> FileSystemStorage | None:
    """The project's storage of static files, if it is one of files in a folder. That of a bucket is
    not made: it might look there."""
    if not apps.is_installed("django.contrib.staticfiles") or not settings.STATIC_URL:
        return None
    backend = settings.STORAGES.get("staticfiles", {}).get("BACKEND", "")
    if not backend or not issubclass(import_string(backend), FileSystemStorage):
        return None
    return staticfiles_storage if isinstance(staticfiles_storage, FileSystemStorage) else None


def hashed_names() -> frozenset[str]:
    """The files whose names have a hash of their content, which collectstatic has put there."""
    if not isinstance(staticfiles_storage, ManifestFilesMixin):
        return frozenset()
    names = staticfiles_storage.hashed_files.items()
    return frozenset(hashed for name, hashed in names if hashed != name)


def served_before(application: Application) -> Application:
    """`application`, behind a list of the files made at the start: nothing is looked for."""
    files = collected()
    if files is None or not files.folder.is_dir():
        return application
    from whitenoise import WhiteNoise  # type: ignore[import-untyped]  # of the extra [serve]

    lasting = frozenset(f"{files.prefix}{name}" for name in files.hashed)
    served: Application = WhiteNoise(
        application,
        root=files.folder,
        prefix=files.prefix,
        immutable_file_test=lambda path, url: url in lasting,
        add_headers_function=forbid_guessing,
    )
    return served


def forbid_guessing(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


def share_with_proxy() -> int | None:
    """Copy the files that never change for the proxy. The number of files copied; None without
    that volume, or if STATIC_URL is not the path that the proxy serves."""
    files = collected()
    if files is None or files.prefix != SHARED_PREFIX or not SHARED.is_mount():
        return None
    return share(files.hashed, files.folder, SHARED)


def share(names: Iterable[str], collected: Path, shared: Path) -> int:
    """Copy what `shared` lacks of these files and their compressed twins; how many those were."""
    wanted = [f"{name}{suffix}" for name in names for suffix in ("", ".gz")]
    missing = [n for n in wanted if (collected / n).exists() and not (shared / n).exists()]
    for name in missing:
        copy_whole(collected / name, shared / name)
    return len(missing)


def copy_whole(source: Path, target: Path) -> None:
    """Under its name once it is whole: a proxy, and another replica, look there meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    shutil.copyfile(source, part)
    os.replace(part, target)  # noqa: PTH105
