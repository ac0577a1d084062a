"""Images: not found, out of reach, for another machine, stale, or a build that fails."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest
from stacks import Checkout, Docker, Make, Runtime, docker, eventually

KEYS = ("POSTGRES_IMAGE", "PYTHON_IMAGE")
DOCKERFILE = "compose/web/Dockerfile"
# On one stream: BuildKit shows two in any order.
FAILING = "RUN for i in $(seq 50); do echo line $i; done >&2; no-such-command\nUSER web"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
# The head of a program for arm64, so that starting it fails as starting any of them would.
ARM_PROGRAM = bytes.fromhex("7f454c46020101" + "00" * 9 + "0200b700" + "01000000" + "00" * 4064)
SECONDS = 40  # to pull nothing, or to see a build fail


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty one, which docker trusts for being on the loopback interface."""
    program = shutil.which("docker-registry")
    if not program:
        pytest.skip("no registry is installed: apt install docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
    (folder / "config.yml").write_text(f'{config}http: {{addr: "{address}"}}\n')
    with (folder / "log").open("w") as log:
        argv = [program, "serve", folder / "config.yml"]
        child = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        eventually(lambda: listens(address), 10, "the registry listens")
        yield address
    finally:
        child.kill()
        child.wait()


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def arm_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image for arm64 on this machine."""
    folder = tmp_path_factory.mktemp("arm")
    for name in ("sh", "pip"):
        (folder / name).write_bytes(ARM_PROGRAM)
        (folder / name).chmod(0o755)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY sh pip /bin/\n")
    name = f"{folder.name}-{time.time_ns()}:1"
    docker("build", "--quiet", "--platform", "linux/arm64", "--tag", name, str(folder))
    yield name
    docker("image", "rm", "--force", name)


def refused_soon(stack: Checkout, code: str) -> str:
    started = time.monotonic()
    said = stack.refused(code)
    assert time.monotonic() - started < SECONDS
    return said


@pytest.mark.fault("IMG02", "docker")
def test_a_registry_out_of_reach(stack: Checkout) -> None:
    for key, host in zip(KEYS, ("registry.invalid", "localhost:1"), strict=True):
        before, image = stack.values[key], f"{host}/nothere:16"
        stack.set(key, image)
        said = refused_soon(stack, "IMG02")
        assert f"error IMG02: the image {image} " in said and "is not on this machine" in said
        assert "  | Error response from daemon" in said and "check the network" in said
        assert stack.get("readyz")[0] == 200
        stack.set(key, before)
    stack.inv("up")


@pytest.mark.fault("IMG01", "docker")
def test_an_image_that_no_registry_has(stack: Checkout, registry: str) -> None:
    for key in KEYS:
        before, image = stack.values[key], f"{registry}/nothere:99"
        stack.set(key, image)
        said = refused_soon(stack, "IMG01")
        assert f"the image {image} does not exist ({key} in .env)" in said
        assert f"correct {key} in .env" in said and "inv up" in said
        assert stack.get("readyz")[0] == 200
        stack.set(key, before)
    stack.inv("up")


@pytest.mark.fault("IMG01", "docker")
def test_a_name_that_is_none(stack: Checkout) -> None:
    stack.set("POSTGRES_IMAGE", "postgres::18")
    assert "invalid reference format" in stack.refused("IMG01")


@pytest.mark.fault("IMG03", "docker")
@pytest.mark.parametrize("key", KEYS)
def test_an_image_for_another_machine(stack: Checkout, arm_image: str, key: str) -> None:
    before = stack.values[key]
    stack.set(key, arm_image)
    said = refused_soon(stack, "IMG03")
    assert f"{arm_image} ({key} in .env) is built for arm64, but the engine runs amd64" in said
    assert f"set {key} to an image that is built for amd64" in said and "inv up" in said
    stack.set(key, before)
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("IMG03", "docker")
def test_an_image_that_is_not_there_for_this_machine(
    stack: Checkout, registry: str, arm_image: str
) -> None:
    image = f"{registry}/arm:1"
    docker("tag", arm_image, image)
    docker("push", image)
    docker("image", "rm", image)
    publish_list(registry, "arm", "1", "many")
    stack.set("POSTGRES_IMAGE", f"{registry}/arm:many")
    said = refused_soon(stack, "IMG03")
    assert f"{registry}/arm:many (POSTGRES_IMAGE in .env) is built for other machines" in said
    assert stack.get("readyz")[0] == 200


def publish_list(registry: str, name: str, tag: str, as_tag: str) -> None:
    """A tag that stands for several machines, as most do, of which arm64 is the only one here."""
    url = f"http://{registry}/v2/{name}/manifests"
    asked = urllib.request.Request(f"{url}/{tag}", headers={"Accept": MANIFEST})
    with urllib.request.urlopen(asked) as response:
        digest, size = response.headers["Docker-Content-Digest"], len(response.read())
    platform = {"architecture": "arm64", "os": "linux"}
    entry = {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform}
    text = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    head = {"Content-Type": INDEX}
    told = urllib.request.Request(f"{url}/{as_tag}", text, head, method="PUT")
    assert urllib.request.urlopen(told).status == 201


@pytest.mark.fault("IMG04", "docker")
def test_a_build_that_fails_while_the_old_web_serves(stack: Checkout) -> None:
    before = Docker().identities(stack.root)
    with stack.edited(DOCKERFILE, "USER web", FAILING):
        said = refused_soon(stack, "IMG04")
        assert_step(stack, said)
        assert "could not be built. The web still runs from the previous image." in said
        assert Docker().identities(stack.root) == before and stack.get()[0] == 200
        assert stack.found_by_doctor() == {"IMG05"}
        assert "still runs from the previous image" in stack.refused("IMG04", "build")
    stack.inv("up")
    assert Docker().identities(stack.root) == before
    assert stack.found_by_doctor() == set()


def assert_step(stack: Checkout, said: str) -> None:
    """The step and its last lines; the file that it names has all of them."""
    assert "RUN for i in $(seq 50)" in said and "  | " in said
    assert "no-such-command: not found" in said, said
    assert said.count("  | ") == 7 and "line 50" in said and "line 45" not in said, said
    assert len(said.splitlines()) < 20
    assert "log: less .state/build.log" in said
    log = (stack.root / ".state" / "build.log").read_text()
    assert "line 1\n" in log and "not found" in log


@pytest.mark.fault("IMG04", "docker")
def test_a_first_build_that_fails(make: Make, runtime: Runtime) -> None:
    stack = make(runtime, name="first")
    with stack.edited(DOCKERFILE, "USER web", FAILING):
        said = refused_soon(stack, "IMG04")
        assert_step(stack, said)
        assert "previous image" not in said
    with stack.edited(DOCKERFILE, "USER web", "NO SUCH INSTRUCTION"):
        assert "unknown instruction: NO" in refused_soon(stack, "IMG04")
    stack.inv("up")
    assert stack.get()[0] == 200


@pytest.mark.fault("IMG07", "docker")
def test_system_packages_that_no_package_manager_has(stack: Checkout) -> None:
    before = Docker().identities(stack.root)
    stack.set("SYSTEM_PACKAGES", "no-such-package")
    said = refused_soon(stack, "IMG07")
    assert "could not install no-such-package (SYSTEM_PACKAGES in .env)" in said
    # The stand-in for Alpine has no apk; what the image has to say is quoted, whatever it is.
    assert "system-packages" in said and said.count("  | ") > 1
    assert Docker().identities(stack.root) == before and stack.get()[0] == 200
    assert "IMG05" in stack.found_by_doctor()
    stack.set("SYSTEM_PACKAGES", "")
    stack.inv("up")
    assert Docker().identities(stack.root) == before


@pytest.mark.fault("IMG05", "docker")
@pytest.mark.parametrize(
    ("path", "words"), [(DOCKERFILE, "USER web"), ("requirements/base.txt", "django==")]
)
def test_an_image_that_is_stale(stack: Checkout, path: str, words: str) -> None:
    with stack.edited(path, words, f"# edited\n{words}"):
        assert stack.found_by_doctor() == {"IMG05"}
        services = json.loads(stack.inv("status", "--json").stdout)["services"]
        assert {it["service"]: it["image"] for it in services}["web"] == "stale"
        assert "inv up" in stack.inv("status").stdout
        if path == DOCKERFILE:  # as the screen says; of requirements that is another layer's minute
            stack.inv("up")
            assert stack.found_by_doctor() == set()
            stack.assert_kept()
