"""The services that a project has besides web and db: listed, added and removed.

The list is `services` in `[tool.djup]` of pyproject.toml, committed: a colleague who pulls it gets
the same services by the next `inv up`.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from djup import IS_ADOPTED, ROOT, own_or_ours
from djup.problems import documents, problem
from djup.settings import layout
from djup.stack import services
from djup.stack.stack import Stack
from djup.terminal import console
from djup.terminal.task import this_task

TABLE = re.compile(r"(?m)^\[tool\.djup\]\s*$\n?")
KEY = re.compile(r"(?ms)^services\s*=\s*\[.*?\][^\n]*\n?")
# Of a project that was adopted; a new one has them.
SETTINGS_NEEDED = {
    "worker": "jobs",
    "schedule": "schedule",
}
NEXT_TABLE = re.compile(r"(?m)^\[")


@dataclass(frozen=True)
class Listed:
    """A service: whether the project has it, its state ('' if it has not), its compose file in
    development and in production ('' if there is none), and what it does ('' where only the
    project knows)."""

    service: str
    on: bool
    state: str
    development: str
    production: str
    purpose: str


def add(name: str) -> None:
    """Have the project have a service: djup's, or its own in `compose/NAME.yaml`."""
    known = layout.layout().services
    if not layout.is_service_name(name):
        raise problem("RUN09.name", service=repr(name))
    if not own_or_ours(f"compose/{name}.yaml").exists():
        raise problem("RUN09", service=name, known=", ".join(services.OF_TOOLKIT))
    if name in known:
        console.say(f"the project has the service {name} already; inv up starts it")
        return
    _write([*known, name])
    console.say(f"added {name} to services in pyproject.toml; start it: inv up")
    if IS_ADOPTED and name in SETTINGS_NEEDED:
        page = documents.located(f"docs/how-to/{SETTINGS_NEEDED[name]}.md")
        console.say(f"it needs some settings first: {page}#in-an-adopted-project")


def remove(name: str) -> None:
    """Have the project no longer have a service; its compose file and its volumes stay."""
    known = layout.layout().services
    if not known:
        raise problem("RUN02.none", service=repr(name))
    services.named(name, known)
    _write([other for other in known if other != name])
    console.say(f"removed {name} from services in pyproject.toml; end it: inv up")


def tell_if_off(name: str) -> None:
    """Say that a service of djup is not one of the project's, where it would do what is asked."""
    if name not in layout.layout().services:
        console.say(f"the service {name} is not on: inv service.add {name}, then inv up")


def show(stack: Stack, as_json: bool) -> None:
    """Print the services of the project, and those of djup that it could have."""
    states = {one.service: one.detail for one in stack.status().services}
    listed = [_listed(name, states) for name in {**dict.fromkeys(states), **services.OF_TOOLKIT}]
    console.answer(console.as_json(listed) if as_json else console.as_typed(_as_text(listed)))


def _listed(name: str, states: dict[str, str]) -> Listed:
    return Listed(
        service=name,
        on=name in states or name in layout.layout().services,
        state=states.get(name, ""),
        development=_file(f"compose/{name}.yaml"),
        production=_file(f"compose/prod/{name}.yaml"),
        purpose=services.OF_TOOLKIT.get(name, ""),
    )


def _file(path: str) -> str:
    """A compose file as a person finds it; '' if there is none."""
    file = own_or_ours(path)
    if not file.exists():
        return ""
    return path if file.is_relative_to(ROOT) else f"{path} (djup's)"


def _as_text(listed: Sequence[Listed]) -> str:
    on = [(one.service, one.state or "no process on this runtime") for one in listed if one.on]
    off = [(f"inv service.add {one.service}", one.purpose) for one in listed if not one.on]
    parts = [console.table(("SERVICE", "STATE"), on)]
    return "\n\n".join([*parts, *([console.table(("TO ADD ONE", "IT"), off)] if off else [])])


def _write(names: Sequence[str]) -> None:
    """Replace the key in pyproject.toml; all else in the file stays as it is."""
    before = layout.FILE.read_text(encoding="utf-8") if layout.FILE.exists() else ""
    text = with_services(before, names)
    if not this_task.dry:
        part = layout.FILE.with_suffix(".toml.part")
        part.write_text(text, encoding="utf-8")
        part.replace(layout.FILE)


def with_services(text: str, names: Sequence[str]) -> str:
    """The text of a pyproject.toml with these services in `[tool.djup]`, which is added if it is
    not there."""
    line = f"services = {json.dumps(list(names))}\n" if names else ""
    if table := TABLE.search(text):
        found = NEXT_TABLE.search(text, table.end())
        end = found.start() if found else len(text)
        inside = KEY.sub("", text[table.end() : end])
        changed = f"{text[: table.end()]}{line}{inside}{text[end:]}"
    else:
        changed = f"{text.rstrip()}\n\n[tool.djup]\n{line}".lstrip()
    _refuse_misread(changed, names)
    return changed


def _refuse_misread(text: str, names: Sequence[str]) -> None:
    """Raise rather than write what does not say so: a file may be spelled in ways of its own."""
    try:
        said = tomllib.loads(text)["tool"]["djup"].get("services", [])
    except (tomllib.TOMLDecodeError, KeyError):
        said = None
    if said != list(names):
        raise problem("RUN10", line=f"services = {json.dumps(list(names))}")
