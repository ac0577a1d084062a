"""The engines that are deployed to: three nodes that can be killed and cut off, or this machine."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stacks import add_flock, docker, eventually

NETWORK, BRIDGE = "10.77.0.0/24", "br-cluster"
REGISTRY = "10.77.0.1:5000/team"
MIRROR = "10.77.0.1:5000/library"  # what the nodes get where Docker Hub is meant
DATABASE = "postgres:18-alpine"
NUMBERS = (1, 2, 3)


class Cluster:
    """Three nodes, all of them managers: what CLUSTER names makes, kills and cuts them."""

    addresses = tuple(f"10.77.0.1{number}" for number in NUMBERS)
    hosts = tuple(f"unix:///run/cluster/node{number}.sock" for number in NUMBERS)
    in_a_swarm = True  # before we came

    def __init__(self) -> None:
        self.script = os.environ.get("CLUSTER", "")
        assert os.access(self.script, os.X_OK), "CLUSTER does not name the cluster's script"

    @contextmanager
    def to_ourselves(self) -> Iterator[None]:
        """Another run of these tests on this machine waits meanwhile."""
        with Path(self.script).open() as script:
            fcntl.flock(script, fcntl.LOCK_EX)
            yield

    def act(self, *words: str) -> None:
        """`cluster up`, `kill N`, `start N`, `cut N`, `mend N`."""
        done = subprocess.run([self.script, *words], capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    @staticmethod
    def socket(number: int) -> str:
        return f"unix:///run/cluster/node{number}.sock"

    def docker(self, number: int, *arguments: str, **options: Any) -> str:
        """`docker arguments` on a node; what it printed."""
        return docker("--host", self.socket(number), *arguments, **options).stdout.strip()

    def leader(self, asked: int) -> int:
        """The number of the node that leads the managers, as one of them says; 0 for none yet."""
        format = "{{.Hostname}} {{.ManagerStatus}}"
        lines = self.docker(asked, "node", "ls", "--format", format, check=False).splitlines()
        return next((int(line[4]) for line in lines if line.endswith(" Leader")), 0)

    def not_leading(self) -> int:
        """The number of a node that does not lead: where the database goes to."""
        return next(number for number in reversed(NUMBERS) if number != self.leader(1))

    def lead_elsewhere(self, number: int) -> None:
        """Have another node than this one lead the managers; that moves with every lost link."""
        if self.leader(1) != number:
            return
        other = next(n for n in NUMBERS if n != number)
        self.docker(other, "node", "demote", f"node{number}")
        eventually(lambda: self.leader(other) not in (0, number), 60, "another node leads")
        self.promote(other)
        self.wait_until_whole(other)

    @contextmanager
    def as_worker(self, number: int, asked: int) -> Iterator[None]:
        """A node manages nothing meanwhile."""
        self.docker(asked, "node", "demote", f"node{number}")
        eventually(lambda: not self._manages(number), 20, "it is a worker")
        try:
            yield
        finally:
            self.promote(asked)
            self.wait_until_whole(asked)

    def _manages(self, number: int) -> bool:
        format = "{{.Swarm.ControlAvailable}}"
        return self.docker(number, "info", "--format", format, check=False) != "false"

    def wait_until_ready(self, number: int, asked: int) -> None:
        """Until the managers know that a node is there."""
        look = ("node", "inspect", "--format", "{{.Status.State}}", f"node{number}")
        eventually(lambda: self.docker(asked, *look) == "ready", 120, "it is ready")

    def labelled(self, asked: int, label: str) -> list[int]:
        """The numbers of the nodes that bear a label."""
        listing = ("node", "ls", "--format", "{{.Hostname}}", "--filter", f"node.label={label}")
        return [int(name[4]) for name in self.docker(asked, *listing).split()]

    def without_label(self, label: str) -> str:
        """The name of a node that does not bear it."""
        there = self.labelled(1, label)
        return next(f"node{number}" for number in NUMBERS if number not in there)

    def wait_until_whole(self, asked: int) -> None:
        """Until every node is ready and reachable as a manager, and knows that itself."""

        def whole() -> bool:
            format = "{{.Status}} {{.ManagerStatus}}"
            done = docker(
                "--host", self.socket(asked), "node", "ls", "--format", format, check=False
            )
            states = sorted(done.stdout.splitlines())
            told = states == ["Ready Leader", "Ready Reachable", "Ready Reachable"]
            return told and all(map(self._manages, NUMBERS))

        eventually(whole, 180, "all nodes are ready")

    def mend(self) -> None:
        """Whatever a test has left: every node runs, is linked to the others, and a manager."""
        for number in NUMBERS:
            self.act("mend", str(number))
        self.act("up")
        self.promote(1)
        self.wait_until_whole(1)

    def lock_databases(self) -> None:
        """Have the database's image be one with `flock`: a node that is taken for lost and is not
        starts a second server beside the first."""
        host, mirrored = ("--host", self.socket(1)), f"{MIRROR}/{DATABASE}"
        add_flock(mirrored, mirrored, *host)
        self.docker(1, "push", "--quiet", mirrored)

    def promote(self, asked: int) -> None:
        """All are managers again; one that is only just demoted refuses at first."""
        promotion = ("node", "promote", *(f"node{number}" for number in NUMBERS))

        def promoted() -> bool:
            return not docker("--host", self.socket(asked), *promotion, check=False).returncode

        eventually(promoted, 60, "all nodes are managers")

    def label(self, stack: str, database: int) -> None:
        """A proxy on every node, the database on one."""
        for number in NUMBERS:
            labels = ["--label-add", f"proxy.{stack}=true"]
            labels += ["--label-add", f"db.{stack}=true"] if number == database else []
            self.docker(1, "node", "update", *labels, f"node{number}")

    def remove(self, stack: str) -> None:
        """The stack, its volumes and images, and the labels of the nodes."""
        _remove_stack(["--host", self.socket(1)], stack)
        for number in NUMBERS:
            _remove_rest(["--host", self.socket(number)], stack)
            for role in ("proxy", "db", "archive", "standby"):
                label = f"{role}.{stack}"
                self.docker(1, "node", "update", "--label-rm", label, f"node{number}", check=False)


class ThisMachine:
    """The default engine, made a Swarm of one node for as long as this lasts."""

    addresses = ("127.0.0.1",)
    hosts = ("unix:///var/run/docker.sock",)

    def __init__(self) -> None:
        self.in_a_swarm = _is_swarm()

    def remove(self, stack: str) -> None:
        """All of the stack, and the Swarm unless it was there before, or others have come to it."""
        if not _is_swarm():
            return
        _remove_stack([], stack)
        # Swarm removes their volumes along with them, unless it is left before.
        tools = ("ps", "--all", "--quiet", "--filter", f"name={stack}_tools")
        eventually(lambda: not docker(*tools).stdout, 30, "the last tools are gone")
        if not self.in_a_swarm and not docker("service", "ls", "--quiet").stdout.strip():
            docker("swarm", "leave", "--force")
        _remove_rest([], stack)


Engines = Cluster | ThisMachine


def _is_swarm() -> bool:
    state = docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip()
    return state != "inactive"


def _remove_stack(host: list[str], stack: str) -> None:
    jobs = docker(*host, "service", "ls", "--quiet", "--filter", f"label=deploy.stack={stack}")
    if ids := jobs.stdout.split():
        docker(*host, "service", "rm", *ids)
    removal = (*host, "stack", "rm", stack)  # what is about to go by itself fails it
    eventually(lambda: not docker(*removal, check=False).returncode, 30, "the stack is removed")
    label = ("--filter", f"label=com.docker.stack.namespace={stack}")
    for kind in ("config", "secret"):
        if names := docker(*host, kind, "ls", "--quiet", *label).stdout.split():
            docker(*host, kind, "rm", *names)


def _remove_rest(host: list[str], stack: str) -> None:
    """Containers, volumes and images of a node; Swarm may be about to end, or to begin, some."""
    ours = ("--quiet", "--filter", f"label=com.docker.stack.namespace={stack}")
    image = ("image", "ls", "--quiet", "--filter", f"label=deploy.stack={stack}")
    # Those of a node that was killed with them are left there by Swarm at times.
    tools = ("--quiet", "--filter", f"name={stack}_(tools|recover)")
    kinds = (
        (("ps", "--all", *ours), ("rm", "--force", "--volumes")),
        (("ps", "--all", *tools), ("rm", "--force", "--volumes")),
        (("volume", "ls", *ours), ("volume", "rm")),
        (image, ("image", "rm", "--force")),
    )

    def nothing_left() -> bool:
        found = [(docker(*host, *listing).stdout.split(), act) for listing, act in kinds]
        for names, act in found:
            if names:
                docker(*host, *act, *set(names), check=False)
        return not any(names for names, _ in found)

    eventually(nothing_left, 60, f"all of {stack} is removed")


@contextmanager
def way_outside() -> Iterator[None]:
    """The nodes reach the world, as builds want it; rules that were there stay."""
    rules = [
        *(["-t nat", "POSTROUTING", f"-s {NETWORK} ! -o {BRIDGE} -j MASQUERADE"],),
        *(["", "FORWARD", f"-i {BRIDGE} -j ACCEPT"],),
        *(["", "FORWARD", f"-o {BRIDGE} -j ACCEPT"],),
    ]
    ours = [rule for rule in rules if _iptables("-C", rule)]
    for rule in ours:
        assert _iptables("-I", rule) == 0, rule
    yield
    for rule in ours:
        _iptables("-D", rule)


def _iptables(act: str, rule: list[str]) -> int:
    table, chain, match = rule
    argv = ["iptables", *table.split(), act, chain, *match.split()]
    return subprocess.run(argv, capture_output=True, timeout=20).returncode
