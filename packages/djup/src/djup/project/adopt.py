"""`djup adopt`: the toolkit for a project that exists, as one commit that can be reverted.

Everything is written, locked and committed in a worktree beside the checkout. The checkout itself
changes once, when its branch moves on to that commit: git then replaces no file that it has not.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from djup import ROOT, STATE, __version__
from djup.checkout import manifest
from djup.code.project_requirements import missing_program
from djup.host import git, process, temporary
from djup.problems import problem
from djup.project import adopted, starter, wheels
from djup.project.survey import Choices, Survey, survey
from djup.terminal import console
from djup.terminal.task import this_task

WITHOUT_HOOKS = ("-c", "core.hooksPath=/dev/null")
UPLOADS = "MEDIA_ROOT"
# Of what the launcher of the work tree says: its steps, and advice that is not about this one.
QUIET = (".venv/bin/uv ", "installing ")
OWN_ADVICE = ("fix:", "docs:", "error PKG04")


def run(choices: Choices) -> None:
    """Find out what the project consists of, say so, and commit what brings the toolkit into it."""
    _refuse_other_states()
    found = survey(ROOT, git.listed(), choices)
    _refuse_clashes(found)
    _show(found)
    if missing := missing_program(found.requirements):
        raise problem("NEW16", file=missing[0], program=missing[1])
    if this_task.dry:
        _show_dry(found)
        return
    with _worktree() as tree:
        _write(found, tree)
        _lock(tree)
        commit = _commit(tree)
    git.answer(*WITHOUT_HOOKS, "merge", "--quiet", "--ff-only", "--no-overwrite-ignore", commit)
    _say_what_next(found)


def _refuse_other_states() -> None:
    """Raise unless this is the top of a repository with a commit, with nothing to be committed."""
    top = git.ask("rev-parse", "--show-toplevel")
    if refusal := git.refusal(top):
        raise refusal
    if top.code or git.ask("rev-parse", "--verify", "--quiet", "HEAD").code:
        raise problem("NEW07")
    if Path(top.out.strip()).resolve() != ROOT.resolve():
        raise problem("NEW07.inside", top=top.out.strip())
    if manifest.read(ROOT):
        raise problem("NEW12")
    if git.ask("var", "GIT_COMMITTER_IDENT").code:
        raise problem("NEW15")
    if changes := git.answer("status", "--porcelain", "--untracked-files=no").splitlines():
        raise problem("NEW03", files=console.few([line[3:] for line in changes]))


def _paths(found: Survey) -> list[str]:
    """The files that are new, from the root of the checkout."""
    ours = [path for path in adopted.managed(_no_wheels()) if path not in adopted.BLOCKS]
    return sorted([*ours, *adopted.owned(found), manifest.NAME])


def _show_dry(found: Survey) -> None:
    """Say which files would be new, and which would be other ones."""
    for path in (*_paths(found), f"{adopted.LOCKS}/*.txt", f"{adopted.LOCKS}/wheels/*.whl"):
        console.say(f"would be written: {path}")
    for path in (*adopted.BLOCKS, *adopted.edited(found)):
        what = "edited at its end" if (ROOT / path).exists() else "written"
        console.say(f"would be {what}: {path}")


def _no_wheels() -> dict[str, str]:
    """Names of wheels whose hashes do not matter yet."""
    return dict.fromkeys((wheels.TOOLKIT, wheels.WEB), "0" * 64)


def _refuse_clashes(found: Survey) -> None:
    """Raise where the project has a file of a name that the toolkit needs."""
    taken = [path for path in _paths(found) if os.path.lexists(ROOT / path)]
    ours = (*adopted.FOLDERS, *starter.held())
    taken += [path for path in ours if os.path.lexists(ROOT / path)]
    taken += [path for path in ("compose", "requirements") if (ROOT / path).is_symlink()]
    if taken:
        raise problem("NEW13", files=", ".join(taken))
    if git.listed(".env"):
        raise problem("NEW13.env")
    _refuse_unsafe_edits(found)


def _refuse_unsafe_edits(found: Survey) -> None:
    """Raise where git could not restore a file that would be edited, or it lies somewhere else."""
    edited = [*adopted.BLOCKS, *adopted.edited(found)]
    here = [path for path in edited if os.path.lexists(ROOT / path)]
    if unknown := set(here).difference(git.listed(*here) if here else ()):
        raise problem("NEW13.unknown", files=console.few(sorted(unknown)))
    if links := [path for path in here if (ROOT / path).is_symlink()]:
        raise problem("NEW13.link", files=console.few(links))


def _show(found: Survey) -> None:
    """Say what was found."""
    rows = [
        ("manage.py", f"in {found.project}/" if found.project != "." else "at the top"),
        ("settings", _shown(found)),
        ("requirements", ", ".join(found.requirements)),
        ("in development also", ", ".join(found.dev_requirements)),
        ("Python", f"{found.image_python} in the image, locks for {found.python} and newer"),
        ("variables", ", ".join(f"{name} = {fact}" for name, fact in found.environment.items())),
        ("left alone", ", ".join(found.left_alone)),
    ]
    console.say(console.table(("FOUND", "WHAT"), [row for row in rows if row[1]]))


def _shown(found: Survey) -> str:
    if found.production == found.settings:
        return found.settings.name
    return f"{found.settings.name}, in production {found.production.name}"


@contextmanager
def _worktree() -> Iterator[Path]:
    """A second work tree of this commit, which is removed at the end."""
    with temporary.folder() as made:
        _forget_killed()
        tree = Path(made) / ROOT.name
        git.answer(*WITHOUT_HOOKS, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            yield tree
        finally:
            git.ask("worktree", "remove", "--force", str(tree))


def _forget_killed() -> None:
    """Have git forget the work trees of ours whose folder is gone; another may be on a disk that is
    not there now."""
    for line in git.answer("worktree", "list", "--porcelain").splitlines():
        tree = Path(line.removeprefix("worktree "))
        is_ours = tree.match(f"{STATE}/{temporary.PREFIX}*/*")
        if is_ours and not tree.exists():
            git.ask("worktree", "remove", str(tree))


def _write(found: Survey, tree: Path) -> None:
    """Write the new files and the edits into the work tree."""
    pins = {w.name: wheels.sha256(w) for w in wheels.ours(tree / adopted.LOCKS / "wheels")}
    ours = adopted.managed(pins)
    example = {".env.example": adopted.example(found, ours[".env.example"])}
    for path, text in {**ours, **example}.items():
        file = tree / path
        before = adopted.read(file) if file.exists() else ""
        _put(file, adopted.blocked(path, before, text), program=path in starter.PROGRAMS)
    for path, text in {**adopted.owned(found), **adopted.edited(found)}.items():
        _put(tree / path, text, program=False)
    note = manifest.of_texts(__version__, {**ours, **example})
    _put(tree / manifest.NAME, note.as_text(), program=False)


def _put(file: Path, text: str, *, program: bool) -> None:
    """Write a file; one that is there keeps its mode."""
    existed = file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    if not existed:
        file.chmod(0o755 if program else 0o644)


def _lock(tree: Path) -> None:
    """Compile the locks there, with that work tree's own launcher."""
    console.say("compiling the locks from the Python package index ...")
    done = process.run([str(tree / "inv"), "lock"], env=_environment())
    process.stop_if_interrupted(done.code)
    if done.code:
        raise problem("NEW14", _why(done.err))


def _why(said: str) -> str:
    """The end of what a launcher has said, without the commands that it has shown."""
    lines = [line for line in said.splitlines() if not line.startswith(QUIET)]
    return "\n".join(line for line in lines if not line.lstrip().startswith(OWN_ADVICE))


def _environment() -> Mapping[str, str]:
    """Our environment without the Python that we run in, which is not the project's."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON")
    return {key: value for key, value in os.environ.items() if key not in ours}


def _commit(tree: Path) -> str:
    git.answer("add", "--all", folder=tree)
    # What their .gitignore leaves out, such as .env* or wheels/, is a part of it all the same.
    ours = (*adopted.managed(_no_wheels()), adopted.LOCKS, "tasks.py", manifest.NAME)
    git.answer("add", "--force", "--", *ours, folder=tree)
    words = ("commit", "--quiet", "--no-verify", "--message", f"Adopt djup {__version__}")
    git.answer(*WITHOUT_HOOKS, *words, folder=tree)
    return git.answer("rev-parse", "HEAD", folder=tree).strip()


def _say_what_next(found: Survey) -> None:
    """Say what came of it and what is left for the user, then let doctor look at it."""
    commit = git.answer("rev-parse", "--short", "HEAD").strip()
    console.say(f"\nadopted in commit {commit}; to undo: inv nuke, then git revert {commit}")
    for sentence in _left(found):
        console.say(sentence)
    process.attach([str(ROOT / "inv"), "doctor"], env=_environment())
    if this_task.interrupted:
        console.say("the project is adopted: only this check was interrupted")
    console.answer("./inv up\n")


def _left(found: Survey) -> Iterator[str]:
    """What this project needs that nobody but its owner knows."""
    yield "for production: DOMAIN and DEPLOY_TO in .env, then inv deploy; here: inv deploy --local"
    if found.needed:
        names = ", ".join(found.needed)
        yield f"set these in .env, and for production with the prefix PROD_: {names}"
    if any(name.startswith(("docker-compose", "compose")) for name in found.left_alone):
        yield "plain docker compose reads COMPOSE_FILE of .env here: name your own file with -f"
    if (ROOT / ".env").exists():
        yield ".env is kept; the first task adds the keys that it lacks"
    text = found.production.file.read_text(encoding="utf-8")
    if UPLOADS in text or UPLOADS in found.settings.file.read_text(encoding="utf-8"):
        yield f"{UPLOADS} is set: with media = true in [tool.djup], djup keeps the uploads"
