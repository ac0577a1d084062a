"""Stages: which values each has, and that none has anything of production's, or of another one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from releases import BASE, LONG, settings

from djup.checkout import env, env_file, web_env
from djup.deploy import env_lines, production, stage, stored, taken_ports
from djup.deploy.production import Production
from djup.deploy.swarm import swarm, swarm_stack
from djup.deploy.swarm.swarm import Node, Swarm
from djup.docker import engine
from djup.problems import Problem
from djup.settings import dotenv, typos
from djup.settings.settings import Settings
from djup.terminal.task import this_task

OWN = {
    "STAGES": "staging",
    "STACK": "shop",
    "STAGING_DOMAIN": "staging.example.org",
    "STAGING_SECRET_KEY": f"of-staging-{LONG}",
    "STAGING_SQL_PASSWORD": "of-staging-2",
}


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_task, "prefix", "")
    monkeypatch.setattr(this_task, "keys", frozenset())


def staged(name: str = "staging", **values: str) -> Settings:
    return stage.chosen(settings(**{**OWN, **values}), name)


def made(**values: str) -> Production:
    return production.from_settings(staged(**values))


def test_a_stage_has_its_own_stack_names_and_secrets() -> None:
    found = made()
    assert (found.stack, found.values["DOMAIN"]) == ("shop-staging", "staging.example.org")
    assert found.secrets["secret_key"] == f"of-staging-{LONG}"
    assert found.secrets["sql_password"] == "of-staging-2"
    assert all(n.startswith("shop-staging_") for names in found.objects.values() for n in names)
    assert made(STAGING_STACK="trial").stack == "trial"
    assert production.from_settings(settings(**OWN)).stack == "shop"


@pytest.mark.parametrize(
    ("lines", "key", "value"),
    [
        ({"WEB_REPLICAS": "5"}, "WEB_REPLICAS", "5"),
        ({"WEB_REPLICAS": "5", "PROD_WEB_REPLICAS": "6"}, "WEB_REPLICAS", "6"),
        ({"PROD_WEB_REPLICAS": "6", "STAGING_WEB_REPLICAS": "1"}, "WEB_REPLICAS", "1"),
        ({"PROD_TLS": "internal"}, "TLS", "internal"),
        ({"PROD_SQL_USER": "ann"}, "SQL_USER", "ann"),
        ({"PROD_AUTH_USER_MODEL": "auth.User"}, "AUTH_USER_MODEL", "auth.User"),
        ({"PROD_ADMINS": "ann@example.org"}, "ADMINS", "ann@example.org"),
        ({"SENTRY_ENVIRONMENT": "live"}, "SENTRY_ENVIRONMENT", "staging"),
        ({"STAGING_SENTRY_ENVIRONMENT": "qa"}, "SENTRY_ENVIRONMENT", "qa"),
        ({"PROD_SQL_HOST": "pg.example.org", "PROD_SQL_PORT": "6000"}, "SQL_HOST", ""),
        ({"PROD_SQL_HOST": "pg.example.org", "PROD_SQL_PORT": "6000"}, "SQL_PORT", "5432"),
        ({"PROD_DATABASE_URL": "postgresql://a:b@pg.example.org/shop"}, "SQL_HOST", ""),
        ({"PROD_EMAIL_URL": "smtp://mail", "EMAIL_URL": "smtp://dev"}, "EMAIL_URL", ""),
        ({"PROD_CACHE_URL": "redis://valkey"}, "CACHE_URL", ""),
        ({"PROD_CSRF_TRUSTED_ORIGINS": "https://a.example"}, "CSRF_TRUSTED_ORIGINS", ""),
        ({"MEDIA": "s3://shop", "MEDIA_SECRET_KEY": "x"}, "MEDIA", ""),
        ({"MEDIA": "s3://shop", "MEDIA_SECRET_KEY": "x"}, "MEDIA_SECRET_KEY", ""),
        ({"BACKUP_AT": "03:15"}, "BACKUP_AT", ""),
        ({"PROD_BACKUP_KEEP": "3d"}, "BACKUP_KEEP", "7d4w6m"),
        ({"ARCHIVE": "7d"}, "ARCHIVE", ""),
        ({"HEARTBEAT_URL": "https://hc.example/1"}, "HEARTBEAT_URL", ""),
        ({"PROD_SECRET_KEY": f"of-production-{LONG}", "STAGING_SECRET_KEY": ""}, "SECRET_KEY", ""),
    ],
)
def test_what_a_stage_has_of_production(lines: dict[str, str], key: str, value: str) -> None:
    """And for all that a production has, it is what it was."""
    assert production.values_of(staged(**lines))[key] == value


def test_a_key_of_one_s_own_is_never_production_s() -> None:
    """It may be one that charges real customers; the one of development is the fallback."""
    own = {"PAY_KEY": "test", "PROD_PAY_KEY": "live", "PROD_ONLY": "live"}
    told = json.loads(made(**own, STAGING_EXTRA="1").secrets["settings"])
    assert told == {"PAY_KEY": "test", "EXTRA": "1", "SENTRY_ENVIRONMENT": "staging"}
    told = json.loads(made(**own, STAGING_PAY_KEY="qa").secrets["settings"])
    assert told["PAY_KEY"] == "qa"


def test_nobody_else_gets_the_keys_of_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {**OWN, "STAGES": "staging,demo", "STAGING_EXTRA": "1", "DEMO_EXTRA": "2"}
    of_production = production.from_settings(settings(**values))
    assert json.loads(of_production.secrets["settings"]) == {}
    assert json.loads(production.local(settings(**values)).secrets["settings"]) == {}
    demo = staged("demo", **values, DEMO_DOMAIN="demo.example.org")
    assert production.values_of(demo)["EXTRA"] == "2"
    monkeypatch.setattr(env_file, "ENV", tmp_path / ".env")
    env_file.ENV.write_text("STAGES=demo\nDEMO_EXTRA=2\nSTAGING_EXTRA=1\nPROD_EXTRA=3\n")
    text = web_env.text(settings(STAGES="demo"))
    assert "STAGING_EXTRA=1" in text, "no stage of this checkout is called so"
    assert "DEMO_EXTRA" not in text and "PROD_EXTRA" not in text and "STAGES" not in text


def test_secrets_are_written_under_the_names_of_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(env_file, "ENV", tmp_path / ".env")
    env_file.ENV.write_text("STAGING_DOMAIN=a.example\nPROD_SECRET_KEY=kept\n")
    given = staged(STAGING_SECRET_KEY="", STAGING_SQL_PASSWORD="")
    after = production.with_secrets(given, keep=True)
    written = dotenv.parse(env_file.ENV.read_text())
    assert written["PROD_SECRET_KEY"] == "kept" and "PROD_SQL_PASSWORD" not in written
    made = {key: written[key] for key in ("STAGING_SECRET_KEY", "STAGING_SQL_PASSWORD")}
    assert production.from_settings(after).secrets["secret_key"] == made["STAGING_SECRET_KEY"]
    assert min(map(len, made.values())) > 50 and len({*made.values()}) == 2
    elsewhere = staged(STAGING_SQL_HOST="pg.example.org", STAGING_SQL_PASSWORD="")
    assert production.missing_secrets(elsewhere) == []


@pytest.mark.parametrize(
    ("name", "local", "code", "words"),
    [
        ("prod", False, "TASK15", "--env production"),
        ("PROD", False, "TASK15", "--env production"),
        ("", False, "TASK15", "--env production"),
        ("Staging", False, "TASK15", "--env staging"),
        ("staging", True, "TASK15", "inv deploy --env staging"),
        ("demo", False, "TASK15", "STAGES=staging,demo and DEMO_DOMAIN"),
        ("pr-12", False, "TASK15", "a-z and 0-9"),
    ],
)
def test_names_that_are_none(name: str, local: bool, code: str, words: str) -> None:
    with pytest.raises(Problem) as raised:
        stage.chosen(settings(**OWN), name, local=local)
    assert raised.value.code == code and words in raised.value.fix


def test_a_stage_without_a_domain() -> None:
    with pytest.raises(Problem, match="DEP02") as raised:
        production.from_settings(staged(STAGING_DOMAIN=""))
    assert "DOMAIN=staging.shop.example.org" in raised.value.fix


@pytest.mark.parametrize("name", ["Staging", "prod", "production", "local", "web", "sql", "pr-1"])
def test_names_whose_keys_would_be_others(name: str) -> None:
    with pytest.raises(Problem, match=r"STAGES in \.env must be names such as staging"):
        settings(STAGES=f"staging, {name}")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"STAGING_STACK": "shop"}, "STACK of this stage .* of production: shop"),
        ({"STAGING_DOMAIN": "a.example,WWW.shop.example.org"}, "DOMAIN .* of production: www.shop"),
        (
            dict.fromkeys(("PROD_SQL_HOST", "STAGING_SQL_HOST"), "pg.example.org"),
            "SQL_DATABASE .* of production: app at pg.example.org port 5432",
        ),
        (
            {
                "PROD_DATABASE_URL": "postgresql://ann:secret-1@pg.example.org:5432/shop",
                "STAGING_DATABASE_URL": "postgresql://bob:secret-2@pg.example.org/shop",
            },
            "SQL_DATABASE .* of production: shop at",
        ),
        (
            {"MEDIA": "s3://shop", "STAGING_MEDIA": "s3://shop/"},
            "MEDIA .* of production: s3://shop",
        ),
        (
            {"BACKUP_TO": "s3://b", "STAGING_BACKUP_TO": "s3://b"},
            "BACKUP_TO .* of production: s3://b",
        ),
        ({"STAGES": "demo staging", "DEMO_DOMAIN": "staging.example.org"}, "DOMAIN .* of demo"),
    ],
)
def test_a_stage_shares_nothing_that_is_written_to(values: dict[str, str], what: str) -> None:
    """Whichever task it is: `deploy.down` would end production."""
    with pytest.raises(Problem, match=f"DEP71: {what}") as raised:
        staged(**values)
    assert "secret" not in str(raised.value)


def test_media_in_volumes_are_no_common_place() -> None:
    assert made(MEDIA="volume", STAGING_MEDIA="volume").values["MEDIA_VOLUME"] == (
        "shop-staging_media"
    )


def test_the_backups_of_a_stage_are_its_own() -> None:
    store = stored.of(staged(BACKUP_AT="03:15", BACKUP_TO="s3://b/shop"))
    assert (store.stack, store.is_on, store.is_there) == ("shop-staging", False, False)
    own = {"STAGING_BACKUP_AT": "04:00", "STAGING_BACKUP_TO": "s3://b/staging"}
    store = stored.of(staged(**own, BACKUP_TO="s3://b/shop"))
    assert (store.is_on, store.where, store.prefix) == (True, "s3://b/staging", "STAGING_")


def test_where_a_stage_is_deployed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("engine", "target", "deploys"):
        monkeypatch.setattr(this_task, name, getattr(this_task, name))
    there = {"DEPLOY_TO": "ssh://a@one"}
    assert swarm.lead_to(staged(**there), "", local=False) == "ssh://a@one"
    assert this_task.target == "--env staging"
    other = staged(**there, STAGING_DEPLOY_TO="ssh://a@two")
    assert swarm.lead_to(other, "", local=False) == "ssh://a@two"
    assert swarm.lead_to(other, "ctx", local=False) == "ctx"
    assert this_task.target == "--context ctx --env staging"


def test_slips_behind_a_prefix_are_found() -> None:
    keys = {"STAGING_WEB_REPLICSA", "PROD_WEB_REPLICSA", "STAGING_DOMAIN", "STAGING_PAY_KEY"}
    found = typos.find(keys, env.known_keys(), ("PROD_", "STAGING_"))
    assert found == {f"{p}_WEB_REPLICSA": f"{p}_WEB_REPLICAS" for p in ("PROD", "STAGING")}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"STAGING_WEB_REPLICAS": "2", "PROD_WEB_REPLICAS": "4", "PAY_KEY": "dev"},
        {"STAGING_EXTRA": "a b#c", "PROD_TLS": "internal", "STAGING_TLS": "acme"},
        {"STAGING_SQL_HOST": "pg", "STAGING_SQL_PORT": "6000", "STAGING_SQL_USER": "ann"},
        {"STAGING_BACKUP_AT": "04:00", "BACKUP_AT": "03:15", "POOL_SIZE": "20"},
        {"STAGING_EMAIL_URL": "smtp://mail", "STAGING_STACK": "trial"},
    ],
)
def test_lost_lines_of_a_stage_are_printed_with_its_prefix(values: dict[str, str]) -> None:
    """Next to the lines that .env still has, they deploy the same stage."""
    given = {**BASE, **OWN, **values}
    before = staged(**values)
    deployed = production.from_settings(before)
    left = {key: text for key, text in given.items() if not key.startswith("STAGING_")}
    lost = replace(env.settings_from(_lines(left)), stage="staging")
    release = deployed.as_release(f"{deployed.image_name}:0f", "0f", "0f", 3)
    found = env_lines.values_of(release, deployed.secrets, "ssh://ann@server", lost)
    assert all(key.startswith("STAGING_") for key in found)
    text = _lines({**left, **dotenv.parse(env_lines.as_text(found))})
    assert production.from_settings(replace(env.settings_from(text), stage="staging")) == deployed


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{key}={dotenv.quoted(text)}\n" for key, text in values.items())


def test_ports_that_another_stack_has(monkeypatch: pytest.MonkeyPatch) -> None:
    published(monkeypatch, 80)
    nodes = Node("n1", "a", {"proxy.shop": "true"}, True, ""), Node("n2", "b", {}, True, "")
    with pytest.raises(Problem, match=r"DEP72: the ports 80 .* stack shop"):
        taken_ports.refuse_taken(made(), Swarm(nodes, "n1"))
    taken_ports.refuse_taken(made(), Swarm(nodes, "n2"))
    taken_ports.refuse_taken(made(STAGING_HTTP_PORT="8080"), Swarm(nodes, "n1"))
    taken_ports.refuse_taken(production.from_settings(settings(**OWN)), Swarm(nodes, "n1"))
    published(monkeypatch, 443)
    by_http = {"STAGING_TLS": "off", "STAGING_TRUSTED_PROXIES": "192.0.2.1"}
    taken_ports.refuse_taken(made(**by_http), Swarm(nodes, "n1"))


def published(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The proxy of `shop` has this port of its nodes."""
    ports = [{"PublishedPort": port, "PublishMode": "host"}, {"TargetPort": 5432}]
    labels = {"com.docker.stack.namespace": "shop", "deploy.release": "3"}
    service = {"Spec": {"Labels": labels, "EndpointSpec": {"Ports": ports}}}
    answers = {"service ls": "s1\n", "config ls": ""}
    monkeypatch.setattr(engine, "ask", lambda *words, **_: answers[" ".join(words[:2])])
    monkeypatch.setattr(swarm_stack, "inspected", lambda names: [service])
