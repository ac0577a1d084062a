"""The pages of a new version, asked for before any visitor is answered by it.

A replica of it is started beside the others, under a name that the proxy does not know, and asked
there with the headers that the proxy would give: an answer of the proxy could be any replica's, and
once it was the new one's, so was a visitor's.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from djup import ROOT, STATE
from djup.deploy import maintenance
from djup.deploy.swarm import swarm_stack, toolbox
from djup.deploy.swarm.release import WAY, Release
from djup.deploy.swarm.swarm import Swarm
from djup.host import process
from djup.problems import Problem, problem
from djup.terminal import console

SERVICE = "web-check"
PORT = 8000
LOG = STATE / "deploy-check.log"
LOG_LINES = "1000"
SHOWN = 12


@dataclass
class Check:
    """Which pages are asked for; `before`, once known, is what the release before answers, and
    `good` are those that the new one has answered well. As a context it keeps the container that
    it asks from until its end."""

    paths: Sequence[str]
    swarm: Swarm
    before: Mapping[str, str] | None = None
    good: list[str] = field(default_factory=list)
    container: str = ""
    opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Check":
        return self

    def __exit__(self, *_: object) -> None:
        self.container = ""
        self.opened.close()

    def asked_from(self, release: Release) -> str:
        """The container of the release that is asked from."""
        if not self.container:
            self.container = self.opened.enter_context(toolbox.toolbox(release, self.swarm))
        return self.container

    def look_at_before(self, release: Release) -> None:
        """Ask the site as it is: before its web is stopped. Behind a maintenance page that is not
        known: then each page has to be well."""
        if maintenance.noticed(release.stack):
            self.before = {}
        elif self.paths:
            with toolbox.toolbox(release, self.swarm) as container:
                self.before = by_proxy(container, release, self.paths)

    def refuse_failing(self, release: Release, serves: Release | None) -> None:
        """Raise if a page fails that the release that `serves` answers well; of a first release, if
        any page fails. The log of the new version is kept in a file."""
        if not self.paths:
            return
        try:
            swarm_stack.apply_copy(straight_to_database(release), SERVICE)
            container = self.asked_from(release)  # starts meanwhile
            self._wait(release.stack)
            answers = _answers(container, release, self.paths, SERVICE, PORT)
            self.good = [path for path in self.paths if is_well(answers[path])]
            bad = [path for path in self.paths if path not in self.good]
            if bad and serves and self.before is None:
                hidden = maintenance.noticed(serves.stack)
                self.before = {} if hidden else by_proxy(container, serves, bad)
            self._judge(release, {path: answers[path] for path in bad}, first=serves is None)
        finally:
            process.clean_up(["docker", "service", "rm", f"{release.stack}_{SERVICE}"])

    def _wait(self, name: str) -> None:
        try:
            swarm_stack.wait(name, [f"{name}_{SERVICE}"], tries=1)
        except Problem as error:
            error.what = error.what.replace(f"{name}_{SERVICE}", f"{name}_web")
            error.log = _keep_log(name)[1]
            raise

    def _judge(self, release: Release, bad: Mapping[str, str], *, first: bool) -> None:
        for path, answer in bad.items():
            if first or is_well((self.before or {}).get(path, "")):
                said, log = _keep_log(release.stack)
                if first:
                    raise problem("DEP39.first", readable(said), path=path, answer=answer, log=log)
                raise problem("DEP39", readable(said), path=path, answer=answer, log=log)
            console.say(f"warning: {path} answers {answer}, and already failed before")

    def refuse_failing_by_proxy(self, release: Release) -> None:
        """Raise if a page fails by way of the proxy that the new version itself answers well."""
        if self.good and not maintenance.noticed(release.stack):
            answers = by_proxy(self.asked_from(release), release, self.good)
            for path, answer in answers.items():
                if not is_well(answer):
                    raise problem("DEP40", path=path, answer=answer)


def straight_to_database(release: Release) -> Release:
    """The release past its pooler, which may have another password as yet, or not be there."""
    values = {f"SQL_{key}": release.values[f"DATABASE_{key}"] for key in WAY}
    return release.with_values(**values, SQL_POOLED="")


def by_proxy(container: str, release: Release, paths: Collection[str]) -> dict[str, str]:
    """What the site answers, asked by way of its proxy."""
    return _answers(container, release, paths, "tasks.proxy", int(release.values["HTTPS_PORT"]))


def is_well(answer: str) -> bool:
    """Whether somebody has meant what is answered: a page, a refusal, or that there is none."""
    return answer[:3].isdigit() and int(answer[:3]) < 500


def _answers(
    container: str, release: Release, paths: Collection[str], address: str, port: int
) -> dict[str, str]:
    """What each page answers, as the script has it."""
    request = {
        "paths": list(paths),
        "host": release.names[0].replace("*", "www") + release.values["HTTPS_SUFFIX"],
        "address": address,
        "port": port,
        "tls": address != SERVICE,
    }
    script = Path(__file__).with_name("ask_pages.py").read_text()
    argv = ["docker", "exec", "--interactive", container, "python", "-", json.dumps(request)]
    done = process.run(argv, stdin=script)
    if done.code:
        raise problem("DEP24", command="docker exec", reason=done.err.strip())
    return dict(json.loads(done.out))


def _keep_log(name: str) -> tuple[str, str]:
    """What the new version wrote, and the command that shows it later on."""
    said = swarm_stack.logs("--tail", LOG_LINES, f"{name}_{SERVICE}")
    LOG.parent.mkdir(mode=0o700, exist_ok=True)
    LOG.write_text(said + "\n")
    return said, f"less {LOG.relative_to(ROOT)}"


def readable(log: str) -> str:
    """The end of the last traceback in records of JSON; of other lines the last ones."""
    for line in reversed(log.splitlines()):
        if traceback := _traceback(line):
            return "\n".join(traceback.splitlines()[-SHOWN:])
    return "\n".join(log.splitlines()[-SHOWN:])


def _traceback(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return ""
    return str(record.get("traceback", "")) if isinstance(record, dict) else ""
