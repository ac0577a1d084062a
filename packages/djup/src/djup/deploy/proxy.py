"""The proxy from inside: whether the site is ready behind it, and who signs on a trial."""

import time
from pathlib import Path

from djup import STATE
from djup.deploy.pages import Check
from djup.deploy.swarm.release import Release
from djup.docker import engine
from djup.host import process
from djup.problems import problem

SCRIPT = Path(__file__).with_name("readyz.py")
SECONDS = 60  # for a certificate to come
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"


def refuse_not_ready(release: Release, check: Check) -> None:
    """Raise unless every proxy answers /readyz with 200, within a minute, and the pages well."""
    container, deadline = check.asked_from(release), time.monotonic() + SECONDS
    while (answer := _ask(release, container)) != "200":
        if time.monotonic() > deadline:
            raise problem("DEP16", url=release.url, answer=answer)
        time.sleep(1)
    check.refuse_failing_by_proxy(release)


def host(release: Release) -> str:
    """A name that the site is served under."""
    return release.names[0].replace("*", "www")


def _ask(release: Release, container: str) -> str:
    name = host(release)
    ports = ("HTTPS_PORT", "HTTP_PORT") if release.is_by_http else ("HTTPS_PORT",)
    command = ["python", "-", name, *(release.values[port] for port in ports)]
    argv = ["docker", "exec", "--interactive", container, *command]
    done = process.run(argv, stdin=SCRIPT.read_text())
    return done.out.strip() or done.err.strip().rpartition("\n")[2] or "no answer"


def save_root_certificate(stack: str) -> Path | None:
    """The certificate of Caddy's own authority on this machine, as a file; None if it has none."""
    label = f"label=com.docker.swarm.service.name={stack}_proxy"
    names = engine.ask("ps", "--filter", label, "--format", "{{.Names}}").split()
    copied = process.run(["docker", "exec", names[0], "cat", ROOT_CERTIFICATE]) if names else None
    if copied is None or copied.code:
        return None
    STATE.mkdir(mode=0o700, exist_ok=True)
    file = STATE / f"{stack}.crt"
    file.write_text(copied.out)
    return file
