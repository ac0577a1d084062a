"""`inv toolkit.upgrade`: another version of the toolkit in a project that has one.

The other version's own code decides what its files are, and this one's what they were. All that
will change is written into `.state/upgrade` first. From then on the upgrade only copies, so that
the next one finishes one that was killed.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from djup import HERE, IS_ADOPTED, IS_INSTALLED, REQUIREMENTS, ROOT, STATE, __version__
from djup.checkout import env_file, manifest
from djup.host import git, packages, process, temporary
from djup.host.checkout_lock import one_at_a_time
from djup.problems import problem
from djup.project import adopted, locks, merge, wheels
from djup.project.merge import Act, Step
from djup.terminal import console
from djup.terminal.task import this_task

PREPARED = STATE / "upgrade"  # complete, and not all in place
WHEELS = REQUIREMENTS / "wheels"
TELL = """
import sys
sys.path[:0] = sys.argv[1:2]
import json
from djup.project import adopted, starter
source = adopted if sys.argv[3] == "adopted" else starter
files = source.managed(json.loads(sys.argv[2]))
held = getattr(starter, "held", dict)()
print(json.dumps({"files": files, "held": held, "programs": sorted(starter.PROGRAMS)}))
"""
SHOWN_CHANGES = 40  # lines of the CHANGELOG


@dataclass(frozen=True)
class Release:
    """A version of the toolkit: its wheels, the texts of the files that it manages, and of those
    that it keeps to itself unless a project has its own."""

    version: str
    wheels: Sequence[Path]
    files: Mapping[str, str]
    held: Mapping[str, str]
    programs: Sequence[str]
    changes: str


@dataclass(frozen=True)
class Plan:
    """What an upgrade that is prepared has to do besides copying, and how it ends."""

    version: str
    removed: Sequence[str]
    conflicts: Sequence[str]


def run(to: str) -> None:
    """Bring the version of the toolkit into this project that `to` names: a wheel, a folder that
    has one, or a version of the index."""
    if not IS_INSTALLED:
        raise problem("NEW06")
    with one_at_a_time("toolkit.upgrade"):
        if PREPARED.exists() and not this_task.dry:
            _finish()
        else:
            _begin(to)


def _begin(to: str) -> None:
    _refuse_edits()
    with temporary.folder() as made:
        ours = _release(_find(WHEELS, __version__), Path(made, "before"))
        theirs = _release(_asked_for(to, Path(made)), Path(made, "after"))
        if _same(ours, theirs):
            console.say(f"djup {ours.version} is in this project already")
        else:
            _upgrade(ours, theirs)


def _upgrade(ours: Release, theirs: Release) -> None:
    in_blocks = adopted.BLOCKS if IS_ADOPTED else ()
    own = [path for path in ours.held if (ROOT / path).exists()]
    before, after = (_texts(release, own) for release in (ours, theirs))
    steps = [*merge.steps(ROOT, before, after, in_blocks)]
    _show(ours, theirs, steps)
    if this_task.dry:
        return
    _prepare(theirs, steps)
    _finish()


def _texts(release: Release, own: Sequence[str]) -> Mapping[str, str]:
    """The texts of a version by their paths: of managed files, and of what the project has of its
    own in place of the toolkit's."""
    return {**{path: release.held[path] for path in own if path in release.held}, **release.files}


def _same(ours: Release, theirs: Release) -> bool:
    return [*map(wheels.sha256, ours.wheels)] == [*map(wheels.sha256, theirs.wheels)]


def _refuse_edits() -> None:
    """An upgrade is a commit of its own: raise where there is anything else to be committed."""
    if changes := git.answer("status", "--porcelain", "--untracked-files=no").splitlines():
        raise problem("NEW03", files=console.few([line[3:] for line in changes]))


def _asked_for(to: str, folder: Path) -> Path:
    """The djup wheel that `to` names."""
    path = Path(to).expanduser()
    if path.is_file() and path.suffix == ".whl":
        return path
    if path.is_dir():
        return _find(path, "*")
    if re.fullmatch(r"\d+(\.\w+)*", to):
        return _fetch(to, folder)
    raise problem("NEW04", to=repr(to))


def _find(folder: Path, version: str) -> Path:
    found = [*folder.glob(f"djup-{version}-py3-none-any.whl")]
    if len(found) != 1:
        raise problem("NEW04", to=repr(str(folder)))
    return found[0]


def _fetch(version: str, folder: Path) -> Path:
    """Fetch the wheel of a version from the index."""
    python = str(packages.PYTHON)
    process.run([python, "-m", "ensurepip", "--default-pip"])
    argv = [python, "-m", "pip", "download", "--no-deps", "--dest", str(folder), f"djup=={version}"]
    process.stop_if_interrupted(process.attach(argv))
    found = [*folder.glob(f"djup-{version}-*.whl")]
    if len(found) != 1:
        raise problem("NEW04.version", to=version)
    return found[0]


def _release(wheel: Path, folder: Path) -> Release:
    """Read a version from its wheel: by its own code, unpacked into `folder`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        version = wheel.name.split("-")[1]
        [web] = (folder / "djup" / "files" / "wheels").glob("djup_web-*.whl")
        changes = (folder / "djup" / "files" / "CHANGELOG.md").read_text(encoding="utf-8")
    except (OSError, zipfile.BadZipFile, ValueError, IndexError):
        raise problem("NEW04", to=repr(str(wheel))) from None
    pins = {file.name: wheels.sha256(file) for file in (wheel, web)}
    words = [str(folder), json.dumps(pins), "adopted" if IS_ADOPTED else "new"]
    done = process.run([str(packages.PYTHON), "-P", "-c", TELL, *words])
    if done.code:
        raise problem("NEW05", done.err.strip(), wheel=wheel.name)
    told = json.loads(done.out)
    release = Release(version, (wheel, web), told["files"], told["held"], told["programs"], changes)
    return _as_here(release)


def _as_here(release: Release) -> Release:
    """A version as an adopted project has it: .env.example names its Python, and keys it needs."""
    if not IS_ADOPTED or not env_file.EXAMPLE.exists():
        return release
    name = env_file.EXAMPLE.name
    text = adopted.as_in(env_file.example(), release.files[name])
    return replace(release, files={**release.files, name: text})


def _show(ours: Release, theirs: Release, steps: Sequence[Step]) -> None:
    console.say(f"djup {ours.version} -> {theirs.version}")
    if steps:
        console.say(console.table(("FILE", "WHAT"), [(step.path, step.act) for step in steps]))
    for line in [*_changes(ours.version, theirs)][:SHOWN_CHANGES]:
        console.say(line)
    if new := _requirements(theirs) - _requirements(ours):
        console.say(f"it also requires {console.few(sorted(new))}: run inv lock, then commit")


def _requirements(release: Release) -> set[str]:
    """What its packages require, as their metadata have it."""
    lines: list[str] = []
    for wheel in release.wheels:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
            lines += archive.read(name).decode().splitlines()
    return {line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")}


def _changes(since: str, theirs: Release) -> Iterator[str]:
    """The lines of the CHANGELOG that come after a version."""
    parts = re.split(r"(?m)^(?=## )", theirs.changes)[1:]
    for part in parts:
        if part.split()[1] == since:
            return
        yield from part.rstrip().splitlines()


def _prepare(theirs: Release, steps: Sequence[Step]) -> None:
    """Write all that will be there into a folder, and give it its name when it is complete."""
    part = PREPARED.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    texts = {step.path: step.text for step in steps if step.text is not None}
    texts |= _pinned(theirs)
    texts[manifest.NAME] = manifest.of_texts(theirs.version, theirs.files).as_text()
    for path, text in texts.items():
        file = part / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755 if path in theirs.programs else 0o644)
    folder = part / "files" / HERE / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in theirs.wheels:
        shutil.copy(wheel, folder)
    removed = [step.path for step in steps if step.act is Act.REMOVED]
    new = {wheel.name for wheel in theirs.wheels}
    old = [wheel for wheel in WHEELS.glob("djup*.whl") if wheel.name not in new]
    removed += [str(wheel.relative_to(ROOT)) for wheel in old]
    conflicts = [step.path for step in steps if step.act is Act.CONFLICT]
    plan = Plan(theirs.version, removed, conflicts)
    (part / "plan.json").write_text(json.dumps(asdict(plan)))
    part.rename(PREPARED)


def _pinned(theirs: Release) -> dict[str, str]:
    """The locks with the hashes of the other wheels; nothing else in them changes."""
    hashes = {wheel.name: wheels.sha256(wheel) for wheel in theirs.wheels}
    texts = {}
    for lock in sorted(REQUIREMENTS.glob("*.txt")):
        path, text = str(lock.relative_to(ROOT)), lock.read_text(encoding="utf-8")
        changed = locks.with_other_wheels(text, hashes)
        if changed != text:
            texts[path] = changed
    return texts


def _finish() -> None:
    """Put the prepared files in place, and commit them; may be done again at any point."""
    plan = Plan(**json.loads((PREPARED / "plan.json").read_text()))
    with process.unbroken():
        for path in _paths():
            _put(PREPARED / "files" / path, ROOT / path)
        for path in plan.removed:
            (ROOT / path).unlink(missing_ok=True)
        git.answer("add", "--all", "--force", "--", *_known(plan.removed), *_paths())
        _commit(plan)
        shutil.rmtree(PREPARED)
    console.say("run: inv up")


def _known(paths: Sequence[str]) -> list[str]:
    """Those of which git can note that they are gone."""
    return git.listed(*paths) if paths else []


def _paths() -> list[str]:
    """The prepared files, the wheels first: a lock that pins one always has to find it."""
    files = PREPARED / "files"
    paths = [str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()]
    return sorted(paths, key=lambda path: (not path.endswith(".whl"), path))


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.copy(source, part)
    part.replace(target)


def _commit(plan: Plan) -> None:
    """One commit, unless lines are left to be resolved."""
    if plan.conflicts:
        marked = console.few(plan.conflicts)
        console.say(f"resolve the marked lines in {marked}, then run: git commit --all")
        return
    message = f"Upgrade djup to {plan.version}"
    if git.ask("diff", "--cached", "--quiet").code:
        # What a hook has to say of our files is none of what it is there for, and must not stop us.
        git.answer("commit", "--quiet", "--no-verify", "--message", message)
