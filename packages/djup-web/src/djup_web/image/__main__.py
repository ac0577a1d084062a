"""Finish an image: `python -m djup_web.image web`, or `prod FOLDER...` with folders to compile.

A project's own compose/web/ is at OWN. A program in it takes the place of ours.
"""

import compileall
import shutil
import sys
import sysconfig
from pathlib import Path

from djup_web.image import warm

HERE = Path(__file__).parent
OWN = Path("/usr/local/share/web")
BIN = Path("/usr/local/bin")
PACKAGES = sysconfig.get_path("purelib")
NAMES = ("entrypoint", "healthcheck")  # as compose files, health checks and stacks call them
SERVERS = {"web": (), "prod": ("gunicorn.arbiter", "gunicorn.workers.gthread", "whitenoise")}


def install(kind: str, own: Path, programs: Path) -> None:
    """Install the programs of a kind of image, and ask.py, which they run by its path."""
    folder = own / "prod" if kind == "prod" else own
    for name in NAMES:
        ours = HERE / "programs" / kind / name
        target = programs / name
        shutil.copyfile(folder / name if (folder / name).exists() else ours, target)
        target.chmod(0o755)
    if not (own / "ask.py").exists():
        shutil.copyfile(HERE / "ask.py", own / "ask.py")


def main(kind: str, *folders: str) -> None:
    """Install the programs, and compile what a start imports: no container could write it."""
    install(kind, OWN, BIN)
    if not all(compileall.compile_dir(path, quiet=1) for path in (PACKAGES, *folders)):
        sys.exit(1)
    warm.run(*SERVERS[kind])


if __name__ == "__main__":
    main(*sys.argv[1:])
