"""What a test may not do to the engine that all stacks are on is done to one of its own: it leaves
its Swarm, and has no subnet left. Its dockerd has a network namespace and folders of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import checkout
import pytest
from stacks import Checkout, Docker, Prefixed, docker, eventually

IMAGES = ("python:3.14-alpine", "postgres:18-alpine")
SUBNETS = "base=10.210.0.0/22,size=24"  # four
NEEDED = ("dockerd", "ip", "nsenter")
pytestmark = pytest.mark.skipif(
    bool(os.geteuid()) or not all(map(shutil.which, NEEDED)),
    reason="only root can start an engine, with dockerd and iproute2",
)


@contextmanager
def engine(folder: Path) -> Iterator[tuple[str, ...]]:
    """A dockerd for as long as this lasts; gives the prefix of commands that see its ports."""
    name = folder.name
    socket, pid = folder / "docker.sock", folder / "pid"
    links = (
        ("ip", "netns", "add", name),
        ("ip", "-n", name, "link", "set", "lo", "up"),
        ("ip", "link", "add", f"{name}h", "type", "veth", "peer", "name", "eth0", "netns", name),
        ("ip", "-n", name, "addr", "add", "10.99.0.2/24", "dev", "eth0"),
        ("ip", "-n", name, "link", "set", "eth0", "up"),
        ("ip", "-n", name, "route", "add", "default", "dev", "eth0"),
    )
    for argv in links:
        subprocess.run(argv, check=True)
    inside = ("nsenter", f"--net=/run/netns/{name}")
    folders = ("--data-root", str(folder / "data"), "--exec-root", str(folder / "run"))
    where = ("--host", f"unix://{socket}", "--pidfile", str(pid), *folders)
    pools = ("--bip", "172.40.0.1/24", "--default-address-pool", SUBNETS)
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(
            [*inside, "dockerd", *where, *pools, "--cgroup-parent", f"/{name}"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        answers = ("--host", f"unix://{socket}", "version")
        eventually(lambda: not docker(*answers, check=False).returncode, 30, "it answers")
        yield inside
    finally:
        daemon.terminate()
        daemon.wait(60)
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture(scope="module")
def stack(docker_runtime: Docker) -> Iterator[Checkout]:
    """A checkout whose engine is such a one, which has the images."""
    before = dict(os.environ)
    # A socket's path is short; and a veth's name has 15 letters.
    with tempfile.TemporaryDirectory(prefix="eng", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        root = checkout.make(folder / "checkout" / "alone")
        checkout.lend_venv(root)
        # It has no way to the world: the image is built on the engine of all.
        built = Checkout(root, docker_runtime)
        built.inv("status")
        built.set("RUNTIME", "docker")
        built.inv("build")
        with engine(folder) as inside:
            saved = ["docker", "save", *IMAGES, f"{built.project}-web"]
            with subprocess.Popen(saved, stdout=subprocess.PIPE) as images:
                os.environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
                docker("load", "--quiet", stdin=images.stdout, timeout=300)
            try:
                yield Prefixed(built, *inside)
                docker_runtime.remove(root)
            finally:
                os.environ.clear()
                os.environ.update(before)
                docker_runtime.remove(root)


@pytest.mark.fault("NET02", "docker")
def test_no_subnet_is_left(stack: Checkout) -> None:
    fill = [f"fill{number}" for number in range(8)]
    made = [name for name in fill if not docker("network", "create", name, check=False).returncode]
    assert 0 < len(made) < len(fill)
    assert stack.found_by_doctor() == {"NET02"}
    said = stack.refused("NET02")
    assert f"{len(made)} networks use all of them" in said and "fill0, fill1" in said
    assert stack.found_by_doctor() == {"NET02"}
    docker("network", "rm", *made)  # as it says
    assert stack.inv("up").stdout == f"{stack.url}\n"
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("DOCKER11", "docker")
def test_the_engine_leaves_its_swarm(stack: Checkout) -> None:
    stack.inv("up")
    stack.keep()
    inside = stack.prefix if isinstance(stack, Prefixed) else ()
    subprocess.run([*inside, "docker", "swarm", "init", "--advertise-addr=127.0.0.1"], check=True)
    subprocess.run([*inside, "docker", "swarm", "leave", "--force"], check=True)
    assert stack.found_by_doctor() == {"DOCKER11"}
    done = stack.inv("up")
    assert done.stdout == f"{stack.url}\n" and "cannot resolve the name db" in done.stderr
    assert stack.found_by_doctor() == set()
    assert stack.sql("select text from kept") == "kept"
