"""Docker: python-dotenv, Compose and the container see the same value for what `.env` may hold."""

import itertools
import json
import os
from pathlib import Path

import pytest
from stacks import docker

from djup.checkout import env_file
from djup.problems import Problem
from djup.settings import dotenv

pytestmark = pytest.mark.runtime("docker")
ALPHABET = ["a", " ", "'", '"', "\\", "#", "$", "=", "{", "é", "n"]
LENGTH = 3
IMAGE = dotenv.parse(env_file.EXAMPLE.read_text())["PYTHON_IMAGE"]
ODD = [
    *("a\u00a0", "\u00a0a", "a\u2003", "a\u0085", "'\u00a0a\u00a0'", "🐘", "\ufeffa"),
    *("a:b", "[::1]", "a,b;c", "a&b|c", "!a", "~", "*", "%s", "a=b=c", "<a>", "(a)"),
    *("true", "null", "0x1", "1e3", "007", "2020-01-01", "- a", "{a: b}", "@a", "?a"),
    *(r"'a\nb'", r'"a\nb"', r'"a\\nb"', r"a\nb", r"'\t'", r"\\\\", "x" * 5000),
    *("a # b", "'a' # it's", '"a" # "b"', "a  # 'b", "# a", "''", '""', "", "'' # a"),
]


def spellings() -> list[str]:
    """Every raw value up to three characters of those that matter, bare and in both quotes."""
    texts = [
        "".join(letters)
        for length in range(LENGTH + 1)
        for letters in itertools.product(ALPHABET, repeat=length)
    ]
    return [*ODD, *(form.format(text) for text in texts for form in ("{}", "'{}'", '"{}"'))]


def accepted() -> list[str]:
    """Those of them that the toolkit takes."""
    return [raw for raw in dict.fromkeys(spellings()) if takes(raw)]


def takes(raw: str) -> bool:
    try:
        dotenv.parse(f"K={raw}\n")
    except Problem:
        return False
    return True


def through_compose(folder: Path) -> dict[str, dict[str, str]]:
    """The environment of each service, as Compose resolves it."""
    done = docker("compose", "config", "--format", "json", cwd=folder, env=clean())
    services = json.loads(done.stdout)["services"]
    # `config` prints what could be read again as a compose file: $ doubled.
    return {
        name: {k: (v or "").replace("$$", "$") for k, v in service["environment"].items()}
        for name, service in services.items()
    }


def clean() -> dict[str, str]:
    return {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .env of all accepted spellings, as K0, K1 ..., and two services that are given it."""
    folder = tmp_path_factory.mktemp("readers")
    raws = accepted()
    assert len(raws) > 2000
    lines = [f"K{number}={raw}\n" for number, raw in enumerate(raws)]
    (folder / ".env").write_text("".join(lines))
    keys = [f"      K{n}: ${{K{n}}}\n" for n in range(len(raws))]
    service = f"    image: {IMAGE}\n    network_mode: none\n"
    (folder / "compose.yaml").write_text(
        f"services:\n  file:\n{service}    env_file: .env\n"
        f"  interpolated:\n{service}    environment:\n{''.join(keys)}"
    )
    return folder


def differences(seen: dict[str, str], folder: Path) -> dict[str, tuple[str, str, str | None]]:
    """Key -> (its line in .env, what the toolkit reads, what the other reader saw)."""
    ours = dotenv.parse((folder / ".env").read_text())
    raws = accepted()
    return {
        key: (raws[int(key[1:])], value, seen.get(key))
        for key, value in ours.items()
        if seen.get(key) != value
    }


def test_compose_agrees(folder: Path) -> None:
    for seen in through_compose(folder).values():
        assert differences(seen, folder) == {}


@pytest.mark.parametrize("service", ["file", "interpolated"])
def test_the_container_agrees(folder: Path, service: str) -> None:
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    name = f"readers-{os.getpid()}-{service}"
    argv = ["compose", "-p", name, "run", "--rm", "--no-TTY", service, "python", "-c", code]
    try:
        done = docker(*argv, cwd=folder, env=clean())
    finally:
        docker("compose", "-p", name, "down", "--volumes", cwd=folder, env=clean(), check=False)
    assert differences(json.loads(done.stdout), folder) == {}


def test_what_is_refused_is_read_differently_or_no_value_at_all(tmp_path: Path) -> None:
    """A grammar that refuses all would pass the tests above: plain values must be taken."""
    for raw in ("a", "a b", "'a b'", "'$a'", "'#a'", r"'\''", '"a b"', "a#b", "a=b", "é"):
        assert takes(raw), raw
