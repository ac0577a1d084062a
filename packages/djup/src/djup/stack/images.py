"""The images: whether they are fresh, fetched or built where they are not, and why that failed."""

import errno
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from djup import ROOT, STATE
from djup.checkout import fingerprint, web_env
from djup.docker import base_images, containers, engine, resources
from djup.host import package_index, process
from djup.problems import Problem, problem
from djup.settings.settings import Settings
from djup.terminal.task import this_task

NO_SPACE = os.strerror(errno.ENOSPC)
NO_MANIFEST = "no matching manifest"
NO_IMAGE = ("not found", "manifest unknown", "pull access denied", "invalid reference", "denied")
# Why packages could not be fetched, as pip and uv word it, and how to fix it.
OF_INDEX = {
    r"(?i)certificate.verify.failed|invalid peer certificate|UnknownIssuer": (
        "set PIP_CERT in .env to the certificate file of the authority"
    ),
    r"\b40[137]\b|Unauthorized|Forbidden|User for |EOFError": (
        "correct the user and the password in PIP_INDEX_URL in .env"
    ),
    r"(?i)connection refused|connect error|dns error|resol|timed out|unreachable|"
    r"error sending request|Could not fetch|Failed to fetch|not find a version|package registry": (
        "check the network, and PIP_INDEX_URL in .env"
    ),
}
NO_COMPILER = re.compile(
    r"(?i)need a C compiler|pkg-config|unable to execute '\w*(?:gcc|cc)'|command '\w*(?:gcc|cc)'"
    r"|pg_config executable not found|run 'pg_config'|directory: '(?:gcc|cc)'|Python\.h: No such"
)
SHOWN = 6
BUILD_LOG = STATE / "build.log"


def web_image(settings: Settings) -> str:
    """The tag of the web image, as compose/web.yaml has it."""
    return f"{settings.project}-web"


def ensure(settings: Settings, key: str, option: str = "") -> dict[str, Any]:
    """The image of `key`, inspected; fetched where it is not there. `option` is what asked for it,
    where that was not `.env`."""
    image = settings.values[key]
    if image not in resources.inspect(image):
        pull(settings, key, option)
    inspected: dict[str, Any] = resources.inspect(image).get(image, {})
    return inspected


def is_fresh(settings: Settings, image: dict[str, Any] | None) -> bool:
    """Whether an inspected web image was built from the files as they are."""
    return resources.label(image, containers.INPUTS) == fingerprint.image_inputs(settings)


def build(settings: Settings, use_cache: bool, old_serves: bool) -> None:
    """Build the web image: with its progress on a terminal, else into a log whose end counts."""
    flags = [] if use_cache else ["--no-cache"]
    inputs = {"BUILD_INPUTS": fingerprint.image_inputs(settings)}
    argv = ["docker", "compose", "build", *flags, "web"]
    with build_secrets() as files:
        inputs |= {f"{name.upper()}_FILE": str(path) for name, path in files.items()}
        code, said = run_build(argv, web_env.compose_environment(settings) | inputs)
    process.stop_if_interrupted(code)
    if code:
        raise _of_build(settings, said, old_serves)


def drop_replaced(settings: Settings) -> None:
    """Remove the images that newer ones have taken the place of."""
    replaced = ["--filter", "dangling=true", *resources.label_filter(settings)]
    for image in engine.ask("image", "ls", *replaced, "--quiet").split():
        if not this_task.dry:
            process.run(["docker", "image", "rm", image])  # one that a container uses stays


def pull(settings: Settings, key: str, option: str = "") -> None:
    """Fetch the image of `key`, or say why it cannot be."""
    image = settings.values[key]
    with tempfile.TemporaryFile("w+") as errors:
        code = process.attach(["docker", "pull", image], progress=True, err=errors)
        errors.seek(0)
        said = errors.read().strip()
    process.stop_if_interrupted(code)
    if code:
        raise _of_pull(option or key, image, said, asked=bool(option))


def run_build(argv: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Run a build; its exit code, and what it has said."""
    if sys.stderr.isatty() or this_task.dry:
        return process.attach(argv, env=env, progress=True), ""
    STATE.mkdir(mode=0o700, exist_ok=True)
    with BUILD_LOG.open("w") as log:
        code = process.attach(argv, env=env, out=log, err=log)
    return code, BUILD_LOG.read_text(errors="replace")


def _of_build(settings: Settings, said: str, old_serves: bool) -> Problem:
    if not engine.answers():
        return engine.diagnose("docker compose build")
    if cause := base_images.of_architecture("PYTHON_IMAGE", settings):
        return cause
    if full := [line for line in said.splitlines() if NO_SPACE in line]:
        return problem("SYS02", full[-1], where="for the build")
    log = f"less {BUILD_LOG.relative_to(ROOT)}" if said else "see above"
    step = failing_step(said)
    if known := cause_of_step(settings.values, step, log):
        return known
    return problem("IMG04.serves" if old_serves else "IMG04", step, log=log)


@contextmanager
def build_secrets() -> Iterator[dict[str, Path]]:
    """The files of the build's secrets, by their names, for as long as it takes."""
    authority = package_index.authority()
    if this_task.dry:
        yield {}
        return
    STATE.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATE, prefix="build-") as folder:
        texts = {"package_index": package_index.for_build().encode(), "package_ca": authority}
        files = {name: Path(folder, name) for name, text in texts.items() if text}
        for name, path in files.items():
            path.touch(0o600)
            path.write_bytes(texts[name])
        yield files


def cause_of_step(values: Mapping[str, str], step: str, log: str) -> Problem | None:
    """What `.env` asked for in vain, if that is why a step of the Dockerfile failed."""
    if "system-packages" in step.partition("\n")[0]:
        return problem("IMG07", step, names=values["SYSTEM_PACKAGES"], log=log)
    if NO_COMPILER.search(step):
        return problem("IMG09", step, log=log)
    if "package-index" in step.partition("\n")[0]:
        fixes = (fix for pattern, fix in OF_INDEX.items() if re.search(pattern, step))
        if fix := next(fixes, ""):
            return problem("IMG08", step, index=package_index.shown(), fix=fix, log=log)
    return None


def failing_step(said: str) -> str:
    """The step that failed and its last lines, from BuildKit's progress: its summary lacks some."""
    if not (failed := re.search(r"^#(\d+) ERROR: .*", said, re.MULTILINE)):
        told = [line for line in said.splitlines() if line.strip(" -|0123456789")]
        return "\n".join(told[-SHOWN:])
    step, *lines = re.findall(rf"^#{failed[1]} (.*)", said, re.MULTILINE)
    output = [printed[1] for line in lines if (printed := re.match(r"\d+\.\d+ (.*\S)", line))]
    # A COPY says nothing by itself.
    return "\n".join([step, *(output or [failed[0].partition(" ")[2]])[-SHOWN:]])


def _of_pull(key: str, image: str, said: str, *, asked: bool) -> Problem:
    if not engine.answers():
        return engine.diagnose(f"docker pull {image}", said)
    if NO_SPACE in said:
        return problem("SYS02", said, where="for images")
    if NO_MANIFEST in said:
        machine = engine.ask("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}").strip()
        return problem(
            "IMG03.asked" if asked else "IMG03",
            key=key,
            image=image,
            built_for="other machines",
            machine=machine,
        )
    if any(words in said for words in NO_IMAGE):
        return problem("IMG01.asked" if asked else "IMG01", said, key=key, image=image)
    return problem("IMG02.asked" if asked else "IMG02", said, key=key, image=image)
