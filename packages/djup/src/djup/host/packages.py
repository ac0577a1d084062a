"""`.venv` and what is in it: the launcher calls `begin`, before anything is installed.

A lock of `requirements/` is installed when it is first needed, and again when it has changed:
`.venv/locks/` holds a copy of each one that is in.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from djup import FILES, HERE, REQUIREMENTS, ROOT, SOURCES
from djup.host import ownership, package_index
from djup.problems import Problem, problem
from djup.terminal import console
from djup.terminal.task import this_task

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = VENV / "locks"
SHARED_LOCKS = ("debug", "keeper", "zstd")  # a project need not have them: djup has them for all
READY = LOCKS / "ready"  # the launcher asks whether it is newer than the lock of the tasks
LOCK = VENV / ".installing"  # not .lock, which is uv's own: it would wait for us
OLDEST = (3, 11)

# `inv` in an activated environment: the launcher of the checkout that one stands in.
INV = """\
#!/bin/sh
home=%s
folder=$PWD
until [ -x "$folder/inv" ] && [ -f "$folder/tasks.py" ]; do
  if [ -z "$folder" ]; then
    case " $* " in *" --complete "*) exit 0 ;; esac
    echo "inv: not in a checkout. Run: cd $home" >&2
    exit 1
  fi
  folder=${folder%%/*}
done
exec "$folder/inv" "$@"
"""


class InstallFailed(Exception):
    """What could not be installed: `evidence` is what uv, venv or pip said, `fix` what to do."""

    def __init__(self, what: str, said: str) -> None:
        self.what, self.evidence, self.fix = what, told(said), fix_of(said)
        super().__init__(_reason(self.evidence))


# What pip and uv say of a cause, and what to do then. The first that matches counts: without a
# network pip ends with "No matching distribution", too.
AGAIN = "then run the same command again"
CAUSES = {
    r"[Nn]o module named '?ensurepip|ensurepip is not": (
        f"on Debian or Ubuntu: sudo apt install python3-venv, {AGAIN}"
    ),
    r"No space left on device|Disk quota exceeded": f"free space on that disk, {AGAIN}",
    r"Read-only file system": f"make the disk of .venv writable, {AGAIN}",
    r"Permission denied": f'if it is not yours: sudo chown -R "$(id -u):$(id -g)" .venv, {AGAIN}',
    r"(?i)NewConnectionError|ConnectTimeout|ProxyError|SSLError|name resolution|resolve host|"
    r"dns error|error sending request|tcp connect|failed to (?:fetch|connect)|timed out|"
    r"unreachable|connection (?:refused|reset)|certificate": (
        f"check the network, or the proxy or mirror of pip (pip config list), {AGAIN}"
    ),
    r"(?i)do not match the hashes|hash mismatch": (
        "the index serves another file than the locked one. If somebody edited the lock: "
        f"git checkout {HERE}/. Otherwise ask the operator of the index; inv lock accepts it"
    ),
    r"(?i)version control|editable requirement|point to directories|hashes are required|"
    r"don't have a way to hash|in `?--require-hashes`? mode|must have a hash": (
        f"write that requirement as the URL of an archive, or as a version, in {HERE}/*.in, "
        "then: inv lock"
    ),
    r"(?i)requires? a different python|does not satisfy python|requires-python|python>=": (
        "use a newer Python (put that python3 first on PATH, and remove .venv), or require "
        f"an older version of the package in {HERE}/*.in, then: inv lock"
    ),
    r"from versions: none": (
        f"check the network, and the name and the version in {HERE}/*.in, {AGAIN}"
    ),
    r"(?i)no matching distribution|no version of|not found in the package registry|"
    r"no solution found|no versions of": (
        f"correct the name or the version in {HERE}/*.in, then: inv lock"
    ),
}
OTHER = "correct what the lines above name, " + AGAIN
WIDEST = 300
LONGEST = 40  # lines of what they said that are shown


def told(said: str) -> str:
    """What pip or uv has said, whole, less its own tracebacks and advertising, and less secrets."""
    said = re.sub(r"(?m)^Traceback .*\n(?:[ \t]+.*\n)*(?:[\w.]+Error: .*\n?)?", "", said)
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    kept = [_cut(line) for line in lines if not line.startswith("[notice]")]
    return re.sub(r"//[^/@\s]+@", "//…@", "\n".join(kept[-LONGEST:]))


def _cut(line: str) -> str:
    """A line that is not too long to be read: pip lists every version of a package in one."""
    return line if len(line) <= WIDEST else f"{line[:WIDEST]} ..."


def fix_of(said: str) -> str:
    """What to do about it."""
    return next((fix for sign, fix in CAUSES.items() if re.search(sign, said)), OTHER)


def ensure(*names: str) -> None:
    """Have `requirements/NAME.txt` installed for each name; says so where that takes a while."""
    missing = [name for name in names if not is_installed(name)]
    if this_task.dry:
        for name in missing:
            print(f"{_shown_lock(name)} would be installed into .venv", file=sys.stderr)
        return
    if missing:
        _install_all(missing)
    _link_sources()


def optional(*names: str) -> list[str]:
    """Those of these locks that the project has."""
    return [name for name in names if (REQUIREMENTS / f"{name}.txt").exists()]


def fetch(name: str, wanted: Sequence[str], folder: Path) -> None:
    """Have these packages of a lock in a folder of their own, without what they require."""
    if folder.exists():
        return
    if this_task.dry:
        print(f"{', '.join(wanted)} would be fetched into {folder.name}", file=sys.stderr)
        return
    print(
        f"fetching {', '.join(wanted)} into {folder.parent.name}/ ...", file=sys.stderr, flush=True
    )
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    lock = part / f"{name}.txt"
    lock.write_text(_stanzas(name, wanted))
    argv = [*_installer(), "--quiet", "--no-deps", "--require-hashes"]
    _call([*argv, "--target", str(part), "-r", str(lock)], _shown_lock(name))
    part.rename(folder)


def digest(name: str, wanted: Sequence[str]) -> str:
    """What tells the versions of these packages from others: a hash of what the lock has."""
    return hashlib.sha256(_stanzas(name, wanted).encode()).hexdigest()[:10]


def _stanzas(name: str, wanted: Sequence[str]) -> str:
    """What a lock has of these packages: the line with the version, and the hashes below."""
    text = _lock(name).read_text(encoding="utf-8")
    found = re.findall(r"(?m)^(\S+?)(==.*(?:\n[ ].*)*)", text)
    return "".join(f"{package}{rest}\n" for package, rest in found if package in wanted)


def of_linters() -> list[str]:
    """The locks that have the linters: one of their own, else those of a project that was adopted
    and brings its own."""
    return optional("lint") or ["embedded", *optional("dev")]


def _link_sources() -> None:
    """Have Python find the toolkit's own packages, where they are worked on, as if installed."""
    for packages in VENV.glob("lib/python3*/site-packages"):
        # From there, not from the root: a .venv may be lent to another checkout.
        lines = [f"../../../../packages/{path.parent.name}/src" for path in SOURCES.glob("*/src")]
        link, text = packages / "djup-sources.pth", "".join(f"{line}\n" for line in sorted(lines))
        if lines and (not link.exists() or link.read_text() != text):
            link.write_text(text)


def _install_all(missing: list[str]) -> None:
    VENV.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first calls at once: the second finds all done
        for name in missing:
            if not is_installed(name):
                _install(name)


def is_installed(name: str) -> bool:
    """Whether `requirements/NAME.txt` is in `.venv` as it stands."""
    copy, lock = LOCKS / f"{name}.txt", _lock(name)
    return copy.exists() and copy.read_bytes() == lock.read_bytes() and os.access(PYTHON, os.X_OK)


def _lock(name: str) -> Path:
    """The lock of a name: the project's, else the one that the toolkit has for all."""
    own = REQUIREMENTS / f"{name}.txt"
    ours = FILES / "requirements" / own.name
    return ours if name in SHARED_LOCKS and not own.exists() else own


def _shown_lock(name: str) -> str:
    lock = _lock(name)
    return f"{HERE}/{lock.name}" if lock.parent == REQUIREMENTS else f"djup's {lock.name}"


def _install(name: str) -> None:
    lock = _lock(name)
    print(f"installing {_shown_lock(name)} into .venv ...", file=sys.stderr, flush=True)
    if not _works():
        _make_venv()
    argv = [*_installer(), "--quiet", "--require-hashes", "-r", str(lock)]
    _call(argv, _shown_lock(name))
    LOCKS.mkdir(exist_ok=True)
    (LOCKS / f"{name}.txt").write_bytes(lock.read_bytes())
    if name == "tasks":
        _shadow_console_script()


def _works() -> bool:
    # The interpreter that it was made with may have gone, or be too old.
    test = f"import sys; sys.exit(sys.version_info < {OLDEST} or sys.prefix != {str(VENV)!r})"
    try:
        return subprocess.run([PYTHON, "-c", test], capture_output=True).returncode == 0
    except OSError:
        return False


def _make_venv() -> None:
    for leftover in VENV.iterdir():  # all but our lock, which is held
        if leftover != LOCK:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    if uv := shutil.which("uv"):
        argv = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)]
        _call(argv, "a Python")
    else:
        # pip comes next, by itself: venv would keep what it says when it fails.
        _call([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "a Python")


def _installer() -> list[str]:
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--compile-bytecode", "--python", str(PYTHON)]
    if subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode:
        _call([str(PYTHON), "-m", "ensurepip", "--default-pip"])
    return [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]


def _call(argv: list[str], what: str = "pip") -> None:
    environment = package_index.environment()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        said = f"{done.stderr}\n{done.stdout}" if (done.stderr + done.stdout).strip() else ""
        raise InstallFailed(what, said or f"{argv[0]} failed without a message")


def _reason(said: str) -> str:
    """One line of it: the first error, with what a colon at its end announces."""
    lines = said.splitlines()
    errors = [n for n, line in enumerate(lines) if line.lower().startswith("error")]
    first = errors[0] if errors else len(lines) - 1
    more = lines[first + 1 : first + 2] if lines[first].endswith(":") else []
    return " ".join((lines[first], *(line.strip() for line in more)))


def _shadow_console_script() -> None:
    script = VENV / "bin" / "inv"
    script.write_text(INV % shlex.quote(str(ROOT)))
    script.chmod(0o755)


def begin() -> None:
    """Make `.venv` with what the tasks need, or end with what keeps it from being made."""
    try:
        ensure("tasks")
        READY.touch()
    except InstallFailed as error:
        sys.exit(_shown(problem("PKG01", error.evidence, what=error.what, fix=error.fix)))
    except OSError as error:
        sys.exit(_shown(ownership.problem_of(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def _shown(error: Problem) -> str:
    return console.as_typed(str(error))
