"""The toolkit: what the tasks are made of. Each folder imports from those above it alone.

problems      what can fail: docs/problems.md, filled in
terminal      what a person reads and answers
host          this machine: processes, ports, files, the .venv
settings      `.env` as data
docker        an engine: what it holds of this project, why it does not answer
checkout      this folder: its `.env`, made and read; hashes of its files
postgres      servers and clients
code          linters, suites, locks
stack/causes  why a service fails: from what it says to the problem by its name
stack         the services, on every runtime
data          backups, snapshots, restores, and what else moves rows
keeper        scheduled backups, in a container of their own in production
deploy/swarm  what a Swarm holds: nodes, services, secrets, configs
deploy        releases of a stack on a Swarm
doctor        what is wrong here
project       how the toolkit gets into a repository: its wheels, a new project
cli           the command line
tasks         what a project's own tasks.py is made of
"""

import os
import sys
from pathlib import Path

__version__ = "0.1.0"


def is_checkout(folder: Path) -> bool:
    """Whether a checkout of this toolkit is there, this one or another."""
    # Asked with access(2): for a folder that we may not enter that is a no, not an error.
    return all(os.access(folder / file, os.F_OK) for file in ("inv", "tasks.py"))


def _root() -> Path:
    """The checkout that the launcher has put on `sys.path`, else the one whose .venv this is."""
    folders = (*map(Path, sys.path), Path(sys.prefix).parent)
    return next((one for one in folders if one.is_absolute() and is_checkout(one)), Path.cwd())


ROOT = _root()
"""The checkout: the folder that holds tasks.py."""
SOURCES = ROOT / "packages"
"""The toolkit's own packages, where it is worked on; a project that uses it has them installed."""
IS_INSTALLED = not Path(__file__).resolve().is_relative_to(SOURCES.resolve())
FILES = Path(__file__).parent / "files" if IS_INSTALLED else ROOT
"""What the toolkit has besides modules: the starter, the documents; in its wheel or its sources."""
_OWN_REQUIREMENTS = ROOT / "requirements" / "djup"
IS_ADOPTED = _OWN_REQUIREMENTS.is_dir()
"""Whether the toolkit came by `djup adopt`, rather than the project by `djup new`."""
REQUIREMENTS = _OWN_REQUIREMENTS if IS_ADOPTED else _OWN_REQUIREMENTS.parent
"""The locks; a folder deeper in a project that was adopted, which may have files of these names."""
HERE = str(REQUIREMENTS.relative_to(ROOT))
"""The same, from the root of the checkout."""


def own_or_ours(path: str) -> Path:
    """A file that the toolkit has, or in its place the project's own of the same path."""
    own = ROOT / path
    return own if own.exists() else FILES / path


STATE = ROOT / ".state"  # what tasks note for one another; git ignores it
