"""A package that is asked for: a wheel of a few lines, as an index or a folder has it."""

import zipfile
from pathlib import Path


def wheel(folder: Path, *stated: str) -> str:
    """The address of `shop-api` 1, with these lines in its metadata."""
    file = folder / "shop_api-1-py3-none-any.whl"
    lines = ("Metadata-Version: 2.1", "Name: shop-api", "Version: 1", *stated, "")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("shop_api-1.dist-info/METADATA", "\n".join(lines))
        archive.writestr("shop_api-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("shop_api-1.dist-info/RECORD", "")
    return file.as_uri()
