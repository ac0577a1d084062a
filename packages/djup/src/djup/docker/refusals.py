"""What the engine refuses, told by the words that it says so in."""

from djup.host import process
from djup.problems import Problem, problem
from djup.terminal.console import few

# By Docker 20 to 28, and by Swarm for its own networks.
NO_SUBNET = (
    "all predefined address pools have been fully subnetted",
    "non-overlapping ipv4 address pool",
    "failed to find free address space",
)
UNSEEN = "bind source path does not exist"
CLIENT_REFUSED = "is too old. Minimum supported API version"
SHOWN = 8
SWARMS = "docker_gwbridge"  # the engine's own, which it makes again


def named(reason: str) -> Problem | None:
    """The problem behind the words of a docker command that failed; None if they are new to us."""
    if any(words in reason.lower() for words in NO_SUBNET):
        return no_subnet()
    if UNSEEN in reason:
        folder = reason.rpartition(f"{UNSEEN}: ")[2].split("\n")[0].strip()
        return problem("DOCKER13", folder=folder)
    return None


def no_subnet() -> Problem:
    """Who has the engine's networks, and which of them no container uses."""
    everything, unused = _networks(), _networks("--filter", "dangling=true")
    unused = [name for name in unused if name != SWARMS]
    spare = "each is used by a running container"
    if unused:
        spare = f"{few(unused[:SHOWN])} have no running container"
    if len(unused) > SHOWN:
        spare += f" ({len(unused)} in all)"
    return problem("NET02", count=len(everything), spare=spare)


def _networks(*filters: str) -> list[str]:
    argv = ["docker", "network", "ls", "--filter", "driver=bridge", *filters]
    names = process.run([*argv, "--format", "{{.Name}}"]).out.split()
    return sorted(name for name in names if name != "bridge")
