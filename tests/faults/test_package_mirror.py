"""A company's mirror of packages: what pip is told counts everywhere, and stays secret."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import checkout
import mirror
import pytest
from mirror import PASSWORD, Mirror
from stacks import Checkout, docker

from djup import ROOT

LOCK = "requirements/build.txt"
OURS = ("PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_FIND_LINKS")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SECRETS = (PASSWORD, mirror.quote(PASSWORD, safe=""))


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """One that builds reach: at the address that the engine's bridge has here."""
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    host = docker("network", "inspect", "bridge", "--format", gateway).stdout.strip()
    with mirror.serving(tmp_path_factory.mktemp("mirror"), host) as found:
        yield found


def other_layer() -> str:
    """A line that no build before had: else the engine would take the step's result from then."""
    return f"# {time.time_ns()}\nuv=="


def asked_for(found: Mirror, *names: str) -> bool:
    return {f"/simple/{name}/" for name in names} <= set(found.asked)


@pytest.mark.runtime("docker")
def test_a_docker_build_takes_it_and_keeps_it_secret(stack: Checkout, bridge: Mirror) -> None:
    stack.set("PIP_INDEX_URL", bridge.url_with_password)
    stack.set("PIP_CERT", str(bridge.certificate))
    with stack.edited(LOCK, "uv==", other_layer()):
        done = stack.inv("up")
        assert asked_for(bridge, "uv", "django"), bridge.asked
        web, image = f"{stack.project}-web-1", f"{stack.project}-web"
        told = [
            done.stderr,
            (stack.root / ".state" / "build.log").read_text(),
            docker("history", "--no-trunc", image).stdout,
            docker("inspect", image, web).stdout,
            docker("exec", web, "env").stdout,
            stack.inv("doctor", code=None).stdout,
            docker(
                "exec", web, "sh", "-c", "cat /usr/local/share/web/*; ls /run/secrets || :"
            ).stdout,
        ]
        assert not [text for text in told for secret in SECRETS if secret in text]
        assert not list((stack.root / ".state").glob("build-*"))
        assert stack.found_by_doctor() == set()


@pytest.mark.fault("IMG08", "docker")
def test_a_mirror_that_does_not_let_the_build_in(stack: Checkout, bridge: Mirror) -> None:
    wrong = bridge.url.replace("://", "://ann:wrong@")
    cases = [
        (wrong, str(bridge.certificate), "correct the user and the password"),
        (bridge.url_with_password, "", "set PIP_CERT in .env to the certificate file of"),
    ]
    with stack.edited(LOCK, "uv==", other_layer()):
        for url, certificate, fix in cases:
            stack.set("PIP_INDEX_URL", url)
            stack.set("PIP_CERT", certificate)
            said = stack.refused("IMG08")
            assert f"could not fetch packages from {bridge.host}:" in said and fix in said, said
            assert not [secret for secret in (*SECRETS, "ann:wrong") if secret in said]
            assert "IMG05" in stack.found_by_doctor() and stack.get()[0] == 200


@pytest.mark.fault("ENV18", "docker", "embedded")
def test_a_file_that_holds_no_certificate(stack: Checkout) -> None:
    stack.write("notes.pem", "no certificate")
    for name in ("/nonexistent/ca.pem", "notes.pem"):
        stack.set("PIP_CERT", name)
        assert "ENV18" in stack.found_by_doctor()
        assert name in stack.inv("doctor", code=1).stdout
        if stack.runtime.name == "docker":
            assert name in stack.refused("ENV18", "build")
    (stack.root / "notes.pem").unlink()


# Without Docker


@pytest.fixture
def local(
    embedded_runtime: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mirror]:
    for name in (*OURS, *BUNDLES):
        monkeypatch.delenv(name, raising=False)
    for key in ("UV_NO_CACHE", "PIP_NO_CACHE_DIR"):
        monkeypatch.setenv(key, "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with mirror.serving(tmp_path, "127.0.0.1") as found:
        yield found


def by_file(found: Mirror, folder: Path, root: Path) -> None:
    """pip.conf without the password, and .netrc with it."""
    text = f"[global]\nindex-url = {found.url}\ncert = {found.certificate}\nextra-index-url =\n"
    (folder / "pip.conf").write_text(text)
    login = f"machine {found.host} login {mirror.USER} password {PASSWORD}\n"
    (folder / ".netrc").write_text(login)
    (folder / ".netrc").chmod(0o600)


def by_dotenv(found: Mirror, folder: Path, root: Path) -> None:
    """Before whatever else pip is told."""
    (folder / "pip.conf").write_text("[global]\nindex-url = https://127.0.0.1:1/simple\n")
    text = (ROOT / ".env.example").read_text()
    text = text.replace("PIP_INDEX_URL=", f"PIP_INDEX_URL={found.url_with_password}")
    (root / ".env").write_text(text.replace("PIP_CERT=", f"PIP_CERT={found.certificate}"))


@pytest.mark.parametrize(("told", "uv"), [(by_file, True), (by_dotenv, True), (by_dotenv, False)])
def test_the_launcher_takes_it(
    local: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: object, uv: bool
) -> None:
    root = checkout.make(tmp_path / "shop")
    assert callable(told)
    told(local, tmp_path, root)
    if uv:
        (tmp_path / "bin").mkdir()
        shutil.copy(ROOT / ".venv/bin/uv", tmp_path / "bin" / "uv")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    done = subprocess.run([root / "inv", "--list"], capture_output=True, text=True)
    assert done.returncode == 0 and asked_for(local, "invoke", "python-dotenv", "psutil"), done


@pytest.mark.parametrize("told", [by_file, by_dotenv])
def test_a_lock_takes_it_and_does_not_name_it(local: Mirror, tmp_path: Path, told: object) -> None:
    root = checkout.make(tmp_path / "shop")
    checkout.lend_venv(root)
    shutil.copy(ROOT / ".venv/bin/uv", root / ".venv/bin/uv")
    for file in root.glob("requirements/*.in"):
        file.unlink()
    (root / "requirements/base.in").write_text("asgiref\n")
    (root / "requirements/base.txt").unlink()
    assert callable(told)
    told(local, tmp_path, root)
    done = subprocess.run([root / "inv", "lock"], capture_output=True, text=True)
    lock = (root / "requirements/base.txt").read_text()
    assert done.returncode == 0 and asked_for(local, "asgiref") and lock.count("--hash") == 2, done
    assert not [text for text in (lock, done.stderr) for secret in SECRETS if secret in text]
