"""A database elsewhere that takes encrypted connections alone: by keys, and by DATABASE_URL."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from stacks import Checkout, Docker, docker
from tls import DATABASE, IMAGE, PASSWORD, USER, Authority, Elsewhere, elsewhere


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    if docker("version", check=False).returncode:
        pytest.skip("no Docker engine to run a PostgreSQL elsewhere in")
    if not shutil.which("openssl"):
        pytest.skip("no openssl; run: sudo apt-get install openssl")
    with elsewhere(tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


@pytest.fixture
def stack(stack: Checkout, server: Elsewhere, tmp_path: Path) -> Iterator[Checkout]:
    """With the files of two authorities in it, of which the second one is a stranger's."""
    certificates = stack.root / "project" / "authorities"
    certificates.mkdir()
    (certificates / "ca.pem").write_text(server.authority.certificate)
    (certificates / "other.pem").write_text(Authority.made_in(tmp_path / "other").certificate)
    yield stack
    shutil.rmtree(certificates)


def url(server: Elsewhere, password: str = PASSWORD) -> str:
    whom = ":".join(quote(part, safe="") for part in (USER, password))
    tls = "sslmode=verify-full&sslrootcert=authorities/ca.pem"
    return f"postgres://{whom}@{server.host}:{server.port}/{quote(DATABASE)}?{tls}"


def clients(stack: Checkout) -> tuple[str, ...]:
    labels = (f"project={stack.project}", "service=client")
    return tuple(f"--filter=label=com.docker.compose.{label}" for label in labels)


@contextmanager
def left_behind(stack: Checkout) -> Iterator[str]:
    """The client of a task that was killed, whose process number is nobody's."""
    name = f"{stack.project}-client-{2**22 + 1}"
    labels = (f"project={stack.project}", "oneoff=True", "service=client")
    flags = [f"--label=com.docker.compose.{label}" for label in labels]
    docker("run", "--detach", "--rm", "--init", "--name", name, *flags, IMAGE, "sleep", "60")
    yield name
    docker("rm", "--force", name, check=False)


def assert_served(stack: Checkout, server: Elsewhere) -> None:
    """The page, the tasks and psql are on the server elsewhere, encrypted."""
    assert stack.get()[0] == 200 and stack.get("readyz")[0] == 200
    assert server.sql("select count(*) > 5 from django_migrations") == "t"
    asked = "select current_user, current_database(), ssl from pg_stat_ssl"
    assert stack.sql(f"{asked} where pid = pg_backend_pid()") == f"{USER}|{DATABASE}|t"
    stack.inv("migrate")
    status = json.loads(stack.inv("status", "--json").stdout)
    assert status["ready"] and status["database"] == f"{server.host} port {server.port}"
    assert [service["service"] for service in status["services"]] == ["web"]
    assert stack.found_by_doctor() == set()


@pytest.mark.fault("DB10", "docker", "embedded")
@pytest.mark.fault("DB14", "docker", "embedded")
def test_verified_by_keys(stack: Checkout, server: Elsewhere) -> None:
    for key, value in server.settings().items():
        stack.set(key, value)
    assert "stops" in stack.inv("up").stderr
    assert_served(stack, server)
    stack.set("SQL_SSLROOTCERT", "authorities/other.pem")
    said = stack.refused("DB10")
    assert "certificate verify failed" in said and "correct SQL_SSLROOTCERT" in said
    stack.set("SQL_SSLROOTCERT", "authorities/ca.pem")
    server.shows("DNS:other.example")
    said = stack.refused("DB10")
    assert '"other.example"' in said and "correct SQL_HOST, which" in said
    assert "does not match host name" in stack.inv("psql", "--", "-c", "", code=2).stderr
    server.shows(f"IP:{server.host}")
    stack.set("SQL_SSLROOTCERT", "authorities/none.pem")
    for task in ("up", "psql"):
        assert "project/authorities/none.pem" in stack.refused("DB14", task)
    assert "DB14" in stack.found_by_doctor()


@pytest.mark.fault("DB10", "docker", "embedded")
@pytest.mark.fault("DB19", "docker", "embedded")
def test_verified_by_a_url(stack: Checkout, server: Elsewhere, tmp_path: Path) -> None:
    stack.set("DATABASE_URL", url(server))
    stack.inv("up")
    assert stack.get()[0] == 200 and stack.get("readyz")[0] == 200
    assert stack.sql("select current_database()") == DATABASE
    with left_behind(stack) as container:
        names = "{{range .Mounts}}{{.Name}} {{end}}"
        volumes = docker("inspect", "--format", names, container).stdout.split()
        stack.inv("db.backup", "--to", str(tmp_path / "shop.dump"))
        assert not docker("ps", "--quiet", "--filter", f"name={container}").stdout
        assert volumes and not set(volumes) & Docker().all_volumes(), "those of the image are left"
    assert (tmp_path / "shop.dump").read_bytes().startswith(b"PGDMP")
    assert not docker("ps", "--all", "--quiet", *clients(stack)).stdout
    stack.set("POSTGRES_IMAGE", "postgres:17-alpine")
    assert "of PostgreSQL 17, and the server is 18" in stack.refused("DB19", "db.backup")
    assert "DB19" in stack.found_by_doctor()
    stack.set("DATABASE_URL", url(server, "s3cr3t"))
    said = stack.refused("DB10")
    assert "correct SQL_USER and SQL_PASSWORD (DATABASE_URL in .env)" in said
    assert "s3cr3t" not in said + stack.inv("doctor", code=1).stdout


@pytest.mark.fault("EMB06", "embedded")
def test_no_program_for_it(kept: Checkout, tmp_path: Path) -> None:
    before = (kept.root / ".env").read_text()
    kept.set("SQL_HOST", "pg.example.org")
    nothing = {"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    said = kept.start("psql", env=os.environ | nothing).communicate()[1]
    assert "error EMB06: the Docker engine does not answer, and psql is not on PATH" in said
    kept.write(".env", before)
