"""Uploaded files: where they are stored, under which names, and how a private one is sent.

A settings module has `MEDIA_ROOT = media.root(environ, BASE_DIR)` and, in STORAGES,
`"default": media.storage(environ)`.
"""

import os
import re
import uuid
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.utils.http import content_disposition_header
from django.views import static
from djup_web.env import Environ

STORAGE = "djup_web.media.MediaStorage"
BUCKET = "djup_web.bucket.BucketStorage"
PRIVATE = "private"  # the folder that no URL leads to
LONGEST = 247  # bytes of a name: 255 less what makes it another one, as in photo_a1b2c3d.jpg
SHORT = 40  # characters that every field can hold
# Where a proxy that knows X-Accel-Redirect has MEDIA_ROOT; ours does.
ACCEL = "MEDIA_ACCEL"
# What a browser shows and never runs. All else is downloaded: a page or an SVG would have scripts.
SHOWN = (
    *(".avif", ".gif", ".jpeg", ".jpg", ".png", ".webp"),
    *(".m4a", ".m4v", ".mov", ".mp3", ".mp4", ".oga", ".ogg", ".ogv", ".opus", ".wav", ".webm"),
    *(".pdf", ".txt"),
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def root(environ: Environ, base_dir: Path) -> Path:
    """The folder of the uploaded files: MEDIA_ROOT, else one outside the project's source."""
    return Path(environ.get("MEDIA_ROOT") or base_dir.parent / ".state/media")


def storage(environ: Environ) -> dict[str, Any]:
    """The entry `default` of STORAGES: MEDIA_ROOT or, with MEDIA=s3://BUCKET, that bucket."""
    address = environ.get("MEDIA", "")
    if not address.startswith("s3:"):
        return {"BACKEND": STORAGE}
    return {"BACKEND": BUCKET, "OPTIONS": bucket(environ, address)}


def bucket(environ: Environ, address: str) -> dict[str, Any]:
    """The options of a bucket's storage: its address is s3://BUCKET or s3://BUCKET/FOLDER."""
    url = urlsplit(address)
    if url.scheme != "s3" or not url.netloc:
        raise ImproperlyConfigured(f"MEDIA is {address!r}: a bucket is s3://BUCKET.")
    keys = ("MEDIA_ENDPOINT", "MEDIA_REGION", "MEDIA_ACCESS_KEY", "MEDIA_SECRET_KEY")
    names = ("endpoint_url", "region_name", "access_key", "secret_key")
    given = {name: environ.get(key) for name, key in zip(names, keys, strict=True)}
    options = {name: value for name, value in given.items() if value}
    return {"bucket_name": url.netloc, "location": url.path.strip("/"), **options}


def acceptable(name: str) -> str:
    """A name without control characters and leading dots, whose last part is 247 bytes at most."""
    folder, _, last = name.replace("\\", "/").rpartition("/")
    last = CONTROL.sub("", last).lstrip(".") or "file"
    stem, suffix = parted(last)
    room = LONGEST - len(suffix.encode())
    stem = stem.encode("utf-8", "ignore")[:room].decode("utf-8", "ignore")
    return "/".join(part for part in (folder, f"{stem}{suffix}") if part)


def parted(name: str) -> tuple[str, str]:
    """A name as what is before its suffix, and the suffix with its dot ('' where it has none)."""
    stem, dot, suffix = name.rpartition(".")
    if not stem.rpartition("/")[2] or "/" in suffix or len(suffix.encode()) > SHORT:
        return name, ""
    return stem, f"{dot}{suffix}"


class MediaStorage(FileSystemStorage):
    """Files in a folder: each is there as a whole or not at all, and none replaces another."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return super().get_available_name(acceptable(str(name)), max_length)

    def _save(self, name: str, content: "File[Any]") -> str:
        part = Path(self.location, f".{uuid.uuid4().hex}.part")
        try:
            self._write(part, content)
            return self._link(part, name)
        finally:
            part.unlink(missing_ok=True)

    def _write(self, part: Path, content: "File[Any]") -> None:
        """Write it out to the disk, so that one which is full says so now."""
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            for chunk in content.chunks():
                file.write(chunk.encode() if isinstance(chunk, str) else chunk)
            file.flush()
            os.fsync(file.fileno())
        if self.file_permissions_mode is not None:
            part.chmod(self.file_permissions_mode)

    def _link(self, part: Path, name: str) -> str:
        """Give it its name, or another one where that is taken; the name that it has."""
        while True:
            path = Path(self.path(name))
            path.parent.mkdir(self.directory_permissions_mode or 0o777, True, exist_ok=True)
            try:
                # Unlike a rename, this fails if somebody else has taken the name meanwhile.
                os.link(part, path)
            except FileExistsError:
                name = self.get_available_name(name, max(len(name), SHORT))
            else:
                return name


def private() -> Storage:
    """The storage of files that no URL leads to: `FileField(storage=media.private)`.

    A view decides who may have one, and answers with `media.send(note.file)`."""
    chosen = settings.STORAGES["default"]
    options = dict(chosen.get("OPTIONS", {}))
    if chosen["BACKEND"] == BUCKET:
        options["location"] = f"{options.get('location', '')}/{PRIVATE}".lstrip("/")
    else:
        options["location"] = Path(options.get("location") or settings.MEDIA_ROOT, PRIVATE)
        options["base_url"] = f"{settings.MEDIA_URL}{PRIVATE}/"  # answered with 404
    made: Storage = storages.create_storage({**chosen, "OPTIONS": options})
    return made


def is_shown(name: str) -> bool:
    """Whether a browser may show a file of this name, rather than save it."""
    return name.lower().endswith(SHOWN)


def send(file: "File[Any]") -> HttpResponseBase:
    """Answer with a stored file, such as `note.file`: by the proxy, which sends it at the speed of
    static files; by Django where no proxy does; by the bucket, with a link that expires."""
    name, kept = str(file.name), getattr(file, "storage", None)
    response: HttpResponseBase
    if not isinstance(kept, FileSystemStorage):
        response = HttpResponseRedirect(kept.url(name) if kept else "")
    elif prefix := os.environ.get(ACCEL, ""):
        response = by_proxy(Path(kept.path(name)), prefix)
    else:
        response = FileResponse(opened(kept, name), as_attachment=not is_shown(name))
    response["Cache-Control"] = "private, no-cache"
    return response


def serve(request: HttpRequest, path: str, document_root: Path) -> HttpResponseBase:
    """Serve a file of MEDIA_ROOT in development: what the proxy would serve in production."""
    parts = Path(path).parts
    if parts[:1] == (PRIVATE,) or any(part.startswith(".") for part in parts):
        raise Http404
    answer = static.serve(request, path, str(document_root))
    if not is_shown(path):
        answer["Content-Disposition"] = "attachment"
    return answer


def by_proxy(path: Path, prefix: str) -> HttpResponse:
    """An empty answer, in whose place the proxy sends a file of MEDIA_ROOT."""
    inside = path.relative_to(Path(settings.MEDIA_ROOT).absolute()).as_posix()
    response = HttpResponse()
    del response["Content-Type"]  # the proxy knows it
    response["X-Accel-Redirect"] = f"{prefix}{quote(inside)}"
    disposition = content_disposition_header(not is_shown(path.name), path.name)
    if disposition:
        response["Content-Disposition"] = disposition
    return response


def opened(kept: Storage, name: str) -> IO[Any]:
    """The file, which whoever sends it closes."""
    file: IO[Any] = kept.open(name).file  # type: ignore[assignment]
    return file
