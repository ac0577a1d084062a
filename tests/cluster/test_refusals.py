"""What `inv deploy` refuses before it changes anything, and what becomes of one that was killed."""

import os
import shutil
import signal

import pytest
from deployed import Site, assert_none_failed, three_nodes
from nodes import Cluster
from stacks import Checkout, Docker, Make, docker, eventually

from djup.deploy.production import digest

pytestmark = three_nodes


@pytest.fixture(scope="module")
def other(site: Site, lasting_make: Make, docker_runtime: Docker) -> Checkout:
    """A checkout of another repository, with the same .env as the site's."""
    stack = lasting_make(docker_runtime, name="other")
    for key, value in site.stack.values.items():
        if key not in ("CHECKOUT", "COMPOSE_PROJECT_NAME"):
            stack.set(key, value)
    return stack


@pytest.mark.fault("DEP01", "docker")
@pytest.mark.fault("DEP02", "docker")
@pytest.mark.fault("DEP07", "docker")
@pytest.mark.fault("DEP11", "docker")
@pytest.mark.fault("DEP22", "docker")
@pytest.mark.fault("DEP23", "docker")
@pytest.mark.fault("DEP29", "docker")
@pytest.mark.parametrize(
    "key, value, code",
    [
        ("DEPLOY_TO", "", "DEP01"),
        ("DOMAIN", "", "DEP02"),
        ("REGISTRY", "", "DEP07"),
        ("REGISTRY", "127.0.0.1:1/team", "DEP11"),
        ("TLS", "acme", "DEP22"),
        ("TLS", "certificate", "DEP23"),
        ("PROD_SECRET_KEY", "", "DEP29"),
        ("PROD_SECRET_KEY", "short", "ENV06"),
    ],
)
def test_a_setting_that_cannot_be(site: Site, key: str, value: str, code: str) -> None:
    with site.taken_back():
        site.stack.set(key, value)
        site.refused(code)


CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"


def take_certificate(site: Site, text: str) -> None:
    (site.stack.root / ".state/own.pem").write_text(text)
    for key, value in {"TLS": "certificate", "TLS_CERT": "", "TLS_KEY": ""}.items():
        site.stack.set(key, value or ".state/own.pem")


@pytest.mark.fault("DEP35", "docker")
def test_more_than_swarm_takes(site: Site) -> None:
    """Named before anything is built: a file, and what is too much only together."""
    with site.taken_back():
        take_certificate(site, CERTIFICATE + "A" * 600_000)
        assert "TLS_CERT has 600,028 bytes" in site.refused("DEP35")
    with site.taken_back():
        for name in "ABCDEF":
            site.stack.set(f"PROD_LARGE_{name}", name * 100_000)
        assert "the keys that you have added to .env, together, has" in site.refused("DEP35")


@pytest.mark.fault("DEP24", "docker")
def test_a_secret_of_somebody_else(site: Site) -> None:
    """It has the very name that the certificate's is to have, and is not replaced."""
    name = f"{site.name}_tls_cert_{digest(f'{site.name} tls_cert {CERTIFICATE}')}"
    engine = ("--host", Cluster.socket(1))
    docker(*engine, "secret", "create", name, "-", input="theirs")
    try:
        with site.taken_back():
            take_certificate(site, CERTIFICATE)
            assert "docker secret create" in site.refused("DEP24")
    finally:
        docker(*engine, "secret", "rm", name)


@pytest.mark.fault("DEP18", "docker")
def test_a_stack_that_is_nowhere(site: Site) -> None:
    with site.taken_back():
        site.stack.set("STACK", "nowhere")
        for task in ("deploy.status", "deploy.rollback", "deploy.psql", "deploy.down"):
            site.refused("DEP18", task)


@pytest.mark.fault("DEP05", "docker")
def test_changes_that_are_in_no_commit(site: Site) -> None:
    site.stack.write("project/stray.py", "")
    assert "project/stray.py" in site.refused("DEP05")
    (site.stack.root / "project/stray.py").unlink()


@pytest.mark.fault("DEP26", "docker")
def test_two_nodes_of_the_database(site: Site) -> None:
    label = f"db.{site.name}"
    spare = site.cluster.without_label(label)
    site.cluster.docker(1, "node", "update", "--label-add", f"{label}=true", spare)
    assert spare in site.refused("DEP26")
    site.cluster.docker(1, "node", "update", "--label-rm", label, spare)


@pytest.mark.fault("DEP04", "docker")
def test_a_node_that_is_no_manager(site: Site) -> None:
    with site.cluster.as_worker(3, asked=1):
        site.stack.refused("DEP04", "deploy", "--context", Cluster.socket(3))


@pytest.mark.fault("DEP06", "docker")
@pytest.mark.fault("DEP08", "docker")
def test_a_stack_of_another_repository(site: Site, other: Checkout) -> None:
    other.refused("DEP06", "deploy")
    theirs = Site(other, site.engines, site.name, ())
    theirs.git("init", "--quiet")
    theirs.commit()
    theirs.refused("DEP08")


@pytest.mark.fault("DEP09", "docker")
def test_a_deploy_beside_another_and_one_after_a_killed_one(site: Site, other: Checkout) -> None:
    """The next one ends well, whatever the killed one has left."""
    shutil.rmtree(other.root / ".git", ignore_errors=True)
    shutil.copytree(site.stack.root / ".git", other.root / ".git")
    same = Site(other, site.engines, site.name, ())
    same.git("reset", "--quiet", "--hard")
    site.show("Page that was cut off")
    with site.visited("a deploy that is killed, and the next one") as traffic:
        running = site.stack.start("deploy")
        eventually(site.is_updating, 90, "the web is being updated")
        assert f"process {running.pid} " in same.refused("DEP09")
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        site.show("Page after it")
        site.deploy()
    assert_none_failed(traffic)
    assert site.heading() == "Page after it"
    site.assert_nothing_lost()
