"""`.venv` and what is in it: the launcher runs this file as a script, before anything is installed.

A lock of `requirements/` is installed when it is first needed, and again when it has changed:
`.venv/locks/` holds a copy of each one that is in.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = VENV / "locks"
LOCK = VENV / ".installing"  # not .lock, which is uv's own: it would wait for us
OLDEST = (3, 11)
dry = False  # what `inv --dry` sets

# `inv` in an activated environment: the launcher of the checkout that one stands in.
INV = """\
#!/bin/sh
home=%s
folder=$PWD
until [ -x "$folder/inv" ] && [ -f "$folder/tasks.py" ]; do
  if [ -z "$folder" ]; then
    case " $* " in *" --complete "*) exit 0 ;; esac
    echo "inv: there is no checkout here. Type: cd $home" >&2
    exit 1
  fi
  folder=${folder%%/*}
done
exec "$folder/inv" "$@"
"""


class InstallFailed(Exception):
    """What uv, venv or pip gave as the reason: its last line."""


def ensure(*names: str) -> None:
    """Have `requirements/NAME.txt` installed for each name; says so where that takes a while."""
    missing = [name for name in names if not is_installed(name)]
    if dry:
        for name in missing:
            print(f"requirements/{name}.txt would be installed into .venv", file=sys.stderr)
    elif missing:
        _install_all(missing)


def _install_all(missing: list[str]) -> None:
    VENV.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first calls at once: the second finds all done
        for name in missing:
            if not is_installed(name):
                _install(name)


def is_installed(name: str) -> bool:
    """Whether `requirements/NAME.txt` is in `.venv` as it stands."""
    copy, lock = LOCKS / f"{name}.txt", ROOT / "requirements" / f"{name}.txt"
    return copy.exists() and copy.read_bytes() == lock.read_bytes() and os.access(PYTHON, os.X_OK)


def _install(name: str) -> None:
    lock = ROOT / "requirements" / f"{name}.txt"
    print(f"installing requirements/{name}.txt into .venv ...", file=sys.stderr, flush=True)
    if not _works():
        _make_venv()
    _call([*_installer(), "--quiet", "--require-hashes", "-r", str(lock)])
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
        _call([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)])
    else:
        _call([sys.executable, "-m", "venv", str(VENV)])


def _installer() -> list[str]:
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--compile-bytecode", "--python", str(PYTHON)]
    if subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode:
        _call([str(PYTHON), "-m", "ensurepip"])  # made by a uv that is no longer on PATH
    return [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or [f"{argv[0]} failed"]
        raise InstallFailed(_reason(lines))


def _reason(lines: list[str]) -> str:
    errors = [line for line in lines if line.lower().startswith("error")]
    text = " ".join(lines)
    if "ensurepip" in text:  # Debian and Ubuntu ship venv without it
        return (
            "this Python has no ensurepip; on Debian or Ubuntu type: sudo apt install python3-venv"
        )
    return (errors or lines)[-1]


def _shadow_console_script() -> None:
    script = VENV / "bin" / "inv"
    script.write_text(INV % shlex.quote(str(ROOT)))
    script.chmod(0o755)


if __name__ == "__main__":
    try:
        ensure("tasks")
        (LOCKS / "tasks.txt").touch()  # newer than the lock, as the launcher asks
    except (InstallFailed, OSError) as error:
        sys.exit(
            f"error PKG01: .venv is not ready: {error}\n"
            "  to mend it: check the network, then type ./inv again\n"
            "  about it: docs/problems.md#pkg01"
        )
    except KeyboardInterrupt:
        sys.exit(130)
