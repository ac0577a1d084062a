"""Where packages come from: what pip is told here counts for uv and inside the build as well.

`PIP_INDEX_URL` and `PIP_CERT` in `.env` come first, then the environment, then pip's own files. The
launcher uses this before anything is installed: the standard library alone.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from djup import ROOT
from djup.host.ports import LOOPBACK

ENV = ROOT / ".env"
INDEX, CERT = "PIP_INDEX_URL", "PIP_CERT"
KEYS = (INDEX, CERT)
PYPI = "https://pypi.org/simple"
# pip's options, and what uv calls them. Folders and file: addresses stay pip's: a lock made from
# them would have the hashes of this machine's files alone.
OPTIONS = {
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
URLS = ("index-url", "extra-index-url")
IN_BUILD = (*URLS, "trusted-host")
MACHINE = Path("/etc/pip.conf")
LARGEST = 500_000  # of a build's secret, in bytes
LINE = re.compile(r"\s*(?:export\s+)?(\w+)=[ \t]*('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s#'\"]*)")

Options = dict[str, str]


def told() -> Options:
    """What pip is told, by the option's name; lists have spaces between."""
    options: Options = {}
    for path in _files():
        options |= _of_file(path)
    for option in OPTIONS:
        if value := os.environ.get(_variable(option), ""):
            options[option] = " ".join(value.split())
    return options | of_dotenv()


def of_dotenv() -> Options:
    """What `.env` says; its keys are pip's own variables."""
    with suppress(OSError, UnicodeDecodeError):
        lines = map(LINE.match, ENV.read_text(encoding="utf-8-sig").splitlines())
        pairs = {line[1]: line[2].strip("'\"").replace("\\'", "'") for line in lines if line}
        options = {"index-url": pairs.get(INDEX, ""), "cert": pairs.get(CERT, "")}
        if options["cert"]:
            options["cert"] = str(ROOT / Path(options["cert"]).expanduser())
        return {option: value for option, value in options.items() if value}
    return {}


def environment() -> dict[str, str]:
    """Our environment, for pip and for uv: uv is told what pip is told."""
    ours, dotenv = dict(os.environ), of_dotenv()
    for option, value in dotenv.items():  # before all that is exported
        ours |= {_variable(option): value, OPTIONS[option]: value}
    if "index-url" in dotenv:
        ours.pop("UV_DEFAULT_INDEX", None)
    if "cert" in dotenv:  # pip's HTTP library lets these go before
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            ours.pop(name, None)
    variables = _for_uv(told()) | ours
    if "UV_DEFAULT_INDEX" in ours:  # uv's own word for it, which it would find to be told twice
        variables.pop("UV_INDEX_URL", None)
    return variables


def _for_uv(options: Mapping[str, str]) -> dict[str, str]:
    variables = {OPTIONS[name]: value for name, value in _by_network(options).items()}
    if "UV_EXTRA_INDEX_URL" in variables:  # pip takes the best version of all indexes
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def _by_network(options: Mapping[str, str]) -> Options:
    usable = dict(options)
    for name in URLS:
        usable[name] = " ".join(u for u in usable.get(name, "").split() if u.startswith("http"))
    return {name: value for name, value in usable.items() if value}


# The build


def for_build() -> str:
    """A script that exports it in a step of the Dockerfile, with passwords in it; '' if pip is told
    nothing. It knows no netrc, and what is on our loopback is out of its reach."""
    options = _by_network({name: value for name, value in told().items() if name in IN_BUILD})
    given = of_dotenv()
    for name in URLS:
        if name in options and name not in given:
            options[name] = " ".join(u for u in options[name].split() if not _is_local(u))
    options |= {n: " ".join(map(_with_login, options[n].split())) for n in URLS if options.get(n)}
    variables = {_variable(name): value for name, value in options.items() if value}
    variables |= _for_uv(options)
    return "".join(f"export {k}={shlex.quote(v)}\n" for k, v in sorted(variables.items()) if v)


def authority() -> bytes:
    """The certificates that pip is told to trust; a `Problem` if `.env` names a file of none."""
    own = of_dotenv().get("cert", "")
    name = own or told().get("cert", "")
    text = b""
    with suppress(OSError):
        text = Path(name).read_bytes() if name else b""
    good = b"-----BEGIN " in text and len(text) <= LARGEST
    if own and not good:
        from djup.problems import problem

        raise problem("ENV18", name=own, most=LARGEST // 1000)
    return text if good else b""


def shown() -> str:
    """The host that packages come from, without user and password."""
    url = urlsplit(told().get("index-url", PYPI))
    return url.netloc.rpartition("@")[2] or url.path


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


def _with_login(url: str) -> str:
    """The address with the user and the password that netrc has for its host."""
    parts = urlsplit(url)
    if "@" in parts.netloc or not parts.hostname:
        return url
    import netrc  # slow to load, as configparser: most tasks ask neither

    entry = None
    with suppress(OSError, netrc.NetrcParseError):
        entry = netrc.netrc(os.environ.get("NETRC")).authenticators(parts.hostname)
    if not entry:
        return url
    login = f"{quote(entry[0], safe='')}:{quote(entry[2] or '', safe='')}"
    return parts._replace(netloc=f"{login}@{parts.netloc}").geturl()


# pip's files


def _files() -> Iterator[Path]:
    """List the configuration files that pip reads, the stronger ones later (`pip config debug`)."""
    chosen = os.environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return
    home, mac = Path.home(), sys.platform == "darwin"
    shared = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    support = Path("Library", "Application Support", "pip", "pip.conf")
    yield from [Path("/", support)] if mac else []
    yield from (Path(folder, "pip", "pip.conf") for folder in shared.split(":"))
    yield MACHINE
    yield home / ".pip" / "pip.conf"
    yield from [home / support] if mac else []
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "pip", "pip.conf")
    yield ROOT / ".venv" / "pip.conf"
    if chosen:
        yield Path(chosen)


def _of_file(path: Path) -> Options:
    import configparser

    parser = configparser.RawConfigParser()
    with suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read(path, encoding="utf-8")
    sections = [parser[name] for name in ("global", "install") if parser.has_section(name)]
    pairs = {k.replace("_", "-"): v for section in sections for k, v in section.items()}
    return {name: " ".join(pairs[name].split()) for name in OPTIONS if pairs.get(name)}


def _variable(option: str) -> str:
    return f"PIP_{option.upper().replace('-', '_')}"
