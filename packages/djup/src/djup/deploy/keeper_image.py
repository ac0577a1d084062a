"""The keeper's image: built from the toolkit itself, beside the web's; the same for each commit."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import djup
from djup import FILES, own_or_ours
from djup.docker import engine
from djup.host import process, temporary
from djup.problems import PAGE, problem
from djup.stack import images

HERE = Path(djup.__file__).parent
DOCKERFILE = HERE / "keeper" / "Dockerfile"
LOCK = "requirements/keeper.txt"
BASES = ("KEEPER_IMAGE", "RCLONE_IMAGE", "POSTGRES_IMAGE")
LABEL = "deploy.keeper"


def name(stack: str, chosen: Mapping[str, str]) -> str:
    """Its name, with a tag by what it is built from."""
    registry = chosen["REGISTRY"].rstrip("/")
    digest = hashlib.sha256("\n".join(chosen[key] for key in BASES).encode())
    for path in (*_sources(), DOCKERFILE, own_or_ours(LOCK)):
        digest.update(path.read_bytes())
    image = f"{stack}-keeper:{digest.hexdigest()[:12]}"
    return f"{registry}/{image}" if registry else image


def _sources() -> Iterator[Path]:
    """The toolkit's modules, in an order that is the same each time."""
    found = sorted(path.relative_to(HERE) for path in HERE.rglob("*.py"))
    yield from (HERE / path for path in found if "files" not in path.parts[:1])


def ensured(stack: str, chosen: Mapping[str, str]) -> str:
    """Its name, once the engine that is asked has it."""
    image = name(stack, chosen)
    ensure(image, stack, chosen, push=False)
    return image


def ensure(image: str, stack: str, values: Mapping[str, str], *, push: bool) -> None:
    """Build it on the engine that is deployed to, if that has not got it; and have its registry
    have it, where there is one."""
    if process.run(["docker", "image", "inspect", image]).code:
        _build(image, stack, values)
    if push:
        process.attach_or_fail(["docker", "push", "--quiet", image], progress=True)


def _build(image: str, stack: str, values: Mapping[str, str]) -> None:
    with temporary.folder() as folder, images.build_secrets() as secrets:
        _write_context(Path(folder))
        argv = [
            *("docker", "build", "--label", f"{LABEL}={stack}", "--tag", image),
            *(word for key in BASES for word in ("--build-arg", f"{key}={values[key]}")),
            *(word for n, path in secrets.items() for word in ("--secret", f"id={n},src={path}")),
            str(folder),
        ]
        code, said = images.run_build(argv, {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"})
    process.stop_if_interrupted(code)
    if code:
        log = f"less {images.BUILD_LOG}" if said else "see above"
        raise problem("DEP56", images.failing_step(said), log=log)


def _write_context(folder: Path) -> None:
    shutil.copy(DOCKERFILE, folder)
    shutil.copy(own_or_ours(LOCK), folder)
    for path in (*_sources(), HERE / "py.typed"):
        target = folder / "djup" / path.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    page = folder / "djup" / "files" / PAGE
    page.parent.mkdir(parents=True)
    shutil.copy(FILES / PAGE, page)


def drop_old(stack: str, kept: Sequence[str]) -> None:
    """Remove this engine's images of it that no release has; those in use stay."""
    ours = ("--filter", f"label={LABEL}={stack}", "--format", "{{.Repository}}:{{.Tag}}")
    for tag in set(engine.ask("image", "ls", *ours).split()) - set(kept):
        process.run(["docker", "image", "rm", tag])
