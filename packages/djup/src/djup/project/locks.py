"""The locks of a new project: those of the starter, with the toolkit's packages as wheels.

Nothing is compiled and nobody is asked: versions and hashes are the starter's. `inv lock` there
finds nothing to change but comments.
"""

import re
from collections.abc import Mapping

WEB, TOOLKIT = "djup-web", "djup"
FIND_LINKS = "--find-links wheels\n"
# Which lock has which of the toolkit's packages, as its .in file asks for it.
ENTRIES = {
    **dict.fromkeys(("base", "embedded", "lint", "prod"), WEB),
    "tasks": TOOLKIT,
}
# By the toolkit's own types alone.
UNUSED = ("types-psutil", "types-gunicorn", "types-docutils", "pyrage-stubs", "pyrage")
ENTRY = r"(?m)^{name}==.*(?:\n    .*)*\n"


def with_wheels(lock: str, text: str, wheels: Mapping[str, str]) -> str:
    """The text of a lock with the toolkit's package in it, by the hash of its wheel."""
    for name in UNUSED:
        text = re.sub(ENTRY.format(name=name), "", text)
    package = ENTRIES.get(lock)
    if package is None:
        return text
    head = "".join(re.findall(r"(?m)^#.*\n", text))
    entries = [*re.findall(r"(?m)^\w.*(?:\n    .*)*\n", text), _entry(package, lock, wheels)]
    return f"{head}{FIND_LINKS}\n{''.join(sorted(entries, key=_name))}"


def with_other_wheels(text: str, wheels: Mapping[str, str]) -> str:
    """The text of a lock that pins the toolkit's packages by these wheels, if it pins any."""
    for name, digest in wheels.items():
        module, version = name.split("-")[:2]
        pin = rf"(?m)^({module.replace('_', '-')}(?:\[\w+\])?)==\S+ \\\n    --hash=sha256:\w+$"
        text = re.sub(pin, rf"\1=={version} \\\n    --hash=sha256:{digest}", text)
    return text


def _name(entry: str) -> str:
    return re.split(r"[=\[ ;]", entry, maxsplit=1)[0].lower()


def _entry(package: str, lock: str, wheels: Mapping[str, str]) -> str:
    start = f"{package.replace('-', '_')}-"
    name, digest = next((name, one) for name, one in wheels.items() if name.startswith(start))
    version = name.split("-")[1]
    extra = "[serve]" if package == WEB and lock in ("lint", "prod") else ""
    via = "tasks" if package == TOOLKIT else "base"
    return (
        f"{package}{extra}=={version} \\\n    --hash=sha256:{digest}\n"
        f"    # via -r requirements/{via}.in\n"
    )
