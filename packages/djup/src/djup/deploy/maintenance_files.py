"""Writes the maintenance page for the proxy of a node, or removes it.

Run by Python in a container on that node, with HOME [PAGE ADDRESS...]: the folder is there as a
whole or not at all, since the proxy looks at every request whether it is.
"""

import os
import shutil
import sys
from pathlib import Path


def main(home: Path, page: str = "", *allowed: str) -> None:
    """Have HOME hold the page, and a file for each address that is let through."""
    new, old = (home.with_name(f"{home.name}-{name}") for name in ("new", "old"))
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    if page:
        (new / "allowed").mkdir(parents=True)
        (new / "page.html").write_text(page, encoding="utf-8")
        for address in allowed:
            (new / "allowed" / address).touch()
    if home.exists():
        home.rename(old)
    if page:
        new.rename(home)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), *sys.argv[2:])
