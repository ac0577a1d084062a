"""A site that is deployed from a checkout with commits of its own, and visited meanwhile."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from machine import git
from nodes import Cluster, Engines, ThisMachine
from stacks import UNALIGNED, Checkout, Docker, Make, docker, eventually
from traffic import Place, Traffic, Visitor, visitors

FIGURES: list[str] = []  # what was counted, for the end of the run
one_node = pytest.mark.parametrize("site", ["one"], indirect=True)
three_nodes = pytest.mark.parametrize("site", ["three"], indirect=True)
ENOUGH = 25  # answers, however soon what is done meanwhile ends
WATCHED = "monitor: 5s"  # each update of the web, in compose/prod.yaml
TEMPLATE = "project/home/templates/home/index.html"


@dataclass
class Site:
    """A checkout, and where it is deployed to: `target` are the flags that say so; `said_before` is
    what was said of an engine that was in no Swarm, `said_first` of a first deploy that failed."""

    stack: Checkout
    engines: Engines
    name: str
    target: tuple[str, ...]
    written: list[str] = field(default_factory=list)
    rounds: int = 0
    said_before: str = ""
    said_first: str = ""
    known_place: Place | None = None

    @property
    def cluster(self) -> Cluster:
        assert isinstance(self.engines, Cluster)
        return self.engines

    @property
    def place(self) -> Place:
        """Asked once: each release has the ports of the one before, until there is none."""
        if not self.known_place:
            url = self.status()["url"].removeprefix("https://").strip("/")
            domain, _, port = url.partition(":")
            self.known_place = Place(domain, int(port or 443), self.engines.addresses)
        return self.known_place

    def inv(
        self, task: str, *arguments: str, code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        if task == "deploy.down":
            self.known_place = None
        return self.stack.inv(task, *self.target, *arguments, code=code)

    def deploy(self, *flags: str) -> subprocess.CompletedProcess[str]:
        return self.inv("deploy", *flags)

    def refused(self, code: str, *typed: str) -> str:
        """`inv typed` (inv deploy) ends with this problem; what it said."""
        task, *flags = typed or ("deploy",)
        return self.stack.refused(code, task, *self.target, *flags)

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.inv("deploy.status", "--json").stdout))

    def release(self) -> int:
        return int(self.status()["release"])

    def tasks(self, service: str = "web") -> dict[str, str]:
        """The ids of the tasks that run, and the node of each."""
        found = next(s for s in self.status()["services"] if s["name"] == f"{self.name}_{service}")
        return {
            t["id"]: t["node"] for t in found["tasks"] if t["wanted"] == t["state"] == "running"
        }

    def containers(self, service: str) -> dict[str, list[str]]:
        """Of a service: for each node that answers, by its address, the containers."""
        label = f"label=com.docker.swarm.service.name={self.name}_{service}"
        hosts = self.engines.hosts
        listing = ("ps", "--quiet", "--filter", label)
        return {h: docker("--host", h, *listing, check=False).stdout.split() for h in hosts}

    def is_updating(self) -> bool:
        """Whether Swarm is about to replace the web's containers."""
        asked = ("service", "inspect", "--format", "{{json .UpdateStatus}}", f"{self.name}_web")
        found = docker("--host", self.engines.hosts[0], *asked).stdout
        return (json.loads(found) or {}).get("State") == "updating"

    def sql(self, statement: str) -> str:
        """The answer of the stack's own database, asked in its container; of another one by the
        task."""
        db = ("service", "ls", "--quiet", "--filter", f"name={self.name}_db")
        if not docker("--host", self.engines.hosts[0], *db, check=False).stdout:
            return self.psql(statement)
        host, ids = next((h, ids) for h, ids in self.containers("db").items() if ids)
        values = self.stack.values
        who = ("--username", values["SQL_USER"], values["SQL_DATABASE"])
        argv = ("psql", *UNALIGNED, *who, "-c", statement)
        return docker("--host", host, "exec", ids[0], *argv).stdout.strip()

    def psql(self, statement: str) -> str:
        """The answer of `inv deploy.psql`."""
        return self.inv("deploy.psql", "--", *UNALIGNED, "-c", statement).stdout.strip()

    def heading(self) -> str:
        """What the page's heading says now."""
        return Visitor(self.place, "one").get()[0].heading

    def our_address(self) -> str:
        """As the proxy has it, behind the engine's own forwarding of ports, of our last visit."""
        lines = self.inv("deploy.logs", "--service", "proxy").stdout
        return re.findall(r'"remote_ip":"([^"]+)"', lines)[-1]

    def git(self, *arguments: str) -> str:
        return git(self.stack.root, *arguments)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "Change")

    def change(self, path: str, old: str, new: str) -> None:
        """Commit another text of a file."""
        text = (self.stack.root / path).read_text()
        assert old in text, f"{path} has no {old}"
        self.stack.write(path, text.replace(old, new))
        self.commit()

    def add(self, path: str, text: str) -> None:
        """Commit a new file."""
        self.stack.write(path, text)
        self.commit()

    def show(self, heading: str) -> None:
        """Commit a page with another heading."""
        path = self.stack.root / TEMPLATE
        first, _, rest = path.read_text().partition("<h1>")
        path.write_text(f"{first}<h1>{heading}</h1>{rest.partition('</h1>')[2]}")
        self.commit()

    @contextmanager
    def visited(self, what: str) -> Iterator[Traffic]:
        """Visitors meanwhile; their notes are to be there for ever."""
        self.rounds += 1
        with visitors(self.place, f"{self.name} round {self.rounds}") as traffic:
            yield traffic
            eventually(lambda: len(traffic.answers) >= ENOUGH, 30, "enough was asked to tell")
        self.written += traffic.written
        FIGURES.append(f"{self.name}, {what}: {traffic.in_words()}")

    @contextmanager
    def asked_from(self, number: int) -> Iterator[None]:
        """The tasks speak to another node meanwhile."""
        before, self.target = self.target, ("--context", Cluster.socket(number))
        try:
            yield
        finally:
            self.target = before

    @contextmanager
    def taken_back(self) -> Iterator[None]:
        """What is committed, and set in `.env`, meanwhile is undone in the end."""
        settings, commit = (self.stack.root / ".env").read_text(), self.git("rev-parse", "HEAD")
        try:
            yield
        finally:
            self.stack.write(".env", settings)
            self.git("reset", "--quiet", "--hard", commit)

    def assert_nothing_lost(self) -> None:
        """Every note that was accepted is in the database, once."""
        found = self.sql("select text from notes_note").splitlines()
        lost = set(self.written) - set(found)
        assert not lost, f"{len(lost)} of {len(self.written)} are lost: {sorted(lost)[:5]}"
        assert len(found) == len(set(found)), "a note is there twice"


def to_this_machine(
    make: Make, runtime: Docker, engines: ThisMachine, name: str, **values: str
) -> Site:
    """A checkout with a commit whose production, of that name, is to be this machine."""
    given = {"DEPLOY_TO": engines.hosts[0], "STACK": name, "DOMAIN": f"{name}.example.org"}
    given |= {"TLS": "internal", "WEB_REPLICAS": "1", "NETWORK_ENCRYPTED": "0"}
    stack = make(runtime, name=name, **(given | values))
    watch_for_a_second(stack)
    made = Site(stack, engines, name, ())
    made.git("init", "--quiet")
    made.commit()
    return made


def watch_for_a_second(stack: Checkout) -> None:
    """Have Swarm take an update for good sooner: nothing here is told by a container that ends in
    the four seconds after, and each deploy waits for them."""
    text = (stack.root / "compose/prod.yaml").read_text()
    assert text.count(WATCHED) == 1
    stack.write("compose/prod.yaml", text.replace(WATCHED, "monitor: 1s"))


def assert_none_failed(traffic: Traffic) -> None:
    assert traffic.written
    assert not traffic.failed, f"{traffic.in_words()}: {traffic.failed[:5]}"
    assert not traffic.again, "a kept connection was closed"
