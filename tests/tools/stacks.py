"""Checkouts on real engines: each has a project name of its own, and is removed whatever happens.

Only what bears a checkout's labels, or lies in its folder, is ever touched.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import checkout
import pytest

from djup import ROOT
from djup.settings import dotenv

needs_notes = pytest.mark.skipif(
    not (ROOT / "project" / "notes").exists(), reason="the example app is removed"
)
OUTSIDE = Path("/var/lib/embedded-postgres")
INV_SECONDS = 240
UNALIGNED = ("--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1", "--quiet")
PROJECT_LABEL = "com.docker.compose.project"


class Docker:
    """What the contract has to ask of the Docker runtime, past the tasks themselves."""

    name = "docker"

    def require(self) -> None:
        """Fail, rather than skip: `inv test` has decided that this suite can run."""
        answer = docker("version", check=False)
        assert answer.returncode == 0, f"the Docker engine does not answer: {answer.stderr}"

    def identities(self, root: Path) -> set[str]:
        """What changes when a service is made anew."""
        return set(docker("ps", "--quiet", "--no-trunc", *_labelled(root)).stdout.split())

    def leftovers(self, root: Path) -> dict[str, list[str]]:
        """Everything that bears the project's label, by kind."""
        label = _labelled(root)
        listings = {
            "container": ["ps", "--all", "--format", "{{.Names}}"],
            "volume": ["volume", "ls", "--format", "{{.Name}}"],
            "network": ["network", "ls", "--format", "{{.Name}}"],
            "image": ["image", "ls", "--all", "--quiet"],
        }
        found = {kind: docker(*ls, *label).stdout.split() for kind, ls in listings.items()}
        return {kind: sorted(set(names)) for kind, names in found.items() if names}

    def data_volumes(self, root: Path) -> set[str]:
        """The volumes that the services use, anonymous ones included."""
        names = docker("ps", "--all", "--quiet", *_labelled(root)).stdout.split()
        entries = json.loads(docker("inspect", *names).stdout) if names else []
        mounts = [mount for entry in entries for mount in entry["Mounts"]]
        return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    def all_volumes(self) -> set[str]:
        """Those of the whole engine."""
        return set(docker("volume", "ls", "--quiet").stdout.split())

    def in_media(self, root: Path) -> list[str]:
        """What a command begins with that is to run in MEDIA_ROOT."""
        web = f"{project(root)}-web-1"
        return ["docker", "exec", "--interactive", "--workdir", "/srv/media/files", web]

    def kill_database(self, root: Path) -> None:
        docker("kill", f"{project(root)}-db-1")

    def remove(self, root: Path) -> None:
        """All of it, whether the tasks work or not."""
        for kind, names in self.leftovers(root).items():
            force = [] if kind == "network" else ["--force"]
            more = ["--volumes"] if kind == "container" else []
            docker(kind, "rm", *force, *more, *names, check=False)


class Embedded:
    """The same of the embedded runtime."""

    name = "embedded"

    def require(self) -> None:
        """Everything that it needs is in wheels."""

    def identities(self, root: Path) -> set[str]:
        """The process numbers of what runs."""
        locks = [root / ".state" / f"{name}.lock" for name in ("db", "web")]
        numbers = {lock.read_text() for lock in locks if lock.exists()}
        return {number for number in numbers if is_alive(int(number))}

    def leftovers(self, root: Path) -> dict[str, list[str]]:
        """The processes and the folders."""
        folders = [path for path in self._folders(root) if path.exists()]
        found = {"process": self.identities(root), "volume": {str(path) for path in folders}}
        return {kind: sorted(names) for kind, names in found.items() if names}

    def data_volumes(self, root: Path) -> set[str]:
        """The folder of the data."""
        return {str(path) for path in self._folders(root) if path.exists()}

    def all_volumes(self) -> set[str]:
        """Folders that are not there are in no list."""
        return set()

    def in_media(self, root: Path) -> list[str]:
        """What a command begins with that is to run in MEDIA_ROOT."""
        [home] = [path for path in self._folders(root) if path.exists() and path.suffix == ""]
        folder = home / "media" / "files"
        folder.mkdir(parents=True, exist_ok=True)
        return ["env", "-C", str(folder)]

    def kill_database(self, root: Path) -> None:
        os.kill(int((root / ".state" / "db.lock").read_text()), signal.SIGKILL)

    def remove(self, root: Path) -> None:
        """All of it, whether the tasks work or not."""
        for number in self.identities(root):
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        eventually(lambda: not self.identities(root), 10, "the processes end")
        for path in self._folders(root):
            shutil.rmtree(path, ignore_errors=True)

    def _folders(self, root: Path) -> list[Path]:
        outside = OUTSIDE / project(root)  # where root's server cannot enter the checkout
        return [root / ".data", outside, *Path("/tmp").glob(f"{root.name}-*.socket")]


def is_alive(number: int) -> bool:
    """Whether a process runs; one that has ended, and whose parent has not asked, does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def docker(*arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """`docker arguments`, captured."""
    options = {"capture_output": True, "text": True, "timeout": 120} | options
    done = subprocess.run(["docker", *arguments], **options)
    assert not check or done.returncode == 0, f"docker {arguments}: {done.stderr}"
    return done


@contextmanager
def other_system(image: str, original: str) -> Iterator[str]:
    """An image of the same PostgreSQL that says it is another system."""
    maker = f"{image}-maker"
    edit = ["-i", "s/^ID=.*/ID=elsewhere/", "/etc/os-release"]
    docker("run", "--name", maker, "--entrypoint", "sed", original, *edit)
    docker("commit", maker, image)
    docker("rm", "--volumes", maker)
    yield image
    docker("image", "rm", "--force", image)


def add_flock(original: str, image: str, *host: str) -> None:
    """Name `image` what `original` is, with the program `flock`, which every official one has."""
    program = shutil.which("flock")
    assert program, "this machine has no flock: install util-linux"
    maker = docker(*host, "create", "--quiet", original).stdout.strip()
    try:
        look = ("run", "--rm", "--entrypoint", "which", original, "flock")
        if docker(*host, *look, check=False).returncode:
            docker(*host, "cp", "--quiet", program, f"{maker}:/usr/bin/flock")
        docker(*host, "commit", maker, image)
    finally:
        docker(*host, "rm", "--volumes", maker)


@contextmanager
def with_flock(image: str, original: str) -> Iterator[str]:
    """An image of the same PostgreSQL that has the program `flock`."""
    add_flock(original, image)
    yield image
    docker("image", "rm", "--force", image)


def project(root: Path) -> str:
    """The name that the checkout's `.env` has."""
    return dotenv.parse((root / ".env").read_text())["COMPOSE_PROJECT_NAME"]


def _labelled(root: Path) -> tuple[str, str]:
    return "--filter", f"label={PROJECT_LABEL}={project(root)}"


def web_tests(stack: "Checkout", *modules: str) -> list[str]:
    """What `manage.py test` takes for the tests of djup_web, all or those of some modules; where it
    runs in a container, they get there first."""
    folder = str(stack.root / "packages" / "djup-web")
    if stack.runtime.name == "docker":
        source, folder = ROOT / "packages" / "djup-web" / "tests", "/tmp/djup-web"
        web = f"{stack.project}-web-1"
        docker("exec", web, "mkdir", "-p", folder)
        docker("cp", "--quiet", source, f"{web}:{folder}/")
    return labels(folder, *modules)


def labels(folder: str, *modules: str) -> list[str]:
    """What `manage.py test` takes for the tests of djup_web in a folder, all or those of some
    modules."""
    chosen = [word for module in modules for word in ("-k", f"*.test_{module}.*")]
    return ["--top-level-directory", folder, f"{folder}/tests", *chosen]


Runtime = Docker | Embedded
RUNTIMES: dict[str, Runtime] = {"docker": Docker(), "embedded": Embedded()}


class Checkout:
    """A checkout with an .env of its own, and the `inv` in it."""

    def __init__(self, root: Path, runtime: Runtime, cloned: Collection[str] = ()) -> None:
        """`cloned` are the names in its folder before anything ran there."""
        self.root, self.runtime, self.cloned = root, runtime, cloned

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return checkout.start(self.root, *arguments, **{"text": True, **options})

    def inv(
        self, *arguments: str, stdin: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """`./inv arguments`, which has to end with `code` (None for whatever it may be)."""
        argv = [self.root / "inv", *arguments]
        options: dict[str, Any] = {"cwd": self.root, "capture_output": True, "text": True}
        try:
            done = subprocess.run(argv, input=stdin, timeout=INV_SECONDS, **options)
        except subprocess.TimeoutExpired as late:
            said = b"".join(part for part in (late.stdout, late.stderr) if part).decode()
            raise AssertionError(f"inv {' '.join(arguments)} does not end:\n{said}") from None
        # As it is spelled where .venv is activated.
        done.stdout, done.stderr = (t.replace("./inv ", "inv ") for t in (done.stdout, done.stderr))
        said = f"inv {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        return done

    def sql(self, statement: str) -> str:
        """The answer of the database, unaligned and without heads: of one that has a container, by
        the psql in it, as `inv psql` asks; of any other, by the task."""
        asks = self._in_container("-c", statement)
        return docker(*asks).stdout.strip() if asks else self.psql(statement)

    def script(self, text: str) -> None:
        """Have the same psql run a script."""
        if asks := self._in_container():
            docker("exec", "--interactive", *asks[1:], input=text)
        else:
            self.inv("psql", stdin=text)

    def _in_container(self, *arguments: str) -> list[str]:
        """Arguments that lead docker to psql in the database's container; [] if it has none."""
        values = self.values
        own = not (values.get("SQL_HOST") or values.get("DATABASE_URL"))
        if not own or values.get("RUNTIME") != self.runtime.name or self.runtime.name != "docker":
            return []
        whom = ("--username", values["SQL_USER"], "--dbname", values["SQL_DATABASE"])
        return ["exec", f"{self.project}-db-1", "psql", *UNALIGNED, *whom, *arguments]

    def psql(self, statement: str) -> str:
        """The answer of `inv psql`."""
        return self.inv("psql", "--", *UNALIGNED, "-c", statement).stdout.strip()

    def refused(self, code: str, *typed: str) -> str:
        """`inv typed` (inv up) ends with 1 and this code alone, as a sentence; what it said."""
        done = self.inv(*(typed or ("up",)), code=1)
        found = re.findall(r"^error ([A-Z]+\d\d)", done.stderr, re.MULTILINE)
        assert found == [code] and done.stdout == "" and "  fix: " in done.stderr, done
        return done.stderr

    def found_by_doctor(self) -> set[str]:
        """The codes of what `inv doctor` finds."""
        done = self.inv("doctor", "--json", code=None)
        codes = {finding["code"] for finding in json.loads(done.stdout)} - {None}
        assert done.returncode == (1 if codes else 0)
        return codes

    def backups(self) -> list[dict[str, Any]]:
        """What `inv db.backups` lists, the newest first."""
        return list(json.loads(self.inv("db.backups", "--json").stdout))

    def snapshots(self) -> list[str]:
        """The names that `inv db.snapshots` lists, the newest first."""
        found = json.loads(self.inv("db.snapshots", "--json").stdout)
        return [one["note"]["name"] for one in found]

    def keep(self) -> None:
        """Put a row into the database that has to outlive whatever comes."""
        self.sql("create table kept as select 'kept' as text")

    def assert_kept(self) -> None:
        """The stack works, with the row that was there before."""
        answer = self.get("readyz")
        assert answer[0] == 200, answer
        assert self.sql("select text from kept") == "kept"

    @contextmanager
    def edited(self, path: str, before: str, after: str) -> Iterator[None]:
        """A file of the checkout with other words in it."""
        text = (self.root / path).read_text()
        assert before in text
        self.write(path, text.replace(before, after))
        try:
            yield
        finally:
            self.write(path, text)

    def kill_database(self) -> None:
        """Its server ends without having heard of it."""
        self.runtime.kill_database(self.root)

    def set(self, key: str, value: str) -> None:
        checkout.set_value(self.root / ".env", key, value)

    @property
    def values(self) -> dict[str, str]:
        return dotenv.parse((self.root / ".env").read_text())

    @property
    def project(self) -> str:
        return project(self.root)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.values['WEB_PORT']}/"

    def get(self, path: str = "") -> tuple[int, str]:
        """Status and body of a page; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def post_note(self, text: str) -> int:
        """Write a note as a browser does: the form's page, its token, the form."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = browser.open(f"{self.url}notes/", timeout=10).read().decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page
        form = {"csrfmiddlewaretoken": found[1], "text": text}
        data = urllib.parse.urlencode(form).encode()
        with browser.open(f"{self.url}notes/", data, timeout=10) as response:
            return int(response.status)

    def attach(self, name: str, content: str) -> str:
        """Upload a file with a note, as a browser does; the path of its page."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = browser.open(f"{self.url}notes/", timeout=10).read().decode()
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found, page
        fields = {"csrfmiddlewaretoken": found[1], "text": "see there"}
        head = "--boundary\r\nContent-Disposition: form-data; name="
        parts = [f'{head}"{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
        parts.append(f'{head}"attachment"; filename="{name}"\r\n\r\n{content}\r\n--boundary--\r\n')
        kind = {"Content-Type": "multipart/form-data; boundary=boundary"}
        request = urllib.request.Request(f"{self.url}notes/", "".join(parts).encode(), kind)
        with browser.open(request, timeout=10) as answer:
            links = re.findall(r'href="/(media/[^"]+)"', answer.read().decode())
        return str(links[0])

    def files(self, script: str = "find . -type f | sort") -> str:
        """What a shell script prints in the folder of the uploads: their names, without one."""
        argv = [*self.runtime.in_media(self.root), "sh", "-euc", script]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    def beside_uploads(self, *argv: str) -> "subprocess.Popen[str]":
        """A program that runs in that folder."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([*self.runtime.in_media(self.root), *argv], text=True, **pipes)

    def write(self, path: str, text: str) -> str:
        """Save a file as an editor does; gives what it was."""
        file = self.root / path
        before = file.read_text() if file.exists() else ""
        file.write_text(text)
        return before


class Prefixed(Checkout):
    """The same checkout, for someone whose commands begin with a prefix."""

    def __init__(self, stack: Checkout, *prefix: str) -> None:
        super().__init__(stack.root, stack.runtime)
        self.prefix = prefix

    def inv(
        self, *arguments: str, stdin: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.prefix, self.root / "inv", *arguments],
            cwd=self.root if self.root.exists() else "/",
            input=stdin,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert code is None or done.returncode == code, done
        return done


PATIENCE = 3  # of what a quiet machine needs: two suites run at once


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until it is true, asked five times a second at first, then less and less often: each question
    takes processors from what is waited for. `seconds` is what it takes at most on a machine that
    has nothing else to do."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < PATIENCE * seconds, f"not within {seconds} s: {what}"
        time.sleep(min(1, max(0.2, waited / 10)))


@contextmanager
def cut_off(container: str) -> Iterator[None]:
    """The network of a container is down, and nothing says so; only root may do that."""
    index = docker("exec", container, "cat", "/sys/class/net/eth0/iflink").stdout.strip()
    links = Path("/sys/class/net").iterdir()
    name = next(one.name for one in links if (one / "ifindex").read_text().strip() == index)
    subprocess.run(["ip", "link", "set", name, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)


Make = Callable[..., Checkout]
Write = Callable[[Path], Path]  # writes a checkout into a folder; a task of its own makes the rest


@contextmanager
def maker(folder: Callable[[str], Path], write: Write = checkout.lent) -> Iterator[Make]:
    """Makes checkouts in new folders, and removes them at the end with all that they started."""
    made: list[Checkout] = []

    def new(runtime: Runtime, name: str = "shop", **values: str) -> Checkout:
        root = write(folder("checkout") / name)
        stack = Checkout(root, runtime, {path.name for path in root.iterdir()})
        made.append(stack)
        stack.inv("status")  # any task makes .env
        for key, value in {"RUNTIME": runtime.name, **values}.items():
            stack.set(key, value)
        return stack

    yield new
    for stack in made:
        if (stack.root / ".env").is_file():
            stack.runtime.remove(stack.root)
            assert stack.runtime.leftovers(stack.root) == {}
        shutil.rmtree(stack.root)
