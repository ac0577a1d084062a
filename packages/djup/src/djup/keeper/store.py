"""Where backups lie (BACKUP_TO): a bucket, a server, or a volume; rclone speaks to each.

https://rclone.org/docs/#environment-variables has how a remote is told by variables alone.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

from djup.host import process
from djup.keeper.config import Config
from djup.problems import Problem, problem

VOLUME = "/store"  # where BACKUP_TO is empty
NAME = "STORE"
AT_ONCE = 500  # files that are copied by one call, and lie on our disk meanwhile
VARIABLE = f"RCLONE_CONFIG_{NAME}_"
FLAGS = (
    *("--config", "", "--contimeout", "15s", "--timeout", "60s"),
    *("--retries", "2", "--low-level-retries", "3"),
)
ENCRYPTED = ".age"  # what the names of encrypted files end with
FACTS, VERIFIED, FILES = ".backup", ".verified", "files"
ENDS = (FACTS, VERIFIED, ".contents", ".files.json", ".dump", ".json")  # of a backup's files
NO_FOLDER = 3  # rclone's exit code
KNOWN_HOSTS = "/tmp/known_hosts"


@dataclass(frozen=True)
class Stored:
    """A backup in the store: its name, when it was made (ISO 8601), the size in bytes and SHA-256
    of its dump as it lies there, its rows, its uploads (how many, and their bytes), whether it is
    encrypted; and when it was last restored for a trial, '' if it never was."""

    name: str
    created: str
    size: int
    sha256: str
    rows: int
    files: int
    files_bytes: int
    encrypted: bool
    verified: str = ""

    @property
    def suffix(self) -> str:
        """What the names of its files end with."""
        return ENCRYPTED if self.encrypted else ""


class Store:
    """The folder of a stack in BACKUP_TO."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._environment: dict[str, str] = {}
        self.address = config["BACKUP_TO"] or "a volume of the node"
        # Where it is named, a slash follows: a bucket may have a file that is so called.
        self.root = f"{self._base()}/{config.stack}"

    def backups(self) -> list[Stored]:
        """What lies there, the newest first; one whose facts are not there yet is none."""
        try:
            said = self._facts()
        except Problem:  # one that was listed a moment ago may be removed by now
            time.sleep(1)
            said = self._facts()
        if not said:
            self._refuse_missing_bucket()
        records = [json.loads(line) for line in said.splitlines()]
        trials = {record["name"]: record["at"] for record in records if "at" in record}
        facts = [record for record in records if "created" in record]
        found = [Stored(**{**fact, "verified": trials.get(fact["name"], "")}) for fact in facts]
        return sorted(found, key=lambda stored: stored.created, reverse=True)

    def _facts(self) -> str:
        filters = ("--include", f"/*{FACTS}", "--include", f"/*{VERIFIED}")
        return self._ask("cat", *filters, f"{self.root}/")

    def _refuse_missing_bucket(self) -> None:
        """Raise where the bucket itself is not there, rather than empty."""
        bucket = urlsplit(self._config["BACKUP_TO"])
        if bucket.scheme != "s3":
            return
        argv = ["rclone", *FLAGS, "lsf", "--max-depth", "1", f"{NAME}:{bucket.netloc}/"]
        if process.run(argv, env=self._variables()).code == NO_FOLDER:
            reason = f"the bucket {bucket.netloc} does not exist"
            raise problem("BAK24", address=self.address, reason=reason)

    def put(self, file: Path, name: str) -> None:
        """Copy a file there, under a name."""
        self._do("copyto", str(file), f"{self.root}/{name}")

    def put_facts(self, stored: Stored) -> None:
        """Note a backup as whole: the last that is written of it."""
        facts = {key: value for key, value in asdict(stored).items() if key != "verified"}
        self._put_line(f"{stored.name}{FACTS}", facts)

    def put_verified(self, name: str, at: str, how: str) -> None:
        """Note that a backup was restored for a trial, when and how."""
        self._put_line(f"{name}{VERIFIED}", {"name": name, "at": at, "how": how})

    def get(self, name: str, folder: Path) -> Path:
        """Copy a file from there into a folder; its path."""
        target = folder / Path(name).name
        target.unlink(missing_ok=True)  # or what looks the same would not be read
        self._do("copyto", f"{self.root}/{name}", str(target))
        return target

    def lines(self, pattern: str) -> set[str]:
        """The lines of all files there whose names match a pattern."""
        return set(self._ask("cat", "--include", f"/{pattern}", f"{self.root}/").split())

    def files(self) -> set[str]:
        """The names of the uploads' contents that lie there."""
        listed = self._ask("lsf", "--recursive", "--files-only", f"{self.root}/{FILES}/")
        return {Path(line).name for line in listed.splitlines()}

    def put_files(self, folder: Path) -> None:
        """Copy contents there that lie in a folder by their names, or links to them."""
        self._do("copy", "--copy-links", str(folder), f"{self.root}/{FILES}/")

    def each_file(self, names: Iterable[str], folder: Path) -> Iterator[Path]:
        """Contents of these names, copied into a folder some at a time, and removed after."""
        wanted = iter(sorted(names))
        stage = folder / FILES
        while batch := list(islice(wanted, AT_ONCE)):
            with _listed(batch) as path:
                self._do("copy", "--files-from-raw", path, f"{self.root}/{FILES}/", str(stage))
            yield from (stage / path_of(name) for name in batch if (stage / path_of(name)).exists())
            shutil.rmtree(stage, ignore_errors=True)

    def remove_files(self, names: Iterable[str]) -> None:
        """Remove contents that no backup has any more."""
        with _listed(names) as path:
            self._do("delete", "--files-from-raw", path, f"{self.root}/{FILES}/")

    def remove(self, name: str) -> None:
        """Remove a backup: its facts first, so that what is left of it is none."""
        self._do("deletefile", f"{self.root}/{name}{FACTS}")
        self._do("delete", "--include", f"/{_literal(name)}.*", f"{self.root}/")

    def remove_unfinished(self, whole: Iterable[str]) -> None:
        """Remove what has lain there for a day and belongs to no backup of these names: of a round
        that was killed."""
        old = ("--min-age", "1d")
        listed = self._ask("lsf", "--files-only", *old, f"{self.root}/").splitlines()
        for name in sorted({_name_of(file) for file in listed} - {"", *whole}):
            self._do("delete", *old, "--include", f"/{_literal(name)}.*", f"{self.root}/")

    def _put_line(self, name: str, record: Mapping[str, object]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, name)
            file.write_text(json.dumps(record) + "\n")
            self.put(file, name)

    def _ask(self, *arguments: str) -> str:
        """What rclone prints; '' for a folder that is not there."""
        done = process.run(["rclone", *FLAGS, *arguments], env=self._variables())
        if done.code == NO_FOLDER:
            return ""
        if done.code:
            raise problem("BAK24", address=self.address, reason=_reason(done.err))
        return done.out

    def _do(self, *arguments: str) -> None:
        done = process.run(["rclone", *FLAGS, *arguments], env=self._variables())
        if done.code:
            raise problem("BAK24", address=self.address, reason=_reason(done.err))

    def _variables(self) -> Mapping[str, str]:
        return {**os.environ, **self._environment}

    def _base(self) -> str:
        """BACKUP_TO as rclone names it, with the variables that describe it."""
        address = urlsplit(self._config["BACKUP_TO"])
        if not address.scheme:
            return VOLUME
        if address.scheme == "s3":
            self._describe(**self._bucket())
            return f"{NAME}:{address.netloc}{address.path}".rstrip("/")
        password = address.password or ""
        self.address = self.address.replace(f":{password}@", "@") if password else self.address
        self._describe(**self._server())
        path = address.path.rstrip("/")
        return f"{NAME}:{path.removeprefix('/~/') if path.startswith('/~') else path}"

    def _bucket(self) -> dict[str, str]:
        config = self._config
        endpoint = config["BACKUP_ENDPOINT"]
        return {
            "type": "s3",
            "provider": "Other" if endpoint else "AWS",
            "endpoint": endpoint,
            "region": config["BACKUP_REGION"],
            "access_key_id": config["BACKUP_ACCESS_KEY"],
            "secret_access_key": config["BACKUP_SECRET_KEY"],
            "no_check_bucket": "true",  # or it would make one, which the key may not
        }

    def _server(self) -> dict[str, str]:
        config, address = self._config, urlsplit(self._config["BACKUP_TO"])
        port = str(address.port or 22)
        host = f"[{address.hostname}]:{port}" if port != "22" else str(address.hostname)
        Path(KNOWN_HOSTS).write_text(f"{host} {config['BACKUP_HOST_KEY']}\n")
        return {
            "type": "sftp",
            "host": address.hostname or "",
            "port": port,
            "user": unquote(address.username or ""),
            "pass": _obscured(config["BACKUP_SECRET_KEY"]),
            "key_pem": config["BACKUP_SSH_KEY"].replace("\n", "\\n"),
            "known_hosts_file": KNOWN_HOSTS,
            "shell_type": "none",  # a server for files alone runs no commands
        }

    def _describe(self, **values: str) -> None:
        self._environment = {VARIABLE + key.upper(): text for key, text in values.items() if text}


@contextmanager
def _listed(names: Iterable[str]) -> Iterator[str]:
    """A file of names, as they lie in the store, for rclone to read."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(f"{path_of(name)}\n" for name in names))
        file.flush()
        yield file.name


def _name_of(file: str) -> str:
    """The name of the backup that a file is of; '' where it is of none."""
    plain = file.removesuffix(ENCRYPTED)
    end = next((end for end in ENDS if plain.endswith(end)), None)
    return plain.removesuffix(end) if end else ""


def path_of(content: str) -> str:
    """Where contents of a name lie: in folders by the first two digits, as git's objects do."""
    return f"{content[:2]}/{content}"


def _obscured(password: str) -> str:
    """As rclone has passwords in its settings; it takes no others."""
    if not password:
        return ""
    return process.run(["rclone", *FLAGS, "obscure", "-"], stdin=password).out.strip()


def _literal(name: str) -> str:
    """A name as a pattern of rclone's."""
    return "".join(f"\\{sign}" if sign in "*?[]{}\\" else sign for sign in name)


def _reason(said: str) -> str:
    """The cause in what rclone said: the words of the bucket's server, or its own last ones."""
    lines = [line for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    for before in ("CRITICAL: ", "ERROR : ", "NOTICE: ", "last error was: ", "api error "):
        last = last.rpartition(before)[2]
    return last.strip().rstrip(".")
