"""The code that is deployed: a commit, and the image built from nothing but it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from djup import ROOT
from djup.checkout import web_env
from djup.deploy import tree
from djup.deploy.production import Production
from djup.docker import engine
from djup.host import git, process, temporary
from djup.problems import Problem, problem
from djup.settings.layout import layout
from djup.stack import images
from djup.terminal.console import few

DOCKERFILE = "compose/web/Dockerfile"


@dataclass(frozen=True)
class Commit:
    """The commit that is checked out (12 digits), what differs from it, and the repository, which
    is told by its first commit ('' where that is not known)."""

    id: str
    changes: tuple[str, ...]
    repository: str


def checked_out() -> Commit:
    """What is checked out here."""
    head = git.ask("rev-parse", "--verify", "HEAD")
    if head.code:
        raise git.refusal(head) or _no_commit(head)
    status = git.ask("status", "--porcelain", "--untracked-files=all")
    if status.code:  # without Git LFS, git says that a remote end hung up
        raise next(iter(lacks()), git.cause(status))
    changes = tuple(line[3:] for line in status.out.splitlines())
    return Commit(head.out.strip()[:12], changes, _repository())


def _no_commit(head: process.Result) -> Problem:
    if head.code in git.MISSING:
        return problem("DEP32")
    reason = head.err.strip().removeprefix("fatal: ").splitlines()[-1:]
    return problem("DEP06", why="".join(reason) or "git has no commit here")


def _repository() -> str:
    if git.ask("rev-parse", "--is-shallow-repository").out.strip() != "false":
        return ""
    return next(iter(git.ask("rev-list", "--max-parents=0", "HEAD").out.split()[-1:]), "")[:12]


def lacks() -> list[Problem]:
    """What of the commit is not here, so that it cannot get into the image."""
    absent = tree.absent()
    return [*([problem("DEP33", paths=few(absent))] if absent else []), *_unfetched()]


def _unfetched() -> list[Problem]:
    """What Git LFS keeps and is not here, or cannot be told to be."""
    if tree.lfs_is_missing():
        kept = [*tree.kept_by_lfs()]
        return [problem("DEP34.missing", paths=few(kept))] if kept else []
    pointers = tree.pointers()
    return [problem("DEP34", paths=few(pointers))] if pointers else []


def new_migrations(before: str) -> list[str]:
    """The files of migrations that came since another commit, as far as git knows that one."""
    if not before:
        return []
    migrations = f":(glob){layout().prefix}**/migrations/[!_]*.py"
    return git.ask("diff", "--name-only", "--diff-filter=A", before, "--", migrations).out.split()


def tag(production: Production, commit: Commit) -> str:
    """What the tag of a commit's image begins with."""
    return f"{production.image_name}:{commit.id}{'-dirty' if commit.changes else ''}"


def is_of(image: str, tag: str) -> bool:
    """Whether an image is one of a commit, without changes of its own."""
    return image.startswith(f"{tag}-") and "-dirty" not in image


def build(production: Production, commit: Commit) -> str:
    """Build the image of a commit on the engine that is deployed to; its tag, which tells the
    content too: the same commit on another base image is another version."""
    building = tag(production, commit)
    with _context(commit) as folder, images.build_secrets() as secrets:
        argv = [
            *("docker", "build", "--target", "prod", "--file", str(folder / DOCKERFILE)),
            *_build_arguments(production),
            *(word for name, path in secrets.items() for word in _as_secret(name, path)),
            *_build_labels(production, commit),
            *("--tag", building, str(folder)),
        ]
        # They have the time of the build in them: the same content would be another each time.
        code, said = images.run_build(argv, {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})
    process.stop_if_interrupted(code)
    if code:
        raise _build_failed(production, said)
    return _tag_content(building)


def _as_secret(name: str, path: Path) -> tuple[str, str]:
    return "--secret", f"id={name},src={path}"


def _build_labels(production: Production, commit: Commit) -> Iterator[str]:
    for key, value in (("stack", production.stack), ("commit", commit.id)):
        yield from ("--label", f"deploy.{key}={value}")


def _build_arguments(production: Production) -> Iterator[str]:
    for key, value in web_env.build_arguments(production.values).items():
        yield from ("--build-arg", f"{key}={value}")


def push(tag: str) -> None:
    """Have the engine send the image to its registry."""
    code = process.attach(["docker", "push", "--quiet", tag], progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise problem("DEP11", image=tag)


def drop_old(stack: str, kept: Sequence[str]) -> None:
    """Remove this engine's images of releases that nobody goes back to; those in use stay."""
    ours = ("--filter", f"label=deploy.stack={stack}", "--format", "{{.Repository}}:{{.Tag}}")
    for tag in set(engine.ask("image", "ls", *ours).split()) - set(kept):
        process.run(["docker", "image", "rm", tag])


@contextmanager
def _context(commit: Commit) -> Iterator[Path]:
    """The folder to build from: of a clean tree the commit itself, so that no file which git
    ignores can get into the image."""
    if commit.changes:
        yield ROOT
        return
    with temporary.folder() as folder:
        tree.write(Path(folder, "tree"))
        yield Path(folder, "tree")


def _tag_content(building: str) -> str:
    digest = engine.ask("image", "inspect", "--format", "{{.Id}}", building).strip()
    own = f"{building}-{digest.removeprefix('sha256:')[:12]}"
    engine.ask("image", "tag", building, own)
    engine.ask("image", "rm", building)
    return own


def _build_failed(production: Production, said: str) -> Problem:
    log = f"less {images.BUILD_LOG.relative_to(ROOT)}" if said else "see above"
    step = images.failing_step(said)
    known = images.cause_of_step(production.values, step, log)
    return known or problem("DEP10", step, log=log)
