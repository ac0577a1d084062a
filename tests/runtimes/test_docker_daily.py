"""Docker: what a day's work needs, on one stack: freshness, files, keys, plain compose."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machine import needs_root
from stacks import Checkout, Docker, Make, docker

from djup.checkout import env
from djup.deploy import production
from djup.docker import containers, resources
from djup.docker.containers import Container

OWNER = 12345
# What the three readers have to agree on; here it has to open the database as well.
PASSWORD = r"""a b#c$d"e'f\g $HOME ${SQL_USER}"""
SPELLED = r"""'a b#c$d"e\'f\g $HOME ${SQL_USER}'"""
SECRET = "of-production-alone-" * 3
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def stack(make: Make, docker_runtime: Docker) -> Checkout:
    """Up, in a folder with an odd name that belongs to another user where this one may give it."""
    stack = make(docker_runtime, name="My Shop's", SQL_PASSWORD=SPELLED)
    if os.geteuid() == 0:
        for path in [stack.root, *stack.root.rglob("*")]:
            if ".venv" not in path.parts:
                os.chown(path, OWNER, OWNER)
        stack.set("APP_UID", str(OWNER))
        stack.set("APP_GID", str(OWNER))
    stack.inv("up")
    return stack


def container(stack: Checkout, service: str) -> str:
    label = f"label=com.docker.compose.project={stack.project}"
    named = f"label=com.docker.compose.service={service}"
    [found] = docker("ps", "--quiet", "--filter", label, "--filter", named).stdout.split()
    return found


def image(stack: Checkout) -> str:
    return docker("image", "inspect", "--format", "{{.Id}}", f"{stack.project}-web").stdout.strip()


def plain_compose(stack: Checkout, *arguments: str) -> str:
    """`docker compose` as one types it in the checkout, with no flags."""
    options = {k: v for k, v in os.environ.items() if k not in stack.values}
    return docker("compose", *arguments, cwd=stack.root, env=options).stdout


# The database


PARALLEL = """\
create temp table plan as select 1;
set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0; set enable_mergejoin = off; set work_mem = '256MB';
create unlogged table wide as
  select n, repeat(md5(n::text), 20) t from generate_series(1, 400000) n;
select count(*), max(length(b.t)) from wide a join wide b using (n);
drop table wide;
"""


def test_a_parallel_query_has_the_shared_memory_that_it_asks_for(stack: Checkout) -> None:
    """It needs more than the 64 MB of a container, and more than 256 MB."""
    assert "400000 |" in stack.inv("psql", "--", "-v", "ON_ERROR_STOP=1", stdin=PARALLEL).stdout


# The engine


def test_the_engine_says_what_docker_says_of_it(stack: Checkout) -> None:
    """Asked on its socket, or by the command: the same containers, and the same of each object."""
    settings = env.settings_from((stack.root / ".env").read_text())
    ways = (containers._listed_by_engine, containers._listed_by_docker)
    flags, image = containers.one_off(settings), settings.values["PYTHON_IMAGE"]
    extra = docker("create", *flags, "--volume", "/unnamed", image, "true").stdout.strip()
    for _ in range(5):  # "Up 9 seconds" may be another between the two
        by_engine, by_docker = ([in_order(c) for c in listed(settings)] for listed in ways)
        if by_engine == by_docker:
            break
    assert by_engine == by_docker and {c.service for c in by_engine} == {"", "db", "web"}
    names = (extra, image, f"{settings.project}_postgres_data", f"{settings.project}-gone")
    assert resources._inspected_by_docker(names).keys() == set(names[:3])
    assert read_of(resources.inspect(*names)) == read_of(resources._inspected_by_docker(names))
    docker("rm", "--volumes", extra)


def in_order(container: Container) -> Container:
    """It with its mounts sorted: the engine tells them in any order."""
    return replace(container, mounts=",".join(sorted(container.mounts.split(","))))


def read_of(inspected: dict[str, Any]) -> dict[str, Any]:
    """What tasks read of inspected objects."""
    keys = ("Labels", "Mounts", "State", "Architecture", "CreatedAt")
    return {
        name: [
            *(record.get(key) for key in keys),
            resources.environment(record),
            resources.label(record, resources.PROJECT_LABEL),
        ]
        for name, record in inspected.items()
    }


# Freshness


def test_a_change_of_source_rebuilds_and_restarts_nothing(stack: Checkout) -> None:
    before = stack.runtime.identities(stack.root), image(stack)
    with (stack.root / "project" / "config" / "urls.py").open("a") as file:
        file.write("\n# changed\n")
    done = stack.inv("up")
    assert "docker compose" not in done.stderr
    assert (stack.runtime.identities(stack.root), image(stack)) == before


def test_changed_requirements_rebuild_the_image_and_the_web_alone(stack: Checkout) -> None:
    db = container(stack, "db")
    for _ in range(2):
        old = image(stack)
        with (stack.root / "requirements" / "base.txt").open("a") as file:
            file.write("# changed\n")
        found = json.loads(stack.inv("status", "--json").stdout)
        assert {s["service"]: s["image"] for s in found["services"]}["web"] == "stale"
        assert "docker compose build" in stack.inv("up").stderr
        assert image(stack) != old
    assert container(stack, "db") == db
    # The one in use, and at most the one before it: they do not pile up.
    assert len(stack.runtime.leftovers(stack.root)["image"]) <= 2


def test_an_own_key_reaches_the_web(stack: Checkout) -> None:
    stack.set("MAIL_HOST", "'mail $x #1'")
    stack.inv("up")
    code = "import os; print(os.environ['MAIL_HOST'])"
    assert stack.inv("shell", "--", "-c", f'python -c "{code}"').stdout == "mail $x #1\n"


def test_the_password_opens_the_database(stack: Checkout) -> None:
    assert stack.values["SQL_PASSWORD"] == PASSWORD
    code = "import os; print(os.environ['SQL_PASSWORD'])"
    assert stack.inv("shell", "--", "-c", f'python -c "{code}"').stdout == f"{PASSWORD}\n"
    assert stack.get("readyz")[0] == 200


# Files


@needs_root
def test_files_that_django_writes_belong_to_the_owner_of_the_checkout(stack: Checkout) -> None:
    assert f"uid={OWNER} gid={OWNER}" in stack.inv("shell", "--", "-c", "id").stdout
    stack.inv("manage", "--", "startapp", "shelf")
    stack.inv("makemigrations", "--", "shelf", "--empty", "--name", "first", code=None)
    shelf = stack.root / "project" / "shelf"
    made = [shelf, *shelf.rglob("*")]
    assert {(p.stat().st_uid, p.stat().st_gid) for p in made} == {(OWNER, OWNER)}
    shutil.rmtree(shelf)


def test_dotenv_is_nowhere_in_the_image(stack: Checkout) -> None:
    found = docker(
        *("run", "--rm", "--entrypoint", "find", "--user", "0", f"{stack.project}-web"),
        *("/", "-xdev", "-name", ".env*"),
    )
    assert found.stdout == ""
    history = docker("history", "--no-trunc", f"{stack.project}-web").stdout
    assert PASSWORD not in history and stack.values["SECRET_KEY"] not in history


def test_the_build_context_holds_only_what_is_copied(stack: Checkout, tmp_path: Path) -> None:
    for name in ("backup.sql", "project/.env", "project/db.sqlite3", "project/media/upload"):
        (stack.root / name).parent.mkdir(exist_ok=True)
        (stack.root / name).write_text("secret")
    argv = ["buildx", "build", "--quiet", "--file", "-", "--output", f"type=local,dest={tmp_path}"]
    docker(*argv, ".", cwd=stack.root, input="FROM scratch\nCOPY . /\n")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert "compose/web/Dockerfile" in files
    locks = (f"requirements/{name}.txt" for name in ("base", "build", "prod"))
    allowed = ("compose/web/", "packages/djup-web/", "project/", *locks)
    assert all(name.startswith(allowed) for name in files), files
    assert not [name for name in files if "secret" in (tmp_path / name).read_text("latin-1")[:6]]


def test_the_image_adds_at_most_46_megabytes(stack: Checkout) -> None:
    names = (f"{stack.project}-web", stack.values["PYTHON_IMAGE"])
    sizes = docker("image", "inspect", "--format", "{{.Size}}", *names).stdout.split()
    assert int(sizes[0]) - int(sizes[1]) <= 46 * MEGABYTE


# Plain compose


def test_plain_compose_means_the_same_stack(stack: Checkout) -> None:
    before = stack.runtime.identities(stack.root)
    names = {line["Service"] for line in map(json.loads, _lines(stack, "ps", "--format", "json"))}
    assert names == {"db", "web"}
    assert plain_compose(stack, "exec", "-T", "web", "ash", "-c", "echo $0") == "ash\n"
    plain_compose(stack, "up", "--detach")
    assert stack.runtime.identities(stack.root) == before, "inv and compose agree on the config"


def _lines(stack: Checkout, *arguments: str) -> list[str]:
    return plain_compose(stack, *arguments).splitlines()


OPTIONAL = ("db", "pooler", "encryption", "https")
FILES = ("db.yaml", "web.yaml", "prod.yaml", *(f"prod/{name}.yaml" for name in OPTIONAL))
STACK_CONFIG = ["stack", "config", *(word for name in FILES for word in ("-c", f"compose/{name}"))]


def test_production_loads_in_a_swarm(stack: Checkout) -> None:
    values = {**os.environ, **production_values()}
    config = docker(*STACK_CONFIG, cwd=stack.root, env=values).stdout
    assert {f"  {name}:" for name in ("db", "web", "proxy", "pooler")} <= set(config.splitlines())
    published = re.findall(r"target: 443\n\s+published: 443(\n\s+protocol: udp)?", config)
    assert len(published) == 2, "TCP and UDP: docker merges them if two files have the proxy"
    assert SECRET not in config


@pytest.mark.parametrize("key", ["STACK", "WEB_IMAGE", "SQL_PASSWORD_SECRET", "DOMAIN"])
def test_a_value_that_production_lacks_is_refused(stack: Checkout, key: str) -> None:
    values = {k: v for k, v in {**os.environ, **production_values()}.items() if k != key}
    done = docker(*STACK_CONFIG, cwd=stack.root, env=values, check=False)
    assert done.returncode != 0 and key in done.stderr


def production_values() -> dict[str, str]:
    """What `inv deploy` would fill the compose files in with."""
    given = {"COMPOSE_PROJECT_NAME": "shop", "DOMAIN": "a.example", "POOL_SIZE": "20"}
    given |= dict.fromkeys(("SECRET_KEY", "SQL_PASSWORD"), "x")
    given |= dict.fromkeys(("PROD_SECRET_KEY", "PROD_SQL_PASSWORD"), SECRET)
    text = "".join(f"{key}={value}\n" for key, value in given.items())
    given_production = production.from_settings(env.settings_from(text))
    return given_production.as_release("shop-web:1", "", "", 2).filled_in()


def test_the_page_is_on_the_loopback_interface_alone(stack: Checkout) -> None:
    ports = docker("port", container(stack, "web")).stdout.split("\n")
    assert [line for line in ports if line] == [f"8000/tcp -> 127.0.0.1:{stack.values['WEB_PORT']}"]
    assert docker("port", container(stack, "db")).stdout == ""


def test_a_copied_env_touches_nothing_of_the_original(
    stack: Checkout, make: Make, docker_runtime: Docker
) -> None:
    before = stack.runtime.identities(stack.root)
    other = make(docker_runtime, name="copy")
    shutil.copy2(stack.root / ".env", other.root / ".env")
    for arguments in (("down",), ("psql",), ("nuke", "--yes")):
        other.refused("ENV09", *arguments)
    (other.root / ".env").unlink()  # what the fixture removes by it is not this one's
    assert stack.runtime.identities(stack.root) == before


def test_plain_down_v_removes_the_data(stack: Checkout) -> None:
    """The last one: nothing is up after it."""
    plain_compose(stack, "down", "--volumes")
    left = stack.runtime.leftovers(stack.root)
    assert set(left) <= {"image"}
