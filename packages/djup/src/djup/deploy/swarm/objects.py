"""Swarm's secrets and configs: created under names made of their content, pruned by label."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from djup.docker import engine
from djup.host import process
from djup.problems import problem

NAMESPACE = "com.docker.stack.namespace"  # `docker stack rm` takes what bears it along
STACK = "deploy.stack"  # and not this one
KIND = "deploy.kind"
CONTENT = "content"  # the kind of those that a release refers to


def make_missing(kind: str, stack: str, contents: Mapping[str, str]) -> None:
    """Create the secrets or configs that the stack lacks; their contents go by stdin."""
    existing = set(names(kind, stack, CONTENT))
    for name, text in contents.items():
        if name not in existing:
            create(kind, stack, name, CONTENT, text)


def create(
    kind: str, stack: str, name: str, role: str, text: str, *, label: str = NAMESPACE
) -> None:
    """Create a secret or config, labelled as the stack's; a problem if the name is taken."""
    given = {label: stack, KIND: role}
    flags = [word for key, value in given.items() for word in ("--label", f"{key}={value}")]
    argv = ["docker", kind, "create", *flags, name, "-"]
    done = process.send(argv, lambda pipe: pipe.write(text.encode()))
    if done.code:
        raise problem("DEP24", command=f"docker {kind} create", reason=done.err.strip())


def names(kind: str, stack: str, role: str, *, label: str = NAMESPACE) -> list[str]:
    """The names of the secrets or configs of a stack in one role."""
    labels = (f"label={label}={stack}", f"label={KIND}={role}")
    flags = [word for label in labels for word in ("--filter", label)]
    return engine.ask(kind, "ls", *flags, "--format", "{{.Name}}").split()


def read(kind: str, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """What the engine knows of these secrets or configs."""
    listed = list(wanted)
    inspected: list[dict[str, Any]] = []
    if listed:
        inspected = json.loads(engine.ask(kind, "inspect", *listed))
    return inspected


def remove(kind: str, gone: Iterable[str]) -> None:
    """Remove secrets or configs that no service has."""
    for name in gone:
        engine.ask(kind, "rm", name)


def prune(stack: str, used: Collection[str]) -> None:
    """Remove the contents that no release refers to; what a service has, Swarm itself keeps."""
    for kind in ("secret", "config"):
        for name in names(kind, stack, CONTENT):
            if name not in used:
                process.run(["docker", kind, "rm", name])


def named_in(values: Mapping[str, str]) -> set[str]:
    """The names of secrets and configs in the values of a release."""
    return {value for key, value in values.items() if key.endswith(("_SECRET", "_CONFIG"))}
