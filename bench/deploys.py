"""Rolling deploys of four replicas under load, beside `--no-check` and raw `docker stack deploy`.

On the engine here as a Swarm of one node, by `inv deploy --local`; at the end it is left again,
and all is removed. wrk sends requests during each, and its count of failures is printed. Then a
deploy whose migration needs a table that an open transaction holds, while a visitor reads it.
"""

import base64
import itertools
import json
import os
import re
import signal
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field

from harness import Checkout, checkout, seconds

DEPLOYS, BESIDE, REPLICAS, CONNECTIONS = 5, 3, 4, 2
LONGEST = 600
LOCK_WAIT_SECONDS = 20
MIGRATION = "project/notes/migrations/0003_bench.py"
ADDS_A_COLUMN = """from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notes", "0002_note_attachment")]
    beside_old_code = True
    operations = [migrations.RunSQL("alter table notes_note add bench int")]
"""
PAGE = "project/home/templates/home/index.html"
FILES = ("db.yaml", "web.yaml", "prod.yaml", "prod/db.yaml", "prod/encryption.yaml")


def docker(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"docker {arguments} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.strip()


class Site:
    """A checkout that is deployed here, and the requests that it gets."""

    def __init__(self, it: Checkout) -> None:
        self.it, self.stack = it, f"{it.values['COMPOSE_PROJECT_NAME']}-local"
        self.set("WEB_REPLICAS", str(REPLICAS))
        for words in (
            ("init", "-q"),
            ("config", "user.email", "a@b.c"),
            ("config", "user.name", "a"),
        ):
            it.run("git", *words)
        self.commit(0)
        it.run("./inv", "deploy", "--local", "--yes")
        self.url = json.loads(self.answer("deploy.status", "--local", "--json"))["url"]

    def set(self, key: str, value: str) -> None:
        path = self.it.root / ".env"
        others = re.sub(rf"(?m)^{key}=.*\n", "", path.read_text())
        path.write_text(f"{others}{key}={value}\n")

    def answer(self, *words: str) -> str:
        return subprocess.check_output(
            ["./inv", *words], cwd=self.it.root, text=True, stderr=subprocess.DEVNULL
        )

    def commit(self, number: int) -> None:
        page = self.it.root / PAGE
        page.write_text(re.sub(r"<h1>.*?</h1>", f"<h1>Version {number}</h1>", page.read_text()))
        self.it.run("git", "add", "--all")
        self.it.run("git", "commit", "-q", "-m", str(number))

    def deploy(self, *flags: str) -> float:
        """Seconds of `inv deploy`, all of it: build, backup, roll, check."""
        return seconds(lambda: self.it.run("./inv", "deploy", "--local", *flags))

    def raw(self) -> float:
        """Seconds of a build and of `docker stack deploy`, waited for, with the values of the last
        release but another image."""
        image = f"{self.stack}-web:raw-{time.time_ns()}"
        names = docker("config", "ls", "--format", "{{.Name}}").split()
        # STACK_release_NUMBER_CONTENT
        found = [name for name in names if name.startswith(f"{self.stack}_release_")]
        newest = max(found, key=lambda name: int(name.split("_")[-2]))
        kept = json.loads(docker("config", "inspect", newest, "--format", "{{json .Spec.Data}}"))
        release = json.loads(base64.b64decode(kept))
        values = {**release["values"], "WEB_IMAGE": image, "RELEASE": str(release["number"])}
        values |= {"BEFORE": str(release["before"]), "WEB_AT_ONCE": "1"}
        flags = [word for name in release["files"] for word in ("-c", f"compose/{name}")]
        build = ("docker", "build", "-q", "--target=prod", "-f", "compose/web/Dockerfile")
        roll = ("docker", "stack", "deploy", "--detach=false", "--resolve-image=never", *flags)

        def act() -> None:
            self.it.run(*build, "-t", image, ".")
            self.it.run(*roll, self.stack, env={**os.environ, **values})

        return seconds(act)

    def remove(self) -> None:
        self.it.run("./inv", "deploy.down", "--local")
        for _ in range(60):  # its containers hold the volumes
            if not docker("ps", "-aq", "--filter", f"name={self.stack}"):
                break
            time.sleep(1)
        node = docker("info", "--format", "{{.Swarm.NodeID}}")
        for kind in ("db", "proxy"):
            docker("node", "update", "--label-rm", f"{kind}.{self.stack}", node)
        for name in ("postgres_data", "caddy_data", "static"):
            subprocess.run(["docker", "volume", "rm", "-f", f"{self.stack}_{name}"], check=False)
        images = docker("image", "ls", "-q", f"{self.stack}-web").split()
        subprocess.run(["docker", "image", "rm", "-f", *images], check=False, capture_output=True)


@dataclass
class Visits:
    """What wrk counted, of requests all along."""

    requests: int = 0
    failed: list[str] = field(default_factory=list)

    def during(self, url: str, act: Callable[[], float]) -> float:
        """What the act gives, seconds, with requests meanwhile: each kind has the same of them."""
        argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LONGEST}s", "--timeout", "15s", url]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
            try:
                return act()
            finally:  # of one that fails it matters most
                child.send_signal(signal.SIGINT)
                said = child.communicate()[0]
                self.requests += int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
                self.failed += failures(said)

    def __str__(self) -> str:
        return f"{self.requests} requests, failed: {', '.join(self.failed) or 'none'}"


def failures(said: str) -> list[str]:
    counted = re.findall(r"Socket errors: (.*)|Non-2xx or 3xx responses: (\d+)", said)
    return [part for pair in counted for part in pair if part]


def main() -> None:
    was_swarm = docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "inactive"
    try:
        with checkout("docker") as it:
            site = Site(it)
            try:
                bench(site)
            finally:
                site.remove()
    finally:
        if not was_swarm:
            docker("swarm", "leave", "--force")


def bench(site: Site) -> None:
    seconds_of: dict[str, list[float]] = {"inv deploy": [], "--no-check": [], "raw": []}
    visits_of = {kind: Visits() for kind in seconds_of}
    acts = {
        "inv deploy": site.deploy,
        "--no-check": lambda: site.deploy("--no-check"),
        "raw": site.raw,
    }
    versions = itertools.count(1)
    for number in range(1, DEPLOYS + 1):
        for kind, act in acts.items():
            if kind == "inv deploy" or number <= BESIDE:
                site.commit(next(versions))
                seconds_of[kind].append(visits_of[kind].during(site.url, act))
                print(f"{kind}: {seconds_of[kind][-1]:.1f} s, {visits_of[kind]}", flush=True)
    raw = statistics.median(seconds_of["raw"])
    for kind, found in seconds_of.items():
        median = statistics.median(found)
        print(f"{kind}: median {median:.1f} s of {len(found)}, {median / raw:.2f} of raw")
    held(site)


def held(site: Site) -> None:
    """A deploy that gives up on a table that somebody holds, and what a visitor of it waits."""
    site.set("LOCK_WAIT_SECONDS", str(LOCK_WAIT_SECONDS))
    (site.it.root / MIGRATION).write_text(ADDS_A_COLUMN)
    site.commit(1000)
    psql = ["./inv", "deploy.psql", "--local", "--", "--quiet", "--tuples-only"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(psql, cwd=site.it.root, **pipes) as holder:  # type: ignore[call-overload]
        holder.stdin.write("begin; select count(*) from notes_note;\n")
        holder.stdin.flush()
        holder.stdout.readline()  # it has the lock
        argv = ["./inv", "deploy", "--local"]
        deploy = subprocess.Popen(argv, cwd=site.it.root, stderr=subprocess.PIPE, text=True)
        waits, bad = visits(f"{site.url}notes/", deploy)
        said = deploy.communicate()[1]
        holder.stdin.close()
    if "error DEP38" not in said:
        sys.exit(f"the deploy did not wait for the table:\n{said}")
    print(
        f"a table held for {LOCK_WAIT_SECONDS} s of a deploy: {len(waits)} requests, {bad} failed, "
        f"median {statistics.median(waits):.3f} s, slowest {max(waits):.2f} s"
    )


def visits(url: str, deploy: "subprocess.Popen[str]") -> tuple[list[float], int]:
    """Seconds of each request for the page, one after the other until the deploy ends; and how
    many failed."""
    waits, bad = [], 0
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    while deploy.poll() is None:
        began = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=60, context=context) as answer:
                answer.read()
        except OSError:
            bad += 1
        waits.append(time.monotonic() - began)
        time.sleep(0.05)
    return waits, bad


if __name__ == "__main__":
    main()
