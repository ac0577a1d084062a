"""The collected static files: served past Django, and shared with a proxy, which is quicker yet."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from wsgiref.headers import Headers

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, staticfiles_storage
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

# A volume that a proxy reads as well. Hashed names never change, so that those of every release may
# lie in it side by side: a page of the old one finds its files while replicas are replaced.
SHARED = Path("/srv/static")


def hashed_names() -> frozenset[str]:
    """The files whose names collectstatic has put a hash into, relative to STATIC_ROOT."""
    assert isinstance(staticfiles_storage, ManifestStaticFilesStorage)
    return frozenset(staticfiles_storage.hashed_files.values())


def served_before(application: Callable[..., Any]) -> Callable[..., Any]:
    """`application`, behind a list of the files made at the start: nothing is looked for."""
    prefix = urlparse(settings.STATIC_URL).path
    lasting = frozenset(f"{prefix}{name}" for name in hashed_names())
    served: Callable[..., Any] = WhiteNoise(
        application,
        root=settings.STATIC_ROOT,
        prefix=prefix,
        immutable_file_test=lambda path, url: url in lasting,
        add_headers_function=forbid_guessing,
    )
    return served


def forbid_guessing(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"


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
