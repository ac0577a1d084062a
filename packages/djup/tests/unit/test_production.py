"""What `.env` says of production: the values of the stack, its secrets, and what is kept apart."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from releases import BASE, LONG, made, release, settings

from djup import ROOT
from djup.checkout import blocks, env_file, web_env
from djup.code import requirements
from djup.deploy import history, plan, production, proxy
from djup.deploy.swarm import swarm_stack
from djup.deploy.swarm.release import bytes_of
from djup.host import process
from djup.problems import Problem
from djup.settings.layout import Layout


def test_secrets_are_production_s_own_and_no_value() -> None:
    found = made(STRIPE_KEY="test", PROD_STRIPE_KEY="live", EXTRA="x")
    assert found.secrets["secret_key"] == f"of-production-{LONG}"
    assert found.secrets["sql_password"] == "of-production-2"
    assert json.loads(found.secrets["settings"]) == {"STRIPE_KEY": "live", "EXTRA": "x"}
    for text in ("of-production", "of-development", "live"):
        assert text not in str(found.values), text
        assert text not in repr(found), text


def test_errors_are_reported_where_the_package_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = {"SENTRY_DSN": "https://dev@errors/1", "PROD_SENTRY_DSN": "https://live@errors/2"}
    with pytest.raises(Problem, match="PKG07"):
        made(**dsn)
    monkeypatch.setattr(requirements, "REPORTER", "django")
    told = json.loads(made(**dsn, SENTRY_ENVIRONMENT="staging").secrets["settings"])
    assert told == {"SENTRY_DSN": "https://live@errors/2", "SENTRY_ENVIRONMENT": "staging"}


def test_what_the_project_reads_is_production_s_own_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key of these names that .env has for development alone has no part in it."""
    names = {"DJANGO_KEY": "SECRET_KEY", "DJANGO_DEBUG": "DEBUG_WORD", "DB_USER": "SQL_USER"}
    monkeypatch.setattr(web_env, "layout", lambda: Layout(environment=names))
    found = made(DJANGO_KEY="dev", DJANGO_DEBUG="True", DB_USER="dev", PROD_DB_USER="live")
    told = json.loads(found.secrets["settings"])
    assert told["DJANGO_KEY"] == f"of-production-{LONG}" and told["DJANGO_DEBUG"] == "False"
    assert told["DB_USER"] == "live"


def test_what_the_project_needs_is_handed_over_though_the_block_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = env_file.EXAMPLE.read_text()
    monkeypatch.setattr(env_file, "EXAMPLE", tmp_path / "example")
    env_file.EXAMPLE.write_text(blocks.replaced("", f"{example}MAIL_KEY=\n"))
    needs = Layout(build_environment={"MAIL_KEY": "build"})
    monkeypatch.setattr(production, "layout", lambda: needs)
    found = made(MAIL_KEY="test", PROD_MAIL_KEY="live")
    assert json.loads(found.secrets["settings"]) == {"MAIL_KEY": "live"}


def test_another_content_is_another_name() -> None:
    before, after = made().values, made(PROD_SECRET_KEY=f"another-{LONG}").values
    assert {key for key in before if before[key] != after[key]} == {"SECRET_KEY_SECRET"}


def test_the_address_of_a_database_is_never_taken_over_from_development() -> None:
    there = {"SQL_HOST": "dev.example.org", "SQL_SSLMODE": "require"}
    found = made(**there)
    assert found.has_own_database and found.values["SQL_HOST"] == "db"
    assert "dev.example.org" not in str(found.values)
    url = made(DATABASE_URL="postgresql://ann:x@dev.example.org/shop")
    assert url.has_own_database and url.values["DATABASE_SSLMODE"] == ""


def test_a_managed_database() -> None:
    found = made(PROD_SQL_HOST="pg.example.org", PROD_SQL_PORT="6000", PROD_SQL_SSLMODE="require")
    assert not found.has_own_database
    assert "db.yaml" not in found.files and "prod/db.yaml" not in found.files
    assert (found.values["SQL_HOST"], found.values["SQL_PORT"]) == ("pg.example.org", "6000")
    url = made(PROD_DATABASE_URL="postgresql://ann:pa%40ss@pg.example.org/shop?sslmode=require")
    assert url.values["SQL_USER"] == "ann" and url.values["DATABASE_SSLMODE"] == "require"
    assert url.secrets["sql_password"] == "pa@ss" and "pa@ss" not in str(url.values)


def test_a_pooler_lies_between_the_web_alone_and_the_database() -> None:
    found = made(POOL_SIZE="20", PROD_SQL_PASSWORD='a"b')
    assert "prod/pooler.yaml" in found.files
    assert (found.values["SQL_HOST"], found.values["SQL_PORT"]) == ("pooler", "6432")
    assert (found.values["DATABASE_HOST"], found.values["DATABASE_PORT"]) == ("db", "5432")
    assert found.secrets["userlist"] == '"app" "a""b"\n'


def test_a_trial_has_nothing_of_production() -> None:
    found = production.local(settings(PROD_SQL_HOST="pg.example.org", REGISTRY="r.example.org"))
    assert found.stack == "shop-1a2b3c-local" and found.registry == ""
    assert found.secrets["secret_key"] == f"of-development-{LONG}"
    assert (found.values["DOMAIN"], found.values["TLS"]) == ("localhost", "internal")
    assert found.has_own_database


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"DOMAIN": ""}, "DEP02"),
        ({"TLS": "yes"}, "ENV06"),
        ({"TLS": "off"}, "ENV06"),
        ({"TLS": "off", "TRUSTED_PROXIES": "192.0.2.0/24, balancer"}, "ENV06"),
        ({"TLS": "certificate"}, "DEP23"),
        ({"TLS": "certificate", "TLS_CERT": "README.md", "TLS_KEY": "README.md"}, "DEP23"),
        ({"STACK": "A b"}, "ENV06"),
        ({"DOMAIN": "https://shop.example.org/"}, "ENV06"),
        ({"DOMAIN": "shop.example.org, -x"}, "ENV06"),
        ({"DOMAIN": "shop.example.org:8443"}, "ENV06"),
        ({"MAX_BODY": "much"}, "ENV06"),
        ({"TRUSTED_PROXIES": "192.0.2.0/24, balancer"}, "ENV06"),
        ({"TRUSTED_PROXIES": "192.0.2.1/24"}, "ENV06"),
        ({"MAX_BODY": "10X"}, "ENV06"),
        ({"WEB_MEMORY": "lots"}, "ENV06"),
        ({"WEB_REPLICAS": "0"}, "ENV06"),
        ({"WEB_THREADS": "many"}, "ENV06"),
        ({"POOL_SIZE": "0"}, "ENV06"),
        ({"HTTPS_PORT": "70000"}, "ENV06"),
        ({"NETWORK_ENCRYPTED": "perhaps"}, "ENV06"),
        ({"PROD_SQL_PASSWORD": ""}, "ENV05"),
    ],
)
def test_what_cannot_be(values: dict[str, str], code: str) -> None:
    with pytest.raises(Problem) as raised:
        made(**values)
    assert raised.value.code == code
    assert "of-production" not in str(raised.value)


BALANCED = {"TLS": "off", "TRUSTED_PROXIES": "192.0.2.0/24, 2001:db8::1"}


def test_http_is_for_trusted_proxies_and_the_only_port() -> None:
    with pytest.raises(Problem, match=r"TRUSTED_PROXIES in \.env must be set with TLS=off"):
        made(TLS="off")
    off = release(2, **BALANCED, HTTPS_PORT="8443")
    assert off.values["HTTP_NAMES"] == "http://shop.example.org http://www.shop.example.org"
    assert off.values["TRUSTED_NETWORKS"] == "192.0.2.0/24 2001:db8::1"
    assert off.url == "https://shop.example.org:8443/"
    was, will_be = swarm_stack.rendered(release())["proxy"], swarm_stack.rendered(off)["proxy"]
    assert re.findall(r"published: (\d+)", was) == ["80", "443", "443"] and "protocol: udp" in was
    assert re.findall(r"published: (\d+)", will_be) == ["80"]
    assert "http://" not in was and "local_certs" in will_be
    assert plan._anew(release(), off) == ("proxy",), "the plan says that it interrupts"


def test_a_trial_on_this_machine_ends_tls_itself() -> None:
    trial = production.local(settings(**BALANCED))
    assert trial.values["TLS"] == "internal" and "prod/https.yaml" in trial.files


def test_an_older_caddyfile_of_ones_own_knows_no_tls_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own := tmp_path / "Caddyfile").write_text("{$DOMAIN} {\n}\n")
    monkeypatch.setattr(production, "own_or_ours", lambda _: own)
    with pytest.raises(Problem, match=r"TLS in .env .* lacks djup's block \(off\)"):
        made(**BALANCED)


def test_a_prod_yaml_of_ones_own_that_has_the_ports_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "compose/prod.yaml").read_text()
    (own := tmp_path / "prod.yaml").write_text(
        text.replace("    networks: [front]\n", "    networks: [front]\n    ports: []\n", 1)
    )
    theirs = production.own_or_ours
    monkeypatch.setattr(
        production, "own_or_ours", lambda path: own if path.endswith("prod.yaml") else theirs(path)
    )
    assert not {"prod/https.yaml", "prod/http.yaml"} & {*made().files}
    with pytest.raises(Problem, match=r"TLS in .env .* as long as compose/prod.yaml has ports"):
        made(**BALANCED)


@pytest.mark.parametrize(("values", "ports"), [({}, ["443"]), (BALANCED, ["443", "80"])])
def test_each_proxy_is_asked_as_it_is_reached(
    values: dict[str, str], ports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    done = process.Result(0, "200", "")
    monkeypatch.setattr(proxy.process, "run", lambda argv, stdin: asked.append(argv) or done)
    assert proxy._ask(release(**values), "tools") == "200"
    assert asked[0][-len(ports) - 1 :] == ["shop.example.org", *ports]


@pytest.mark.parametrize("size", ["512M", "10MB", "1.5GiB", "4096", "1g"])
def test_a_size(size: str) -> None:
    assert made(MAX_BODY=size, WEB_MEMORY=size).values["MAX_BODY"] == size


def test_own_certificates_are_secrets(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text(f"-----BEGIN {name}-----\n")
    own = {"TLS": "certificate", "TLS_CERT": f"{tmp_path}/cert", "TLS_KEY": f"{tmp_path}/key"}
    found = made(**own)
    assert found.secrets["tls_key"].startswith("-----BEGIN key")
    assert found.values["TLS_KEY_SECRET"] != made().values["TLS_KEY_SECRET"]


def test_objects_bear_the_names_that_the_compose_files_ask_for() -> None:
    shop = made(POOL_SIZE="20")
    created = {name for contents in shop.objects.values() for name in contents}
    named = {v for k, v in shop.values.items() if k.endswith(("_SECRET", "_CONFIG"))}
    assert created == named
    assert shop.objects["secret"][shop.values["SECRET_KEY_SECRET"]] == BASE["PROD_SECRET_KEY"]
    assert shop.objects["config"].keys() == {
        shop.values[f"{n}_CONFIG"] for n in ("CADDYFILE", "CA")
    }


def test_names_of_the_site() -> None:
    found = made(DOMAIN="*.shop.example.org, shop.example.org")
    assert found.values["DOMAIN"] == "*.shop.example.org shop.example.org"
    assert found.values["ALLOWED_HOSTS"] == ".shop.example.org,shop.example.org"
    both = release(DOMAIN="a.example,b.example", HTTPS_PORT="8443")
    assert both.url == "https://a.example:8443/"


def test_another_scale_is_no_other_version() -> None:
    assert release().is_like(release(WEB_REPLICAS="8"))
    assert not release().is_like(release(WEB_THREADS="8"))
    assert not release().is_like(release(PROD_SECRET_KEY=f"another-{LONG}"))


def test_a_release_comes_back_as_it_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    from dataclasses import asdict

    kept = {**asdict(release(7)), "of_another_version": True}
    data = base64.b64encode(json.dumps(kept).encode()).decode()
    theirs = {"Name": "shop_release_7", "Data": data}
    entries: list[dict[str, Any]] = [
        {"Spec": theirs},
        {"Spec": {"Name": "other", "Data": "bm90IG91cnM="}},
    ]
    monkeypatch.setattr(history.objects, "names", lambda *_: ["shop_release_7", "other"])
    monkeypatch.setattr(history.objects, "read", lambda *_: entries)
    found = history.all_of("shop")
    assert len(found) == 1 and found[0].number == 7 and found[0].is_like(release(8))
    assert [*found[0].files] == [*release(7).files], "of two files the later one counts"


def test_a_release_is_kept_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(history, "_kept", lambda _: {})
    monkeypatch.setattr(history.objects, "create", lambda *words: kept.append(words[-1]))
    history.keep(release(7))
    assert [*json.loads(kept[0])["files"]][:3] == ["db.yaml", "web.yaml", "prod.yaml"]


def test_the_plan_names_what_changes() -> None:
    found = plan.changes(
        release(1), release(2, WEB_REPLICAS="8", PROD_SECRET_KEY=f"another-{LONG}")
    )
    assert set(found) == {"WEB_REPLICAS", "SECRET_KEY_SECRET"}
    assert found["WEB_REPLICAS"] == ("2", "8")
    text = plan.as_text(plan.Plan(release(1), release(2, WEB_REPLICAS="8")), "there", 3)
    assert "release 1 -> 2" in text and "3 nodes" in text and "WEB_REPLICAS" in text


@pytest.mark.parametrize(
    ("connections", "values", "warned_of"),
    [
        (97, {"WEB_REPLICAS": "5"}, 0),
        (97, {"WEB_REPLICAS": "6"}, 106),
        (20, {}, 42),
        (0, {"WEB_REPLICAS": "500"}, 0),
        (97, {"WEB_REPLICAS": "500", "POOL_SIZE": "43", "PGBOUNCER_IMAGE": "x"}, 0),
        (97, {"POOL_SIZE": "44", "PGBOUNCER_IMAGE": "x"}, 98),
    ],
)
def test_more_connections_than_the_database_takes(
    connections: int, values: dict[str, str], warned_of: int
) -> None:
    found = plan.Plan(release(1), release(2, **values), connections=connections)
    warning = re.search(r"warning: up to (\d+) connections", plan.as_text(found, "there", 3))
    assert int(warning[1] if warning else 0) == warned_of


def test_what_jobs_take_of_the_connections() -> None:
    after = release(2, WEB_REPLICAS="2", WORKER_REPLICAS="3", WORKER_PROCESSES="4")
    with_worker = replace(after, files={**after.files, "prod/worker.yaml": ""})
    assert plan.Plan(None, after).most_connections == 42
    assert plan.Plan(None, with_worker).most_connections == 42 + 2 * 3 * 4 * 2


@pytest.mark.parametrize(
    ("replicas", "at_once"), [("1", 1), ("4", 1), ("5", 2), ("24", 6), ("60", 15), ("1000", 250)]
)
def test_a_quarter_of_the_replicas_is_replaced_at_once(replicas: str, at_once: int) -> None:
    after = release(2, WEB_REPLICAS=replicas)
    assert after.filled_in()["WEB_AT_ONCE"] == str(at_once)
    assert after.filled_in()["WORKER_AT_ONCE"] == "1"
    web = swarm_stack.rendered(after)["web"]
    assert web == swarm_stack.rendered(release(2))["web"], "no container is another one for that"


def test_memory_that_old_and_new_replicas_take_side_by_side() -> None:
    after = release(2, WEB_REPLICAS="20", WEB_MEMORY="100M")
    for memory, warned in ((2_600_000_000, True), (2_700_000_000, False), (0, False)):
        text = plan.as_text(plan.Plan(release(1), after, memory=memory), "there", 3)
        assert ("a deploy may take 2,621.4MB of memory" in text) == warned


def test_sizes_are_read_as_docker_reads_them() -> None:
    sizes = {"512M": 512 << 20, "512mb": 512 << 20, "1.5GiB": 3 << 29, "100": 100, "64kb": 1 << 16}
    assert {size: bytes_of(size) for size in sizes} == sizes


def test_what_interrupts() -> None:
    operation = "a.0002: Remove field x (it is read)"
    migrations = plan.Migrations(("a.0002",), ("a.0002",), (operation,))
    one = plan.Plan(release(1), release(2), ("db", "proxy", "web"), migrations, proxies=1)
    assert len(one.interruptions) == 3 and "a.0002: Remove field x" in one.interruptions[0]
    several = plan.Plan(release(1), release(2), ("proxy", "web"), proxies=2)
    assert several.interruptions == []
    assert plan.Plan(None, release(1), ("db",), migrations).interruptions == []
    older = plan.Plan(release(1), release(2), migrations=plan.Migrations(ahead=("a.0003",)))
    assert "the database has a.0003" in older.interruptions[0]


def task(
    state: str = "running", wanted: str = "running", *, reachable: bool = True
) -> swarm_stack.Task:
    words = {"id": "1", "name": "web.1", "node": "a", "image": "", "since": "", "error": ""}
    return swarm_stack.Task(**words, state=state, wanted=wanted, current=True, reachable=reachable)


def test_defaults_that_docker_tells_of_a_service_alone_are_no_other_version() -> None:
    container = {"Image": "a", "ReadOnly": True}
    told = {
        "ContainerSpec": {**container, "StopGracePeriod": 10_000_000_000, "DNSConfig": {}},
        "RestartPolicy": {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0},
        "Resources": {"Limits": {}, "Reservations": {}},
        "Runtime": "container",
    }
    task = {"ContainerSpec": {**container, "Isolation": ""}, "ForceUpdate": 0}
    assert swarm_stack._essence(told) == swarm_stack._essence(task)
    assert swarm_stack._essence(told) != swarm_stack._essence({"ContainerSpec": {"Image": "b"}})


@pytest.mark.parametrize(
    ("replicas", "tasks", "settled"),
    [
        (1, [task()], True),
        (1, [task("starting")], False),
        (0, [task(wanted="remove")], False),
        (0, [task("shutdown", "remove")], True),
        (1, [task(), task(wanted="shutdown")], False),
        (1, [task(), task(wanted="shutdown", reachable=False)], True),
        (1, [task(), task()], True),
        (2, [task(), task()], False),
    ],
)
def test_what_was_told_to_end_and_still_answers_is_waited_for(
    replicas: int, tasks: list[swarm_stack.Task], settled: bool
) -> None:
    assert swarm_stack.Service("web", replicas, {}, "", "", (), tuple(tasks)).settled is settled


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"PROD_SQL_SSLROOTCERT": "certs/a.pem"}, "PROD_SQL_SSLMODE"),
        ({"PROD_SQL_SSLMODE": "verify-full"}, "PROD_SQL_SSLROOTCERT"),
    ],
)
def test_a_connection_that_nobody_would_check(values: dict[str, str], named: str) -> None:
    with pytest.raises(Problem, match=named):
        made(PROD_SQL_HOST="db.example.org", **values)


def test_a_base_image_of_production_alone() -> None:
    assert (
        made(PROD_PYTHON_IMAGE="python:3.15-alpine").values["PYTHON_IMAGE"] == "python:3.15-alpine"
    )


def test_the_trusted_origins_of_development_stay_there() -> None:
    key, tunnel, site = "CSRF_TRUSTED_ORIGINS", "https://abc.ngrok.example", "https://a.example"
    assert key not in made(CSRF_TRUSTED_ORIGINS=tunnel).secrets["settings"]
    both = made(CSRF_TRUSTED_ORIGINS=tunnel, PROD_CSRF_TRUSTED_ORIGINS=site)
    assert json.loads(both.secrets["settings"])[key] == site
    with pytest.raises(Problem, match="PROD_CSRF_TRUSTED_ORIGINS"):
        made(PROD_CSRF_TRUSTED_ORIGINS="a.example")
