"""The stack `edge`: one proxy for all sites of a Swarm that ask for it (EDGE).

Its routes are files that the service `routes` has. Each proxy asks for them every second, and looks
names up in them at each request: so a site that comes, changes or goes touches neither a container
nor a program that visitors reach.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from djup.deploy import proxy, routes
from djup.deploy.production import EDGE_FILE, EDGE_STACK, PORTS, Production, digest
from djup.deploy.routes import Route
from djup.deploy.swarm import objects, swarm, swarm_stack
from djup.deploy.swarm.deploy_lock import one_deploy
from djup.deploy.swarm.release import Release
from djup.deploy.swarm.swarm import Swarm
from djup.docker import engine
from djup.host import process
from djup.problems import problem
from djup.terminal import console
from djup.terminal.task import this_task

NAME, FILE = EDGE_STACK, EDGE_FILE
SITES, INNER = "edge_sites", "edge_inner"  # networks
UNKNOWN = "0.0.0.0/32"  # the network of an edge that is not there yet, in a plan
SECONDS, POLL_SECONDS = 60, 0.5
TARGET = "/srv"  # where the service `routes` has what it hands out
FIXED = {"program": "edge.sh", "caddyfile": "Caddyfile"}  # what the proxy has, whatever the sites
HANDED_OUT = {"issuer": "Caddyfile", "hosts": "hosts.txt", "certs": "certs.txt"}


def is_behind(release: Release | None) -> bool:
    """Whether a release is served by the edge."""
    return release is not None and FILE in release.files


def refuse_taken(wanted: Production, reached: Swarm) -> None:
    """Raise where another stack has one of the names, or the edge is at other ports."""
    if FILE not in wanted.files:
        return
    for route in routes.all_of():
        both = route.shared_with(wanted.values["DOMAIN"].split())
        if route.stack != wanted.stack and both:
            raise problem("DEP73", names=console.few(both), stack=route.stack)
    wanted_ports, has = [wanted.values[key] for key in PORTS], _ports()
    if has and has != wanted_ports:
        raise problem("DEP74", http=has[0], https=has[1])
    labels = (swarm.proxy_label(NAME), swarm.proxy_label(wanted.stack))  # those of a new one
    labelled = next(filter(None, map(reached.labelled, labels)), [])
    nodes = [node.name for node in labelled]
    if len(nodes) > 1 and wanted.values["EDGE_TLS"] == "acme":
        command = engine.as_typed(f"node update --label-rm {swarm.proxy_label(NAME)} {nodes[-1]}")
        raise problem("DEP22", nodes=console.few(nodes), command=command)


def _ports() -> list[str]:
    """The ports of the edge that is there; none where none is."""
    found = _service("proxy")
    if not found:
        return []
    words = found["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    given = dict(word.split("=", 1) for word in words)
    return [given[key] for key in PORTS]


def _service(name: str) -> dict[str, Any]:
    """What Swarm knows of a service of the edge; nothing where there is none."""
    found = swarm_stack.inspected([f"{NAME}_{name}"])
    return found[0] if found else {}


def joined(wanted: Production, *, makes: bool) -> Production:
    """With the network of the edge as the one that may say who a visitor is; a deploy `makes` the
    network where there is none."""
    if FILE not in wanted.files:
        return wanted
    if makes:
        _make_networks(wanted.files)
    further = wanted.values["TRUSTED_PROXIES"].split()[2:]
    return replace(wanted, values={**wanted.values, **_trusting(further)})


def joined_again(release: Release) -> Release:
    """A release of earlier on with the network that the edge has now."""
    if not is_behind(release):
        return release
    if not this_task.dry:
        _make_networks(release.files)
    return release.with_values(**_trusting(trusted_besides(release)))


def _trusting(further: Iterable[str]) -> dict[str, str]:
    """Whom the proxy of a site believes: the edge, and the balancers that the site names."""
    ranges = _ranges()
    trusted = f"trusted_proxies static {' '.join((*ranges, *further))}"
    return {"TRUSTED_NETWORKS": " ".join(ranges), "TRUSTED_PROXIES": trusted}


def trusted_besides(release: Release) -> list[str]:
    """The balancers that a site names, without the network of the edge."""
    networks = release.values.get("TRUSTED_PROXIES", "").split()[2:]
    of_edge = release.values["TRUSTED_NETWORKS"].split() if is_behind(release) else []
    return [network for network in networks if network not in of_edge]


def _make_networks(files: Collection[str]) -> None:
    encrypted = ["--opt", "encrypted"] if "prod/encryption.yaml" in files else []
    for network in (SITES, INNER):
        _make_network(network, encrypted)


def _make_network(name: str, flags: Iterable[str]) -> None:
    if name in engine.ask("network", "ls", "--format", "{{.Name}}").split():
        return
    argv = ["docker", "network", "create", "--driver", "overlay", "--attachable", *flags, name]
    done = process.run(argv)
    if done.code:
        raise problem("DEP24", command="docker network create", reason=done.err.strip())


def _ranges() -> list[str]:
    done = process.run(["docker", "network", "inspect", "--format", "{{json .IPAM.Config}}", SITES])
    configs = json.loads(done.out) if not done.code else []
    return [config["Subnet"] for config in configs or ()] or [UNKNOWN]


def prepare(release: Release, reached: Swarm) -> None:
    """Before a release is handed to Swarm: have the edge there with its route, or without it."""
    if not is_behind(release):
        leave(release.stack, ends=True)
        return

    def come() -> None:
        _make_networks(release.files)
        _make(release, reached)
        routes.keep(routes.of_release(release))
        _hand_out()

    _alone(come)


def _alone(act: Callable[[], None]) -> None:
    """Do something to the edge while no other site does, which takes it some seconds."""

    def locked() -> None:
        with one_deploy(NAME):
            act()

    swarm.patiently(locked)


def _make(release: Release, reached: Swarm) -> None:
    """Make the stack where there is none: on the nodes that have the proxy of this site. While that
    still has the ports, its own proxy waits for them."""
    if _service("proxy"):
        return
    if not reached.labelled(swarm.proxy_label(NAME)):
        ours = reached.labelled(swarm.proxy_label(release.stack))
        for node in [node.id for node in ours] or [reached.here]:
            swarm.label(node, swarm.proxy_label(NAME))
    texts = {name: (routes.FILES / file).read_text() for name, file in FIXED.items()}
    texts |= _texts([])
    configs = {f"{name.upper()}_CONFIG": _config(name, text) for name, text in texts.items()}
    _deploy({**{key: release.values[key] for key in (*PORTS, "CADDY_IMAGE")}, **configs})


def _texts(found: Iterable[Route]) -> dict[str, str]:
    """What is handed out, by the names of the configs."""
    made = routes.files(found)
    return {name: made[file] for name, file in HANDED_OUT.items()}


def _config(name: str, text: str) -> str:
    """The name of a config of the edge with this content, which is made where it is missing."""
    full = f"{NAME}_{name}_{digest(text)}"
    objects.make_missing("config", NAME, {full: text})
    return full


def _deploy(values: Mapping[str, str]) -> None:
    resolve = "changed" if "/" in values["CADDY_IMAGE"] else "never"
    flags = ["--detach", "--with-registry-auth", "--resolve-image", resolve]
    file = str(routes.FILES / "edge.yaml")
    argv = ["docker", "stack", "deploy", "--compose-file", file, *flags, NAME]
    code = process.attach(argv, env={**os.environ, **values}, progress=True)
    process.stop_if_interrupted(code)
    if code:
        raise problem("DEP17", stack=NAME)


def _hand_out() -> None:
    """Give the service `routes` what the Swarm has, if that is not what it has; the caller holds
    the lock."""
    found = routes.all_of()
    texts = _texts(found).items()
    configs = {_config(name, text): f"{TARGET}/{HANDED_OUT[name]}" for name, text in texts}
    secrets = {name: f"{TARGET}/{name}" for route in found for name in route.secrets}
    has = _handed_out()
    flags = _flags("config", has["config"], configs) + _flags("secret", has["secret"], secrets)
    if not flags:
        return
    argv = ["docker", "service", "update", "--detach", "--quiet", *flags, f"{NAME}_routes"]
    done = process.run(argv)
    if done.code:
        raise problem("DEP24", command="docker service update", reason=done.err.strip())
    objects.prune(NAME, {*configs, *_in_use("proxy")})


def _handed_out() -> dict[str, set[str]]:
    """The names of the configs and secrets that the service `routes` has."""
    container = _service("routes")["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {
        kind: {one[f"{kind.title()}Name"] for one in container.get(f"{kind.title()}s") or ()}
        for kind in ("config", "secret")
    }


def _in_use(name: str) -> set[str]:
    """The configs of a service of the edge."""
    container = _service(name)["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {one["ConfigName"] for one in container.get("Configs") or ()}


def _flags(kind: str, has: set[str], wanted: Mapping[str, str]) -> list[str]:
    gone = [word for name in sorted(has - wanted.keys()) for word in (f"--{kind}-rm", name)]
    new = sorted(wanted.keys() - has)
    added = [f"source={name},target={wanted[name]},mode=0400" for name in new]
    return [*gone, *(word for one in added for word in (f"--{kind}-add", one))]


def leave(stack: str, *, ends: bool = False) -> None:
    """Take the route of a site away, if it has one. Where it was the last one, and `ends` says so,
    the proxy of the edge goes with it: its ports are wanted."""
    known = routes.all_of()
    mine = next((route for route in known if route.stack == stack), None)
    if mine is None or this_task.dry:
        return
    is_last = ends and known == [mine]

    def go() -> None:
        routes.forget(stack)
        if is_last and _service("proxy"):
            engine.ask("service", "rm", f"{NAME}_proxy")
        elif _service("routes") and not is_last:
            _hand_out()

    _alone(go)


def settle(release: Release) -> None:
    """After a release was handed to Swarm: raise unless every proxy of the edge answers for a site
    behind it, within a minute; remove what is left of an edge without a proxy."""
    if not is_behind(release):
        _remove_left()
        return
    deadline = time.monotonic() + SECONDS
    while (answer := ask(release)) != "200":
        if time.monotonic() > deadline:
            raise problem("DEP75", url=release.url, answer=answer)
        time.sleep(POLL_SECONDS)


def _remove_left() -> None:
    """Remove what is left of an edge that the last site has left; not one that somebody makes."""

    def go() -> None:
        if _service("routes") and not _service("proxy") and not routes.all_of():
            swarm_stack.remove(NAME)

    if _service("routes") and not _service("proxy"):
        _alone(go)


def ask(release: Release) -> str:
    """What each proxy of the edge answers for the site when it is asked whether it is ready."""
    given = engine.env_words([f"PROXY=tasks.{NAME}_proxy"])
    asked = [proxy.host(release), release.values["HTTPS_PORT"]]
    words = ["--rm", "--interactive", "--network", SITES, *given, "--entrypoint", "python"]
    argv = ["docker", "run", *words, release.image, "-", *asked]
    done = process.run(argv, stdin=proxy.SCRIPT.read_text())
    return done.out.strip() or done.err.strip().rpartition("\n")[2] or "no answer"


def others(stack: str) -> list[str]:
    """The stacks of the other sites behind the edge."""
    return [route.stack for route in routes.all_of() if route.stack != stack]


def in_words(stack: str) -> str:
    """One line for the status of a site behind the edge."""
    return f"behind the edge, with {console.few(others(stack))} besides"
