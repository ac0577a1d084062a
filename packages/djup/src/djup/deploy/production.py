"""Production, as `.env` describes it: what fills the compose files in, and the secrets."""

import hashlib
import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from djup import ROOT, own_or_ours
from djup.checkout import env, env_file, web_env
from djup.checkout.create import random_word
from djup.code import requirements
from djup.deploy import archiving, keeping, media, standby
from djup.deploy.swarm.release import CA, OFF, SIZE, Release, split_list
from djup.host import ports
from djup.problems import problem
from djup.settings import database_url, dotenv, stages
from djup.settings.layout import layout
from djup.settings.settings import (
    BOOLEANS,
    SYSTEM,
    TRUE,
    Settings,
    check_hosts,
    check_number,
    check_tls,
)
from djup.terminal import console

PREFIX = stages.PREFIX
# Those of a developer's machine; production has its own, under PROD_, or none.
OWN_KEYS = ("SECRET_KEY", "SQL_PASSWORD")
ELSEWHERE_KEYS = ("SQL_HOST", "SQL_SSLMODE", "SQL_SSLROOTCERT", "DATABASE_URL")
ORIGINS = "CSRF_TRUSTED_ORIGINS"  # a developer's tunnel is not to be trusted in production
# Known keys that the web reads in production as well, by their values under PROD_ alone.
HANDED_OVER = (ORIGINS, "CACHE_URL", "EMAIL_URL", "AUTH_USER_MODEL")
# Those that are the same in development, unless there is one under PROD_.
SHARED = (
    *("DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "ADMINS"),
    *("SENTRY_DSN", "SENTRY_ENVIRONMENT"),
)
# What each stage has by itself or not at all: its secrets, its names, and whatever holds data, so
# that it never writes where production does. Of known keys all others are production's, too.
OF_ONE_STAGE = (
    *(*OWN_KEYS, *ELSEWHERE_KEYS, "SQL_PORT", ORIGINS, "CACHE_URL", "EMAIL_URL"),
    *("STACK", "DOMAIN", "SENTRY_ENVIRONMENT", "HEARTBEAT_URL", "NOTIFY_URL"),
    *("ARCHIVE", "STANDBY"),
    *media.KEYS,
)
KEPT_APART = "BACKUP_"  # and what begins so
# What the compose files are filled in with, word for word as it stands in `.env`.
PLAIN_KEYS = (
    *("SQL_ENGINE", "SQL_DATABASE", "SQL_USER"),
    *("PYTHON_IMAGE", "SYSTEM_PACKAGES", "POSTGRES_IMAGE", "CADDY_IMAGE", "TLS", "MAX_BODY"),
    *("WEB_REPLICAS", "WEB_WORKERS", "WEB_THREADS", "WEB_MEMORY"),
    *("WORKER_REPLICAS", "WORKER_PROCESSES", "WORKER_MEMORY", "SCHEDULE_MEMORY"),
)
PORTS = ("HTTP_PORT", "HTTPS_PORT")
LIMITS = {
    "HTTP_PORT": (1, 65535),
    "HTTPS_PORT": (1, 65535),
    "WEB_REPLICAS": (1, 1000),
    "WEB_WORKERS": (1, 64),
    "WEB_THREADS": (1, 64),
    "WORKER_REPLICAS": (1, 1000),
    "WORKER_PROCESSES": (1, 64),
}
POOL_KEYS = ("POOL_SIZE", "PGBOUNCER_IMAGE")
TLS_MODES = ("acme", "internal", "certificate", OFF)
NAME = re.compile(r"(\*\.)?\w[\w-]*(\.\w[\w-]*)*")
PATH = re.compile(r"/[!-~]*")  # as it is sent: what is not ASCII is written as %XX
NO_FILE = "# none\n"
PROXY_PORTS = re.compile(r"(?m)^  proxy:\n(?:(?:    .*)?\n)*?    ports:")
SHORTEST_KEY = 50  # as djup_web/env.py has it
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"  # in the containers
OWN_DATABASE = ("db", "5432")
POOLER = {
    "SQL_HOST": "pooler",
    "SQL_PORT": "6432",
    "SQL_SSLMODE": "",
    "SQL_SSLROOTCERT": "",
    "SQL_POOLED": "1",
}
# As Swarm's managers have it (MaxSecretSize and MaxConfigSize of moby/swarmkit).
SECRET_BYTES, CONFIG_BYTES = 500 * 1024, 1000 * 1024
CADDYFILE = "compose/caddy/Caddyfile"
OFF_BLOCK = "(off)"
ADDRESS = re.compile(r"([\w.+-]+@[\w.-]+)?")
EDGE_STACK, EDGE_FILE = "edge", "prod/edge.yaml"
HTTP_FILE, HTTPS_FILE = "prod/http.yaml", "prod/https.yaml"
ORIGIN = {
    "secret_key": "SECRET_KEY of .env",
    "sql_password": "SQL_PASSWORD of .env",
    "settings": "the keys that you have added to .env, together,",
    "tls_cert": "the file of TLS_CERT",
    "tls_key": "the file of TLS_KEY",
    "caddyfile": CADDYFILE,
    "ca": "the file of SQL_SSLROOTCERT",
    "keeper": "what the keys BACKUP_ of .env say, together,",
}


@dataclass(frozen=True)
class Production:
    """A stack to be: its name, the registry that its image goes to ('' if none), its compose files
    (under compose/), the values that these are filled in with, none of them secret, the contents of
    its secrets and configs, by name, and the pages that a new version has to answer."""

    stack: str
    registry: str
    files: tuple[str, ...]
    values: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    configs: Mapping[str, str] = field(repr=False)
    pages: tuple[str, ...] = ("/",)

    @property
    def has_own_database(self) -> bool:
        """Whether the stack runs PostgreSQL itself."""
        return "prod/db.yaml" in self.files

    @property
    def image_name(self) -> str:
        """The web image's, without its tag."""
        name = f"{self.stack}-web"
        return f"{self.registry}/{name}" if self.registry else name

    @property
    def objects(self) -> dict[str, dict[str, str]]:
        """The secrets and configs by kind, each content by the full name that Swarm knows it by."""
        kinds = (("secret", self.secrets), ("config", self.configs))
        return {
            kind: {self._full_name(name, kind): text for name, text in contents.items()}
            for kind, contents in kinds
        }

    def _full_name(self, name: str, kind: str) -> str:
        return self.values[f"{name.upper()}_{kind.upper()}"]

    def as_release(self, image: str, commit: str, repository: str, number: int) -> Release:
        """The release that would deploy this, of an image that was built from a commit."""
        return Release(
            number=number,
            before=0,
            created=created_now(),
            by=created_by(),
            commit=commit,
            files={name: own_or_ours(f"compose/{name}").read_text() for name in self.files},
            values={**self.values, "WEB_IMAGE": image, "REPOSITORY": repository},
        )


def created_now() -> str:
    """The time as releases have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def created_by() -> str:
    """Who makes a release."""
    return f"{os.environ.get('USER', 'somebody')}@{socket.gethostname()}"


def from_settings(settings: Settings) -> Production:
    """What `.env` asks for: its values, and before them those whose keys begin with PROD_; of a
    stage those with its own prefix, and what it has of production's."""
    chosen = values_of(settings)
    if not chosen["DOMAIN"]:
        raise problem("DEP02.stage", stage=settings.stage) if settings.stage else problem("DEP02")
    return _checked(settings, stack_name(settings, local=False), chosen, settings.prefix)


def values_of(settings: Settings) -> dict[str, str]:
    """The values that production, or a stage, has, by their keys without the prefix."""
    theirs_alone = dict.fromkeys((*OWN_KEYS, *ELSEWHERE_KEYS, *HANDED_OVER), "")
    chosen = {**settings.values, **theirs_alone, **_of_production(settings)}
    if settings.stage:  # what .env.example presets is for development
        chosen |= {key: "" for key in theirs_alone if _is_of_one_stage(key)}
    chosen |= prefixed(settings)
    if chosen["DATABASE_URL"]:
        chosen |= database_url.values(chosen["DATABASE_URL"])
    return chosen


def preferred(settings: Settings) -> dict[str, str]:
    """The values of `.env`, and before them those of production, or of a stage: for who asks for
    what is kept, and not for a database."""
    return {**settings.values, **_of_production(settings), **prefixed(settings)}


def _of_production(settings: Settings) -> dict[str, str]:
    """What a stage has that says nothing else: of known keys those of production, unless they are
    of one stage alone, which have their default then. Keys that the user has added are not
    production's either: they may be secrets."""
    if not settings.stage:
        return {}
    defaults = dotenv.parse(env_file.example())
    apart = {key: text for key, text in defaults.items() if _is_of_one_stage(key)}
    theirs = prefixed(replace(settings, stage=""))
    known = known_keys()
    shared = {key: text for key, text in theirs.items() if key in known and key not in apart}
    return {**shared, **apart, "SENTRY_ENVIRONMENT": settings.stage}


def _is_of_one_stage(key: str) -> bool:
    return key in OF_ONE_STAGE or key.startswith(KEPT_APART)


def local(settings: Settings) -> Production:
    """Give the production of a trial on this machine: on localhost, with a database of its own."""
    chosen = dict(settings.values) | dict.fromkeys((*ELSEWHERE_KEYS, "CACHE_URL", "MEDIA"), "")
    chosen |= {"DOMAIN": "localhost", "TLS": "internal", "REGISTRY": ""}
    chosen |= dict.fromkeys(("BACKUP_AT", "ARCHIVE", "STANDBY"), "") | {"EDGE": "0"}
    return _checked(settings, stack_name(settings, local=True), chosen, "")


def with_ports(trial: Production, before: Mapping[str, str] | None) -> Production:
    """A trial is not to be in anybody's way: the ports that it has by the values of the release
    before, or some that are free."""
    http, https = (before[key] for key in PORTS) if before else map(str, _free_ports())
    return replace(trial, values={**trial.values, **port_values(http, https)})


def port_values(http: str, https: str) -> dict[str, str]:
    """The proxy's ports, and what a URL has of the latter."""
    suffix = "" if https == "443" else f":{https}"
    return {"HTTP_PORT": http, "HTTPS_PORT": https, "HTTPS_SUFFIX": suffix}


def _free_ports() -> tuple[int, int]:
    http = ports.free_port(8080)
    return http, ports.free_port(max(8443, http + 1))


def with_secrets(settings: Settings, *, keep: bool) -> Settings:
    """The settings with production's own secrets, or a stage's; those that are new are written into
    `.env`."""
    missing = missing_secrets(settings)
    values = {key: random_word(64) for key in missing}
    if missing and keep:
        env_file.write_values(values)
        console.say(
            f"created at random, and wrote to .env: {' and '.join(missing)}. Keep this file"
        )
    return settings.with_values(values)


def stack_name(settings: Settings, *, local: bool) -> str:
    """The name of the stack, whether it is deployed or not."""
    if local:
        return f"{settings.project}-local"
    of_production = settings.values["STACK"] or folder_name()
    if settings.stage:
        return prefixed(settings).get("STACK") or f"{of_production}-{settings.stage}"
    return of_production


def prefixed(settings: Settings) -> dict[str, str]:
    """The keys that begin with PROD_, or a stage's prefix, without that, if they have a value."""
    prefix = settings.prefix
    return {
        key.removeprefix(prefix): value
        for key, value in settings.values.items()
        if key.startswith(prefix) and value
    }


def missing_secrets(settings: Settings) -> list[str]:
    """The keys of production's own secrets, or of a stage's, that `.env` has no value for, and that
    could be made up."""
    theirs = prefixed(settings)
    elsewhere = theirs.get("SQL_HOST") or theirs.get("DATABASE_URL")
    needed = OWN_KEYS[:1] if elsewhere else OWN_KEYS
    return [settings.prefix + key for key in needed if not theirs.get(key)]


def folder_name() -> str:
    """The folder's name as that of a stack."""
    return re.sub(r"[^a-z0-9]+", "-", ROOT.name.lower()).strip("-")[:32] or "project"


def _checked(settings: Settings, stack: str, chosen: Mapping[str, str], prefix: str) -> Production:
    _check(stack, chosen, prefix)
    if cause := requirements.unreported(chosen["SENTRY_DSN"], "base", "prod"):
        raise cause
    secrets = {
        "secret_key": chosen["SECRET_KEY"],
        "sql_password": chosen["SQL_PASSWORD"],
        "settings": json.dumps(_added(settings, chosen), sort_keys=True),
        **_certificate(chosen),
        **keeping.secrets(stack, chosen),
    }
    configs = {"caddyfile": own_or_ours(CADDYFILE).read_text(), "ca": _ca(chosen)}
    configs |= archiving.configs(chosen) | standby.configs(chosen)
    if chosen["POOL_SIZE"]:
        secrets["userlist"] = _userlist(chosen["SQL_USER"], chosen["SQL_PASSWORD"])
    _check_contents(secrets, SECRET_BYTES)
    _check_contents(configs, CONFIG_BYTES)
    values = _values(stack, chosen) | object_names(stack, secrets, configs)
    registry = chosen["REGISTRY"].rstrip("/")
    files = tuple(_files(chosen))
    return Production(stack, registry, files, values, secrets, configs, tuple(_pages(chosen)))


def _pages(chosen: Mapping[str, str]) -> list[str]:
    """The paths that are asked for, each once."""
    return list(dict.fromkeys(["/", *split_list(chosen["DEPLOY_CHECK"])]))


def _values(stack: str, chosen: Mapping[str, str]) -> dict[str, str]:
    values = {key: chosen[key] for key in PLAIN_KEYS}
    values |= {"DEBUG": mapped(chosen).get("DEBUG", "0")}  # as the project's settings spell it
    values |= {"STACK": stack, "DOMAIN": " ".join(split_list(chosen["DOMAIN"]))}
    values["ALLOWED_HOSTS"] = ",".join(_allowed(name) for name in split_list(chosen["DOMAIN"]))
    values["ACME_ACCOUNT"] = f"email {chosen['EMAIL']}" if chosen["EMAIL"] else ""
    values["TRUSTED_PROXIES"] = _trusted(split_list(chosen["TRUSTED_PROXIES"]))
    values |= _by_http(chosen) | _by_edge(chosen, values)
    values |= port_values(chosen["HTTP_PORT"], chosen["HTTPS_PORT"])
    way = _way_to_database(chosen)
    values |= media.values(stack, chosen) | archiving.values(chosen) | standby.values(chosen) | way
    return values | keeping.values(stack, chosen, way)


def _trusted(networks: Sequence[str]) -> str:
    """The directive of the Caddyfile, '' without networks; raises if one is not a network."""
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            allowed = f"addresses or networks such as 192.0.2.0/24, not {network}"
            raise problem("ENV06", key="TRUSTED_PROXIES", allowed=allowed) from None
    return f"trusted_proxies static {' '.join(networks)}" if networks else ""


def _by_http(chosen: Mapping[str, str]) -> dict[str, str]:
    """The names that the proxy serves by HTTP, and to whom: with TLS=off, or behind the edge."""
    if chosen["TLS"] != OFF and not _has_edge(chosen):
        return {"HTTP_NAMES": "", "TRUSTED_NETWORKS": ""}
    names = (f"http://{name}" for name in split_list(chosen["DOMAIN"]))
    networks = split_list(chosen["TRUSTED_PROXIES"])
    return {"HTTP_NAMES": " ".join(names), "TRUSTED_NETWORKS": " ".join(networks)}


def _has_edge(chosen: Mapping[str, str]) -> bool:
    return chosen["EDGE"].strip().lower() in TRUE


def _by_edge(chosen: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """What the edge does for a site, which has no TLS of its own then."""
    if not _has_edge(chosen):
        return {}
    return {"EDGE_TLS": chosen["TLS"], "EDGE_ACCOUNT": values["ACME_ACCOUNT"], "TLS": OFF}


def _way_to_database(chosen: Mapping[str, str]) -> dict[str, str]:
    """DATABASE_*: the server itself, for jobs and backups; SQL_*: what the web connects to."""
    host, port = (chosen["SQL_HOST"], chosen["SQL_PORT"]) if chosen["SQL_HOST"] else OWN_DATABASE
    tls = {"SSLMODE": chosen["SQL_SSLMODE"], "SSLROOTCERT": chosen["SQL_SSLROOTCERT"]}
    way = {"HOST": host, "PORT": port, **tls}
    server = {f"DATABASE_{key}": value for key, value in way.items()}
    server["DATABASE_CA"] = CA if _is_file(tls["SSLROOTCERT"]) else SYSTEM_CA
    if not chosen["POOL_SIZE"]:
        return server | {f"SQL_{key}": value for key, value in way.items()} | {"SQL_POOLED": ""}
    # libpq looks at the authority then, PgBouncer would not.
    looks = tls["SSLMODE"] == "require" and _is_file(tls["SSLROOTCERT"])
    mode = {"POOLER_SSLMODE": "verify-ca" if looks else tls["SSLMODE"]}
    return server | {key: chosen[key] for key in POOL_KEYS} | mode | POOLER


def _is_file(root_certificate: str) -> bool:
    return root_certificate not in ("", SYSTEM)


def _ca(chosen: Mapping[str, str]) -> str:
    """The certificates that a managed database is checked by, if they are in a file."""
    name = chosen["SQL_SSLROOTCERT"]
    return _pem("SQL_SSLROOTCERT", f"{layout().prefix}{name}") if _is_file(name) else NO_FILE


def _allowed(name: str) -> str:
    """A name of Caddy's as Django has it."""
    return name.removeprefix("*") if name.startswith("*.") else name


def _files(chosen: Mapping[str, str]) -> Iterable[str]:
    if not chosen["SQL_HOST"]:
        yield "db.yaml"
    yield from ("web.yaml", "prod.yaml")
    if not chosen["SQL_HOST"]:
        yield "prod/db.yaml"
    if chosen["POOL_SIZE"]:
        yield "prod/pooler.yaml"
    for name in layout().services:  # one without such a file is of development alone
        if own_or_ours(f"compose/prod/{name}.yaml").exists():
            yield f"prod/{name}.yaml"
    yield from media.files(chosen)
    yield from keeping.files(chosen)
    yield from archiving.files(chosen)
    yield from standby.files(chosen)
    if chosen["NETWORK_ENCRYPTED"].strip().lower() in TRUE:
        yield "prod/encryption.yaml"
    # A prod.yaml of one's own may still have the ports: docker would merge two that are one.
    if _has_edge(chosen):
        yield EDGE_FILE
    elif not _has_ports():
        yield HTTP_FILE if chosen["TLS"] == OFF else HTTPS_FILE


def _has_ports() -> bool:
    """Whether compose/prod.yaml publishes ports of the proxy, as djup's own did before."""
    return bool(PROXY_PORTS.search(own_or_ours("compose/prod.yaml").read_text()))


def _added(settings: Settings, chosen: Mapping[str, str]) -> dict[str, str]:
    """The keys that the user has added to `.env`, as production has them."""
    known = known_keys()
    names = {name for key in settings.own - known if (name := _name_of(key, settings))}
    given = {key: chosen[key] for key in names - known | {*HANDED_OVER, *SHARED} if chosen.get(key)}
    production = prefixed(settings)
    explicit = {key: text for key, text in given.items() if production.get(key) == text}
    # What the project reads under its own name may be in .env as well, for development.
    return {**given, **mapped(chosen), **media.settings(chosen), **explicit}


def _name_of(key: str, settings: Settings) -> str:
    """The name that a key has in production, or on the stage; '' for one of another stage."""
    name = key.removeprefix(settings.prefix)
    return "" if name.startswith(stages.prefixes(settings.values)) else name


def known_keys() -> set[str]:
    """The keys of `.env.example` that are not the project's own."""
    # What the project's settings do not start without stands in the block, too, but is theirs.
    return {*env.known_keys(), *OWN_KEYS} - layout().build_environment.keys()


def mapped(chosen: Mapping[str, str]) -> dict[str, str]:
    """What the project's own settings read, by `environment` of `[tool.djup]`."""
    hosts = ",".join(_allowed(name) for name in split_list(chosen["DOMAIN"]))
    own = {"DEBUG": "0", "ALLOWED_HOSTS": hosts, "DATABASE_URL": ""}
    return web_env.mapped({**chosen, **_way_to_database(chosen), **own})


def _userlist(user: str, password: str) -> str:
    """PgBouncer's file of who may come in: in double quotes, with "" for one."""
    quoted = ('"{}"'.format(word.replace('"', '""')) for word in (user, password))
    return " ".join(quoted) + "\n"


def _certificate(chosen: Mapping[str, str]) -> dict[str, str]:
    """The files of a certificate of one's own, or what says that there are none."""
    if chosen["TLS"] != "certificate":
        return {"tls_cert": NO_FILE, "tls_key": NO_FILE}
    return {
        "tls_cert": _pem("TLS_CERT", chosen["TLS_CERT"]),
        "tls_key": _pem("TLS_KEY", chosen["TLS_KEY"]),
    }


def _pem(key: str, name: str) -> str:
    path = ROOT / Path(name).expanduser()
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        text = ""
    if "-----BEGIN " not in text:
        raise problem("DEP23", key=key, name=name) if name else problem("DEP23.empty", key=key)
    return text


def object_names(
    stack: str, secrets: Mapping[str, str], configs: Mapping[str, str]
) -> dict[str, str]:
    """The variables of the compose files that name the secrets and configs: by their content, so
    that another content is another object, to which Swarm rolls."""
    kinds = (("SECRET", secrets), ("CONFIG", configs))
    return {
        f"{name.upper()}_{kind}": f"{stack}_{name}_{digest(f'{stack} {name} {text}')}"
        for kind, contents in kinds
        for name, text in contents.items()
    }


def digest(text: str) -> str:
    """Give a short hash of a text, for the name of what holds it."""
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _check_contents(contents: Mapping[str, str], limit: int) -> None:
    """Raise before anything is built where Swarm would take no secret or config of that size."""
    for name, text in contents.items():
        if (size := len(text.encode())) >= limit:
            what = ORIGIN.get(name, name)
            raise problem("DEP35", what=what, size=f"{size:,}", limit=f"{limit:,}")


def _check_names_and_sizes(chosen: Mapping[str, str]) -> None:
    """What Caddy and Swarm would find to be wrong only when the proxy has stopped for it."""
    if wrong := [name for name in split_list(chosen["DOMAIN"]) if not NAME.fullmatch(name)]:
        allowed = f"names such as shop.example.org, separated by commas; {wrong[0]} is not one"
        raise problem("ENV06", key="DOMAIN", allowed=allowed)
    if wrong := [path for path in split_list(chosen["DEPLOY_CHECK"]) if not PATH.fullmatch(path)]:
        allowed = f"paths such as /shop/, separated by commas; {wrong[0]} is not one"
        raise problem("ENV06", key="DEPLOY_CHECK", allowed=allowed)
    for key in ("MAX_BODY", "WEB_MEMORY", "WORKER_MEMORY", "SCHEDULE_MEMORY"):
        if not SIZE.fullmatch(chosen[key]):
            raise problem("ENV06", key=key, allowed="a size such as 512MB")


def _check(stack: str, chosen: Mapping[str, str], prefix: str) -> None:
    """Raise at the first value that no stack could be deployed with."""
    _check_stack_name(stack)
    check_tls(chosen, prefix)
    _check_secrets(chosen, prefix)
    _check_names_and_sizes(chosen)
    media.check(chosen, prefix)
    keeping.check(chosen, prefix)
    archiving.check(chosen, prefix)
    standby.check(chosen, prefix)
    check_hosts(chosen, prefix)
    if chosen["TLS"] not in TLS_MODES:
        raise problem("ENV06", key="TLS", allowed=f"one of {', '.join(TLS_MODES)}")
    if chosen["TLS"] == OFF:
        _check_off(chosen)
    _check_numbers(chosen)
    for key in ("NETWORK_ENCRYPTED", "EDGE"):
        if chosen[key].strip().lower() not in BOOLEANS:
            raise problem("ENV06", key=key, allowed=f"one of {', '.join(BOOLEANS)}")
    if _has_edge(chosen):
        _check_edge(chosen)


def _check_off(chosen: Mapping[str, str]) -> None:
    """Raise where HTTP would be for anybody, or the proxy's Caddyfile knows of no such mode."""
    if _has_ports():
        allowed = "another one than off, as long as compose/prod.yaml has ports of the proxy"
        raise problem("ENV06", key="TLS", allowed=allowed)
    if not split_list(chosen["TRUSTED_PROXIES"]):
        allowed = "set with TLS=off: the addresses that may speak HTTP, such as 192.0.2.0/24"
        raise problem("ENV06", key="TRUSTED_PROXIES", allowed=allowed)
    if OFF_BLOCK not in own_or_ours(CADDYFILE).read_text():
        allowed = f"another than off as long as your {CADDYFILE} lacks djup's block {OFF_BLOCK}"
        raise problem("ENV06", key="TLS", allowed=allowed)


def _check_edge(chosen: Mapping[str, str]) -> None:
    """Raise where the edge could not speak to the site's own proxy."""
    if chosen["TLS"] == OFF:
        allowed = "0 with TLS=off: a load balancer in front of the edge is not supported"
        raise problem("ENV06", key="EDGE", allowed=allowed)
    if any(name.startswith("*.") for name in split_list(chosen["DOMAIN"])):
        # Caddy would get no certificate of its own for a name that the wildcard of another covers.
        allowed = "0 with a wildcard in DOMAIN: it would stop the certificates of other sites"
        raise problem("ENV06", key="EDGE", allowed=allowed)
    if not ADDRESS.fullmatch(chosen["EMAIL"]):
        raise problem("ENV06", key="EMAIL", allowed="empty, or one address such as you@example.org")
    if _has_ports() or OFF_BLOCK not in own_or_ours(CADDYFILE).read_text():
        allowed = (
            "0 as long as your compose/prod.yaml has ports of the proxy, or your "
            f"{CADDYFILE} lacks djup's block {OFF_BLOCK}"
        )
        raise problem("ENV06", key="EDGE", allowed=allowed)


def _check_stack_name(stack: str) -> None:
    if stack == EDGE_STACK:
        raise problem("ENV06", key="STACK", allowed=f"another name than {EDGE_STACK}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", stack):
        allowed = "at most 40 of a-z, 0-9, _ and -, not starting with _ or -"
        raise problem("ENV06", key="STACK", allowed=allowed)


def _check_secrets(chosen: Mapping[str, str], prefix: str) -> None:
    if not chosen["SECRET_KEY"] or not chosen["SQL_PASSWORD"]:
        key = "SECRET_KEY" if not chosen["SECRET_KEY"] else "SQL_PASSWORD"
        raise problem("ENV05", key=prefix + key)
    if len(chosen["SECRET_KEY"]) < SHORTEST_KEY:
        allowed = f"{SHORTEST_KEY} characters or more"
        raise problem("ENV06", key=f"{prefix}SECRET_KEY", allowed=allowed)


def _check_numbers(chosen: Mapping[str, str]) -> None:
    for key, (lowest, highest) in LIMITS.items():
        check_number(chosen, key, lowest, highest)
    if chosen["POOL_SIZE"]:
        check_number(chosen, "POOL_SIZE", 1, 10_000)
