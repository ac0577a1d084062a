"""An engine of its own on a machine with several addresses, which becomes a Swarm."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from deployed import Site
from machine import needs_root
from nodes import ThisMachine
from stacks import Docker, Make, docker, eventually

from djup.deploy.swarm import ranges

ADDRESSES = ("10.0.0.5", "203.0.113.7")
ROUTE = "10.201.0.0/16"  # the first range that would be taken
IMAGE = "caddy:2-alpine"
LINKS = (
    "link set lo up",
    "link add eth0 type veth peer name other",
    f"addr add {ADDRESSES[0]}/16 dev eth0",
    f"addr add {ADDRESSES[1]}/24 dev eth0",
    "link set other up",
    "link set eth0 up",
    f"route add {ROUTE} via 10.0.0.1",
)

pytestmark = needs_root


@contextmanager
def machine(name: str) -> Iterator[str]:
    """A network namespace with these addresses."""
    ip = shutil.which("ip") or "/sbin/ip"
    subprocess.run([ip, "netns", "add", name], check=True)
    try:
        for words in LINKS:
            subprocess.run([ip, "-n", name, *words.split()], check=True)
        yield name
    finally:
        subprocess.run([ip, "netns", "del", name], check=True)


@pytest.fixture
def engine(docker_runtime: Docker) -> Iterator[str]:
    """The address of an engine that is in no Swarm, and has the proxy's image alone."""
    folder = Path(tempfile.mkdtemp(prefix="engine-", dir="/tmp"))  # a socket's path is short
    socket = f"unix://{folder}/docker.sock"
    files = {"host": "docker.sock", "data-root": "data", "exec-root": "run", "pidfile": "pid"}
    flags = [w for key, name in files.items() for w in (f"--{key}", f"{folder}/{name}")]
    flags[1] = socket
    path = {**os.environ, "PATH": f"/usr/local/sbin:{os.environ['PATH']}:/usr/sbin:/sbin"}
    with machine(folder.name) as namespace, (folder / "log").open("w") as log:
        argv = ["nsenter", f"--net=/run/netns/{namespace}", "dockerd", *flags]
        argv += ["--cgroup-parent", f"/{folder.name}"]
        running = subprocess.Popen(argv, env=path, stdout=log, stderr=log)
        try:
            asked = ("--host", socket, "version")
            eventually(lambda: not docker(*asked, check=False).returncode, 60, "it answers")
            saved = folder / "image.tar"
            docker("save", "--output", str(saved), IMAGE)
            docker("--host", socket, "load", "--quiet", "--input", str(saved))
            yield socket
        finally:
            running.terminate()
            running.wait(60)
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
    shutil.rmtree(folder)


@pytest.mark.fault("DEP43", "docker")
def test_one_of_several_addresses_and_a_free_range(
    engine: str, make: Make, docker_runtime: Docker
) -> None:
    """The image cannot be built there; the Swarm is made before."""
    values = {"DEPLOY_TO": engine, "DOMAIN": "shop.example.org", "STACK": "several"}
    stack = make(docker_runtime, name="several", **values, REGISTRY="10.202.0.9:5000/team")
    site = Site(stack, ThisMachine(), "several", ())
    site.git("init", "--quiet")
    site.commit()
    said = site.refused("DEP43", "deploy", "--yes")
    assert f"several addresses ({', '.join(ADDRESSES)})" in said
    command = f"docker --host {engine} swarm init --default-addr-pool 10.203.0.0/16 "
    assert f"{command}--advertise-addr ADDRESS" in said, "not the range of the registry either"
    stack.set("REGISTRY", "")
    said = site.refused("DEP10", "deploy", "--yes")
    assert f"the address of the node is {ADDRESSES[0]}" in said
    found = json.loads(docker("--host", engine, "info", "--format", "{{json .Swarm}}").stdout)
    assert found["LocalNodeState"] == "active" and found["NodeAddr"] == ADDRESSES[0]
    (pool,) = found["Cluster"]["DefaultAddrPool"]
    assert pool in ranges.CANDIDATES
    taken = ("10.0.0.0/16", ROUTE, "203.0.113.0/24", "172.16.0.0/12")
    assert not [one for one in taken if IPv4Network(one).overlaps(IPv4Network(pool))]
