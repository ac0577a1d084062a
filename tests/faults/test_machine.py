"""The machine itself: a full disk, files of another owner, clocks and time zones."""

import os
import pwd
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machine import FAKETIME, needs_faketime, needs_root
from stacks import PROJECT_LABEL, Checkout, Docker, Make, Runtime, docker

from djup.postgres.local_server import FULL

SMALL, ENOUGH, MORE = "20m", "100m", "400m"  # for no cluster, for one, for what is put into it
CLOCK = """\
services:
  {service}:
    environment: {{LD_PRELOAD: /libfaketime.so.1, FAKETIME: "-3h"}}
    volumes: ["{library}:/libfaketime.so.1:ro"]
"""


@contextmanager
def small_disk(stack: Checkout) -> Iterator[Path]:
    """A file system of its own for the data, as a disk that is nearly full has room for."""
    own = Path(tempfile.mkdtemp(prefix="disk-"))
    disk = own if isinstance(stack.runtime, Docker) else stack.root / ".data"
    disk.mkdir(mode=0o700, exist_ok=True)
    options = f"size={SMALL},mode=0700"
    if isinstance(stack.runtime, Docker):
        make_volume(stack, disk)
    else:
        options += f",uid={pwd.getpwnam('nobody').pw_uid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        stack.inv("down", code=None)
        stack.runtime.remove(stack.root)
        subprocess.run(["umount", "--lazy", disk], check=True)
        own.rmdir()


def make_volume(stack: Checkout, folder: Path) -> None:
    """The stack's volume, as `inv up` makes it, but on this folder."""
    labels = {
        PROJECT_LABEL: stack.project,
        "com.docker.compose.volume": "postgres_data",
        "checkout": str(stack.root),
    }
    options = {"type": "none", "o": "bind", "device": str(folder)}
    flags = [word for it in labels.items() for word in ("--label", "=".join(it))]
    flags += [word for it in options.items() for word in ("--opt", "=".join(it))]
    docker("volume", "create", *flags, f"{stack.project}_postgres_data")


def make_room(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


@needs_root
@pytest.mark.fault("SYS02", "docker", "embedded")
@pytest.mark.fault("BAK07", "docker", "embedded")
def test_a_disk_that_is_full(make: Make, runtime: Runtime, tmp_path: Path) -> None:
    stack = make(runtime, name="full")
    with small_disk(stack) as disk:
        for _ in range(2):
            said = stack.refused("SYS02")
            assert "no space left" in said and "free space" in said and "inv up" in said
            assert any(words in said for words in FULL) and "Traceback" not in said
        make_room(disk, ENOUGH)
        stack.inv("up")
        stack.keep()

        fill = "create table big as select repeat('x', 1000) from generate_series(1, 1000000)"
        dump = tmp_path / "big.sql"
        dump.write_text(f"{fill};\n")
        said = stack.refused("BAK07", "db.restore", str(dump))
        told = (*FULL, "could not extend", "connection")
        assert any(words in said for words in told), said
        # The server ends where it could not write its log of changes, else it goes on.
        if stack.get("readyz")[0] != 200:
            stack.refused("SYS02")
            assert "SYS02" in stack.found_by_doctor()
        make_room(disk, MORE)
        stack.inv("up")
        stack.assert_kept()


@needs_root
@pytest.mark.fault("SYS07", "embedded")
def test_a_disk_that_can_only_be_read(stack: Checkout) -> None:
    for options in (["--bind", stack.root], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, stack.root], check=True)
    try:
        assert f"{stack.root}/.state" in stack.refused("SYS07")
        assert stack.found_by_doctor() == {"SYS07"}
        assert stack.get("readyz")[0] == 200, "what runs does not write there"
    finally:
        subprocess.run(["umount", "--lazy", stack.root], check=True)
    assert stack.found_by_doctor() == set()


@needs_root
@pytest.mark.fault("SYS05", "docker", "embedded")
def test_files_of_another_owner(stack: Checkout) -> None:
    owner = stack.root.stat()
    files = [stack.root / "project/home/views.py", stack.root / "project/home/urls.py"]
    try:
        for file in files:
            os.chown(file, 12345, 12345)
        done = stack.inv("doctor", code=1)
        assert "error SYS05: 2 files of this folder belong to user 12345" in done.stdout
        assert "project/home/urls.py" in done.stdout and done.stdout.count("\nerror ") == 1
        assert "doctor --fix" in done.stdout
        assert "fixing SYS05" in stack.inv("doctor", "--fix").stderr
        assert {file.stat().st_uid for file in files} == {owner.st_uid}
    finally:
        for file in files:
            os.chown(file, owner.st_uid, owner.st_gid)


@pytest.mark.fault("SYS04", "docker", "embedded")
def test_a_time_zone_that_is_not_utc(stack: Checkout) -> None:
    stack.sql("alter database app set timezone = 'Asia/Tokyo'")
    assert stack.sql("show timezone") == "Asia/Tokyo"
    done = stack.inv("doctor", code=1)
    assert "error SYS04: the database's time zone is Asia/Tokyo" in done.stdout
    found = re.search(r"  fix: (?:\./)?inv (psql .+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    stack.inv(*shlex.split(found[1]))
    assert stack.found_by_doctor() == set()


@needs_faketime
@pytest.mark.fault("SYS03", "docker")
@pytest.mark.parametrize("service", ["db", "web"])
def test_a_container_whose_clock_is_off(stack: Checkout, service: str) -> None:
    loader = ["--service", service, "--", "-c", "test -e /lib64/ld-linux-x86-64.so.2"]
    if stack.inv("shell", *loader, code=None).returncode:
        pytest.skip("libfaketime is of another C library than this image")
    local = stack.root / "compose/local.yaml"
    local.write_text(CLOCK.format(service=service, library=FAKETIME))
    try:
        stack.set("COMPOSE_FILE", f"{stack.values['COMPOSE_FILE']}:compose/local.yaml")
        stack.inv("up")
        done = stack.inv("doctor", code=1)
        assert (
            f"error SYS03: the clock of {service} differs from this machine's by 10" in done.stdout
        )
        assert done.stdout.count("\nerror ") == 1 and "restart Docker" in done.stdout
    finally:
        local.unlink()


@needs_faketime
@pytest.mark.fault("SYS03", "embedded")
def test_a_web_whose_clock_is_off(stack: Checkout) -> None:
    stack.set("LD_PRELOAD", str(FAKETIME))
    stack.set("FAKETIME", "-3h")
    stack.inv("up")
    assert stack.found_by_doctor() == {"SYS03"}
