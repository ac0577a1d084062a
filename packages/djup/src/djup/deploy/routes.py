"""The routes of the edge: a Swarm config for each site, and the files that are made of them all.

Caddy reads two of the files at each handshake and each request, as templates: which certificate and
which site a name has. The third is for the Caddy that gets the certificates.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from djup.deploy.production import digest
from djup.deploy.swarm import objects
from djup.deploy.swarm.release import Release
from djup.docker import engine

ROLE = "route"
FILES = Path(__file__).parent / "edge_files"
OWN = "/config/certificates"  # as edge.sh has it
STORED = "/data/caddy/certificates"  # where Caddy keeps those that it gets, by who signed them
SIGNED_BY = {"acme": "acme-v02.api.letsencrypt.org-directory", "internal": "local"}
OF_CERTIFICATE = ("TLS_CERT_SECRET", "TLS_KEY_SECRET")
ACCOUNT = "email "  # what ACME_ACCOUNT begins with
ISSUER = """\
{
	admin unix//tmp/caddy.sock
	persist_config off
	skip_install_trust
	default_bind 127.0.0.1
	http_port 2022
	https_port 2023
	auto_https disable_redirects
}
"""
ACME = "\n\t\tissuer acme {{\n\t\t\t{email}\n\t\t\tdisable_tlsalpn_challenge\n\t\t}}\n\t"


@dataclass(frozen=True)
class Route:
    """A site behind the edge: its stack and names, the port of its own proxy, what a URL has of the
    edge's port, how it comes by its certificate (acme with an account, internal, certificate), and
    the secrets that are its certificate, if it brings one."""

    stack: str
    names: tuple[str, ...]
    port: str
    suffix: str
    tls: str
    account: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def config(self) -> str:
        """The name of its config, by the content."""
        return f"{self.stack}_{ROLE}_{digest(self.text)}"

    @property
    def text(self) -> str:
        """The content of its config."""
        return json.dumps(asdict(self))

    def shared_with(self, names: Iterable[str]) -> list[str]:
        """Those of some names that are this site's."""
        ours = {name.lower() for name in self.names}
        return [name for name in names if name.lower() in ours]

    def files_of(self, name: str) -> tuple[str, ...]:
        """The files that are the certificate of one of its names, and the key."""
        if self.tls == "certificate":
            return tuple(f"{OWN}/{secret}" for secret in self.secrets)
        stored = name.lower().replace("*", "wildcard_")
        return tuple(
            f"{STORED}/{SIGNED_BY[self.tls]}/{stored}/{stored}.{end}" for end in ("crt", "key")
        )


def of_release(release: Release) -> Route:
    """The route of a release that is behind the edge."""
    values = release.values
    tls, account = values["EDGE_TLS"], values["EDGE_ACCOUNT"].removeprefix(ACCOUNT)
    secrets = tuple(values[key] for key in OF_CERTIFICATE) if tls == "certificate" else ()
    names = tuple(release.names)
    port, suffix = values["HTTP_PORT"], values["HTTPS_SUFFIX"]
    return Route(release.stack, names, port, suffix, tls, account, secrets)


def all_of() -> list[Route]:
    """The routes that the Swarm has, by the names of their stacks; keys that a later version of
    djup may have added are passed over."""
    entries = objects.read("config", _listed())
    found = (json.loads(base64.b64decode(entry["Spec"]["Data"])) for entry in entries)
    return sorted(map(_route, found), key=lambda route: route.stack)


def _route(record: dict[str, str | list[str]]) -> Route:
    text = {key: str(record[key]) for key in ("stack", "port", "suffix", "tls", "account")}
    return Route(**text, names=tuple(record["names"]), secrets=tuple(record["secrets"]))


def keep(route: Route) -> None:
    """Have the Swarm keep this route of a site, and no other one."""
    kept = objects.names("config", route.stack, ROLE)
    if route.config not in kept:
        objects.create("config", route.stack, route.config, ROLE, route.text)
    objects.remove("config", [name for name in kept if name != route.config])


def forget(stack: str) -> None:
    """Remove the route of a site."""
    objects.remove("config", objects.names("config", stack, ROLE))


def files(routes: Iterable[Route]) -> dict[str, str]:
    """What the edge asks for, by the names of the files."""
    found = list(routes)
    return {
        "Caddyfile": ISSUER + "".join(map(_issued, found)),
        "hosts.txt": _template(".Host", _hosts(found)),
        "certs.txt": _template('(.Req.URL.Query.Get "server_name")', _certificates(found)),
    }


def _issued(route: Route) -> str:
    """The block of a site for who gets its certificates."""
    if route.tls == "certificate":
        return ""
    email = f"email {route.account}" if route.account else ""
    how = "internal" if route.tls == "internal" else f"{{{ACME.format(email=email)}}}"
    names = ", ".join(f"https://{name}" for name in route.names)
    return f"{names} {{\n\ttls {how}\n}}\n"


def _hosts(routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    """Each name, and the headers that say where its site is."""
    for route in routes:
        told = {"Name": f"{route.stack}-proxy", "Port": route.port, "Suffix": route.suffix}
        text = "".join(
            f'{{{{.RespHeader.Set "Edge-{key}" "{word}"}}}}' for key, word in told.items()
        )
        yield from ((name, text) for name in route.names)


def _certificates(routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    """Each name, and its certificate with the key."""
    for route in routes:
        for name in route.names:
            yield name, "".join(f'{{{{readFile "{file}"}}}}' for file in route.files_of(name))


def _template(asked: str, entries: Iterable[tuple[str, str]]) -> str:
    """A file that is the text of the name which is asked for; those with a * come last."""
    ordered = sorted(entries, key=lambda entry: (entry[0].startswith("*"), entry[0]))
    lines = [f"{{{{else if {_matches(name)}}}}}{text}" for name, text in ordered]
    return "".join([f"{{{{$name := lower {asked}}}}}{{{{if false}}}}", *lines, "{{end}}"])


def _matches(name: str) -> str:
    if not name.startswith("*."):
        return f'eq $name "{name.lower()}"'
    return f"regexMatch `^[^.]+{name[1:].lower().replace('.', '[.]')}$` $name"


def _listed() -> list[str]:
    role = ("--filter", f"label={objects.KIND}={ROLE}")
    return engine.ask("config", "ls", *role, "--format", "{{.Name}}").split()
