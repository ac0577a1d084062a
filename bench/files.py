"""A backup of 10,000 uploads of 100 kB beside `tar | zstd`, and the memory that it takes."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from harness import Checkout, checkout, compare, row, seconds

FILES, SIZE, RUNS = 10_000, 100_000, 3
TARGET = "<= 1.3"
MAKE = f"""
import os
for number in range({FILES}):
    folder = f"many/{{number % 100}}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{{folder}}/{{number}}", "wb") as file:
        file.write(os.urandom({SIZE}))
"""


def media(it: Checkout, runtime: str, *argv: str) -> list[str]:
    """A command in the folder of the uploads."""
    if runtime == "docker":
        web = f"{it.values['COMPOSE_PROJECT_NAME']}-web-1"
        return ["docker", "exec", "--workdir", "/srv/media/files", web, *argv]
    project = it.values["COMPOSE_PROJECT_NAME"]
    homes = (it.root / ".data", Path("/var/lib/embedded-postgres") / project)
    [home] = [one / "media" / "files" for one in homes if one.exists()]
    return ["env", "-C", str(home), *argv]


def peak(call: Callable[[], object]) -> int:
    """The most bytes that our child processes have together while it runs."""
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.05):
            most = max(most, sum(map(resident, psutil.Process().children(recursive=True))))

    thread = threading.Thread(target=watch)
    thread.start()
    call()
    ended.set()
    thread.join()
    return most


def resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def bench(runtime: str) -> None:
    with checkout(runtime) as it:
        it.run("./inv", "up")
        if runtime == "embedded":  # the folder is made by the first upload
            home = it.root / ".data"
            project = it.values["COMPOSE_PROJECT_NAME"]
            home = home if home.exists() else Path("/var/lib/embedded-postgres") / project
            (home / "media" / "files").mkdir(parents=True, exist_ok=True)
        little = peak(lambda: it.run("./inv", "db.backup"))
        it.run(*media(it, runtime, "python3", "-c", MAKE))
        archive = it.root / "raw.tar.zst"
        tar = subprocess.list2cmdline(media(it, runtime, "tar", "-cf", "-", "."))
        raw = it.call("sh", "-c", f"{tar} | zstd -q -T0 -f -o {archive} && sync {archive}")

        def ours() -> None:
            shutil.rmtree(it.root / "backups", ignore_errors=True)
            it.run("./inv", "db.backup")

        compare(f"{runtime}: `inv db.backup`, raw: `tar \\| zstd`", TARGET, ours, raw, RUNS)
        much = peak(ours)
        print(
            f"| {runtime}: memory, no files / 1 GB | {little >> 20} / {much >> 20} MB |", flush=True
        )
        [made] = (it.root / "backups").glob("*.dump")
        restored = seconds(it.call("./inv", "db.restore", made.stem))
        row(f"{runtime}: `inv db.restore`", restored, None, "")
        row(f"{runtime}: `inv db.snapshot`", seconds(it.call("./inv", "db.snapshot")), None, "")
        archive.unlink()


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ("embedded", "docker"):
        bench(chosen)
