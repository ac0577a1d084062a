"""Ranges of addresses: one that is free for a new Swarm, and networks that hide a host."""

import ipaddress
import json
import re
import socket
import struct
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network

from djup.docker import engine
from djup.host import process

# Seldom used: neither Docker's default nor what providers give to private networks begins there.
CANDIDATES = (*(f"10.{part}.0.0/16" for part in range(201, 210)), "192.168.224.0/19")
LAST = "198.18.0.0/16"  # for tests of networks: nobody is reached there
PRIVATE = [IPv4Network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
ROUTES_SECONDS = 120  # the image may have to be fetched
ROUTES = "/proc/net/route"
Known = Mapping[str, list[IPv4Network]]  # a network's name, and its ranges


def free_pool(image: str, hosts: Iterable[str]) -> str:
    """A range for the networks of a new Swarm: no route of the machine, and none of the hosts that
    are to be reached, lies in it. The routes are read in a container of that image."""
    taken = [*_routes(image), *docker_ranges(), *map(IPv4Network, addresses(hosts))]
    return next((candidate for candidate in CANDIDATES if not _overlaps(candidate, taken)), LAST)


def _overlaps(candidate: str, taken: Iterable[IPv4Network]) -> bool:
    return any(IPv4Network(candidate).overlaps(range) for range in taken)


def _routes(image: str) -> list[IPv4Network]:
    """The engine's machine may be another one than ours, so it is looked at from within."""
    argv = ["docker", "run", "--rm", "--network", "host", "--entrypoint", "cat", image, ROUTES]
    done = process.run(argv, timeout=ROUTES_SECONDS)
    return [] if done.code else routes_in(done.out)


def routes_in(table: str) -> list[IPv4Network]:
    """The ranges in the kernel's list of routes, but for the default one."""
    rows = [line.split() for line in table.splitlines()[1:]]
    pairs = ((_address(row[1]), _address(row[7])) for row in rows if len(row) > 7)
    routes = [IPv4Network(f"{address}/{mask}") for address, mask in pairs]
    return [route for route in routes if route.prefixlen]


def _address(word: str) -> str:
    """Four bytes in the machine's order, as a number in hex."""
    return socket.inet_ntoa(struct.pack("<L", int(word, 16)))


def docker_ranges(*narrowed: str) -> list[IPv4Network]:
    """List the address ranges of the engine's networks, or of those that the arguments narrow them
    to."""
    return [range for ranges in networks(*narrowed).values() for range in ranges]


def networks(*narrowed: str) -> Known:
    """The engine's networks, and the ranges of each."""
    ids = engine.ask("network", "ls", "--quiet", *narrowed).split()
    inspected = json.loads(engine.ask("network", "inspect", *ids)) if ids else []
    return {network["Name"]: _ranges(network) for network in inspected}


def _ranges(network: Mapping[str, object]) -> list[IPv4Network]:
    subnets = re.findall(r'"Subnet": "([\d./]+)"', json.dumps(network["IPAM"]))
    return [IPv4Network(subnet, strict=False) for subnet in subnets]


def addresses(hosts: Iterable[str]) -> set[str]:
    """List the addresses of the hosts, as this machine resolves them."""
    return {address for host in hosts if host for address in _addresses(host)}


def _addresses(host: str) -> Collection[str]:
    try:
        entries = socket.getaddrinfo(host, None, socket.AF_INET)
    except (OSError, UnicodeError):
        return ()
    return {str(entry[4][0]) for entry in entries}


def hidden(addresses: Iterable[str], known: Known) -> tuple[str, str, str]:
    """The first address that lies in one of the networks, that network, its range; or ''."""
    pairs = [(name, range) for name, ranges in known.items() for range in ranges]
    for address in sorted(addresses):
        for name, range in pairs:
            if ipaddress.ip_address(address) in range:
                return address, name, str(range)
    return "", "", ""


def written_in(text: str) -> list[str]:
    """The addresses that are written out in a value."""
    candidates = ADDRESS.findall(text)
    return [
        address for address in candidates if all(int(part) < 256 for part in address.split("."))
    ]


def best(addresses: Collection[str]) -> str:
    """Pick the address that other nodes should use: a private one, if there is one."""
    private = [address for address in addresses if _overlaps(address, PRIVATE)]
    return [*private, *addresses, "127.0.0.1"][0]
