"""`inv lock`: from requirements/*.in, which people write, to *.txt, which machines install."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from djup import HERE, REQUIREMENTS, ROOT, STATE
from djup.code import project_requirements, unhashable
from djup.host import package_index, packages, process
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.settings.layout import layout
from djup.terminal.task import this_task

# The lowest version that the launcher accepts; each lock holds for it and all later ones.
PYTHON_VERSION = "3.11"
OF_TASKS = ("build", "debug", "tasks", "zstd")
OVERRIDES = f"{HERE}/overrides.txt"  # what stands for a package that the requirements name
PART = STATE / "locks.part"  # while they are compiled
DONE = STATE / "locks"  # all compiled, and not all in place
TYPED = "inv lock"
FIND_LINKS = r"(?m)^--find-links (.+)\n+"
HEAD = r"\A(?:#.*\n)*"
INCLUDED = r"(?m)^(?:-r|--requirement)[ =](\S+)"


def compile_all(upgrade: bool) -> None:
    """Compile every lock, with hashes for all platforms; on any failure all stay as they were.

    All of them may be installed into one .venv, so each has to agree with those before it; the
    project's own packages come first.
    """
    packages.ensure("build")
    for path in sorted(REQUIREMENTS.glob("*.in")):
        unhashable.refuse(path)
    with one_at_a_time("lock"):
        finish()
        try:
            _compile_beside(upgrade)
        finally:
            shutil.rmtree(PART, ignore_errors=True)


def _compile_beside(upgrade: bool) -> None:
    _begin()
    done: list[str] = []
    for name in sorted(_names(), key=lambda name: name != "base"):
        _compile(name, done, upgrade)
        done.append(name)
    if not this_task.dry:
        for name in done:  # last: a lock that agrees with another would repeat that one's
            _add_find_links(name)
        with process.unbroken():
            PART.rename(DONE)
            finish()


def finish() -> None:
    """Put compiled locks in place; a task that was killed on the way has left some."""
    if this_task.dry or not DONE.exists():
        return
    for lock in (DONE / f"{name}.txt" for name in _names()):
        if lock.exists():  # else it was put in place before this was interrupted
            lock.replace(REQUIREMENTS / lock.name)
    shutil.rmtree(DONE)


def _begin() -> None:
    if this_task.dry:
        return
    shutil.rmtree(PART, ignore_errors=True)
    PART.mkdir()
    for name in _names():  # uv keeps the versions that it finds there
        if (lock := REQUIREMENTS / f"{name}.txt").exists():
            # Its folders of wheels are none of where this copy is.
            text = re.sub(FIND_LINKS, "", lock.read_text(encoding="utf-8"))
            (PART / lock.name).write_text(text, encoding="utf-8")


def _names() -> list[str]:
    return sorted(path.stem for path in REQUIREMENTS.glob("*.in"))


def _compile(name: str, agreeing_with: list[str], upgrade: bool) -> None:
    options = ["--universal", "--generate-hashes", "--quiet", "--python-version", _python(name)]
    options += ["--no-emit-find-links", *(["--upgrade"] if upgrade else [])]
    header = ["--custom-compile-command", TYPED]
    here = str(PART.relative_to(ROOT))
    others = [word for other in agreeing_with for word in ("-c", f"{here}/{other}.txt")]
    inputs = [word for file in _theirs(name) for word in project_requirements.as_input(file, PART)]
    files = ["--output-file", f"{here}/{name}.txt", f"{HERE}/{name}.in", *inputs]
    argv = [".venv/bin/uv", "pip", "compile", *options, *header, *others, *_overrides(), *files]
    process.show(argv)
    if this_task.dry:
        return
    done = process.run(argv, env=package_index.environment())
    process.stop_if_interrupted(done.code)
    if done.code:
        said = packages.told(done.err + done.out)
        raise problem("PKG04", said, file=f"{HERE}/{name}.in", fix=packages.fix_of(said))
    _tidy(PART / f"{name}.txt", here, agreeing_with)


def _python(name: str) -> str:
    """The oldest Python that a lock holds for: the project's own, but for what runs the tasks."""
    return layout().python if layout().python and name not in OF_TASKS else PYTHON_VERSION


def _theirs(name: str) -> Sequence[str]:
    """The files of the project's own requirements that go into a lock."""
    here = layout()
    main = dict.fromkeys(("base", "embedded"), here.requirements)
    return {**main, "dev": here.dev_requirements}.get(name, ())


def _overrides() -> Sequence[str]:
    return ("--override", OVERRIDES) if (ROOT / OVERRIDES).exists() else ()


def _tidy(lock: Path, here: str, agreeing_with: list[str]) -> None:
    """Have it name its inputs where they will be, and belong to whom the folder belongs to."""
    if not lock.exists():
        return
    text = lock.read_text(encoding="utf-8").replace(f"{here}/", f"{HERE}/")
    told = f"#    {TYPED}\n"
    text = text.replace(told, f"{told}#    {raw_command(lock.stem, agreeing_with)}\n", 1)
    lock.write_text(text, encoding="utf-8")
    unhashable.refuse_locked(lock)
    if os.geteuid() == 0:
        os.chown(lock, REQUIREMENTS.stat().st_uid, REQUIREMENTS.stat().st_gid)


def _add_find_links(name: str) -> None:
    """Have a lock name the folders of wheels that its input names."""
    lock = PART / f"{name}.txt"
    if lines := "".join(f"--find-links {folder}\n" for folder in _find_links(f"{name}.in")):
        text = lock.read_text(encoding="utf-8")
        lock.write_text(re.sub(HEAD, rf"\g<0>{lines}\n", text), encoding="utf-8")


def _find_links(name: str) -> dict[str, None]:
    """What an input names, and those that it includes: each once, in order."""
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    found = dict.fromkeys(re.findall(FIND_LINKS, text))
    for included in re.findall(INCLUDED, text):
        found |= _find_links(included)
    return found


def raw_command(name: str, agreeing_with: list[str]) -> str:
    """The command by which a lock is compiled where no toolkit is: in agreement with the first.

    Renovate reads it in the head of the lock, and runs it. It wants `=` before each value.
    """
    options = ["--universal", "--generate-hashes", f"--python-version={_python(name)}"]
    others = [f"--constraints={HERE}/{other}.txt" for other in agreeing_with[:1]]
    files = [f"--output-file={HERE}/{name}.txt", f"{HERE}/{name}.in", *_theirs(name)]
    overrides = ["=".join(_overrides())] if _overrides() else []
    return " ".join(["uv", "pip", "compile", *options, *others, *overrides, *files])
