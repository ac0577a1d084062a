"""What the engine says, and what is handed to it: versions, refusals, mounts, folders to read."""

import subprocess
import sys
from pathlib import Path

import pytest

from djup import ROOT, problems
from djup.docker import engine, refusals, resources
from djup.host import process, temporary
from djup.postgres import local_server
from djup.stack.causes import check

SOURCE = ROOT / "packages/djup/src/djup"

# Each as an engine has said it: Docker 28, Docker 20, Swarm.
NO_SUBNET = [
    "failed to create network shop_default: Error response from daemon: all predefined address "
    "pools have been fully subnetted",
    "Error response from daemon: could not find an available, non-overlapping IPv4 address pool "
    "among the defaults to assign to the network",
    "could not find an available, non-overlapping IPv4 address pool",
    "Error response from daemon: failed to find free address space",
]
UNSEEN = (
    'Error response from daemon: invalid mount config for type "bind": '
    "bind source path does not exist: /srv/a shop/project\n\nRun 'docker run --help'"
)


@pytest.mark.parametrize("words", NO_SUBNET)
def test_no_subnet(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setattr(process, "run", listed)
    problem = refusals.named(words)
    assert problem and problem.code == "NET02"
    assert "3 networks use all of them; old_default, older_default have no" in problem.what


def listed(argv: list[str]) -> process.Result:
    names = ["bridge", "old_default", "older_default", "docker_gwbridge"]
    return process.Result(0, "\n".join(names), "")


def test_a_mount_that_is_not_there_is_a_folder_that_is_not_seen() -> None:
    problem = refusals.named(UNSEEN)
    assert problem and problem.code == "DOCKER13" and "see /srv/a shop/project, so" in problem.what
    assert refusals.named("Error response from daemon: something new") is None


@pytest.mark.parametrize("path", ["/srv/shop", "/srv/a, shop", '/srv/the "shop"', "/srv/a=b"])
def test_a_mount_of_any_path(path: str) -> None:
    import csv

    [fields] = csv.reader([resources.bind(path, "/seen")])
    assert fields == ["type=bind", f"source={path}", "target=/seen", "readonly"]


@pytest.mark.parametrize(
    ("told", "compose", "code"),
    [
        ("28.5.2\n28.5.2\nEngine containerd runc \n", "2.40.3", ""),
        ("25.0.0\n25.0.1\nEngine \n", "", ""),
        ("20.10.24+dfsg1\n28.5.2\nEngine \n", "2.40.3", "DOCKER06"),
        ("28.5.2\n24.0.9\nEngine \n", "2.40.3", "DOCKER06"),
        ("28.5.2\n28.5.2\nEngine \n", "2.17.3", "DOCKER06"),
        ("28.5.2\n4.3.1\nPodman Engine Conmon OCI Runtime (runc) \n", "2.40.3", "DOCKER12"),
        ("", "", ""),
    ],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, told: str, compose: str, code: str) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    found = engine.unfit(told, compose)
    assert (found.code if found else "") == code


REFUSED = "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"  # noqa: E501
NO_FIELD = "Error: template: list:1:10: executing: can't evaluate field Components in type system"


@pytest.mark.parametrize(
    ("error", "answer", "code"),
    [(REFUSED, "20.10.24\n", "DOCKER06"), (NO_FIELD, "podman version 4.3.1\n", "DOCKER12")],
    ids=["an engine that refuses the client", "podman under the name docker"],
)
def test_a_command_docker_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, error: str, answer: str, code: str
) -> None:
    def run(argv: list[str], **_: object) -> process.Result:
        failed = engine.VERSIONS in argv
        return process.Result(int(failed), "" if failed else answer, error if failed else "")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(problems.Problem) as raised:
        engine.refuse_unfit()
    assert raised.value.code == code and engine.diagnose("docker ps", error).code == code


def test_folders_for_docker_lie_in_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Docker from a snap sees no /tmp."""
    monkeypatch.setattr(temporary, "STATE", tmp_path / ".state")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, ours = (tmp_path / ".state" / f"temporary-{n}-x" for n in (ended.pid, 1))
    for folder in (left, ours):
        (folder / "tree").mkdir(parents=True)
    with temporary.folder() as made:
        assert Path(made).parent == tmp_path / ".state" and Path(made).is_dir()
        assert not left.exists() and ours.exists(), "those of killed tasks alone go"
    assert not Path(made).exists()


def test_what_a_check_printed() -> None:
    log = [{"Output": "wget: can't connect\nto it\n"}, {"Output": ""}]
    assert check.last_said({"State": {"Health": {"Log": log}}}) == "wget: can't connect\nto it"
    assert check.last_said({"State": {}}) == check.last_said({}) == ""


def test_parallel_queries_share_files_where_there_is_little_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert local_server.shared_memory(tmp_path / "none") == []
    monkeypatch.setattr(local_server, "SHARED_MEMORY", 1)
    assert local_server.shared_memory(tmp_path) == []
    monkeypatch.setattr(local_server, "SHARED_MEMORY", 1 << 70)
    assert local_server.shared_memory(tmp_path) == ["-c", "dynamic_shared_memory_type=mmap"]


def test_what_docker_reads_lies_in_the_checkout() -> None:
    """A folder of /tmp is none that Docker from a snap sees."""
    speak = [*(SOURCE / "deploy").rglob("*.py"), *(SOURCE / "stack").rglob("*.py")]
    made = [file.name for file in speak if "TemporaryDirectory()" in file.read_text()]
    assert speak and made == []
