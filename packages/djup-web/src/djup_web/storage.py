"""Static files with hashed names, for a project that was never written for them.

Such a project may name files that do not exist: a stylesheet of a package that refers to a picture
or a source map which the package lacks, a template that names a script which was removed. By plain
names that is a request answered with 404; with Django's own storage of hashed names collectstatic
fails, or the whole page does. Here such a name stays as it is.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from re import Match
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from whitenoise.storage import (  # type: ignore[import-untyped]
    CompressedManifestStaticFilesStorage,
)

Paths = Mapping[str, tuple[Storage, str]]


class ForgivingStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hashed names for all files that exist; every other name is left as it is."""

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """The hashed name, or `name` itself where no such file was collected."""
        key = self.hash_key(urlsplit(unquote(name)).path.strip())
        return str(super().stored_name(name)) if key in self.hashed_files else name

    def url_converter(self, *arguments: Any, **options: Any) -> Callable[[Match[str]], str]:
        """Django's, which puts hashed names into a stylesheet or a script."""
        convert = super().url_converter(*arguments, **options)

        def convert_if_there(found: Match[str]) -> str:
            try:
                return str(convert(found))
            except (ValueError, SuspiciousFileOperation):  # no such file, or outside of the folder
                return found[0]

        return convert_if_there

    def _post_process(
        self, paths: Paths, adjustable_paths: Collection[str], hashed: MutableMapping[str, str]
    ) -> Iterator[tuple[str, str | None, Any, bool]]:
        """Django's; a stylesheet that is not in UTF-8 is not searched for names."""
        texts = {name for name in adjustable_paths if is_utf8(*paths[name])}
        for name, hashed_name, done, changed in super()._post_process(paths, texts, hashed):
            # Django goes on for as long as one of them changes: these never do.
            yield name, hashed_name, done, changed and name in texts


def is_utf8(storage: Storage, path: str) -> bool:
    with storage.open(path) as file:
        try:
            file.read().decode()
        except UnicodeDecodeError:
            return False
    return True
