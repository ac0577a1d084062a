"""MEDIA: where production keeps uploads, and which of it would lose them."""

import json
from pathlib import Path

import pytest
from releases import made, release, settings

from djup.checkout import web_env
from djup.deploy import media, media_client, media_copy, media_nodes, production
from djup.deploy.swarm import jobs, placement
from djup.deploy.swarm.swarm import Node, Swarm
from djup.problems import Problem
from djup.settings.layout import Layout

BUCKET = {"MEDIA": "s3://shop", "MEDIA_ACCESS_KEY": "ann", "MEDIA_SECRET_KEY": "secret-9d2f"}
NODES = tuple(
    Node(f"id{n}", f"node{n}", {"proxy.main": "true"} if n == 1 else {}, True, "") for n in (1, 2)
)
BOTH = ["node1", "node2"]


@pytest.fixture
def with_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prod.txt").write_text("django_storages[s3]==1.14.6 \\\n")
    monkeypatch.setattr(media, "REQUIREMENTS", tmp_path)


def test_a_volume_is_what_there_is_without_a_word() -> None:
    found = made()
    assert found.values["MEDIA_ROOT"] == "/srv/media/files"
    assert found.values["MEDIA_VOLUME"] == f"{found.stack}_media"
    assert not [name for name in found.files if "media" in name]
    assert json.loads(found.secrets["settings"]) == {}
    assert made(MEDIA="volume").values["MEDIA_NODES"] == f"node.labels.proxy.{found.stack} == true"
    assert made(MEDIA="none").values["MEDIA_ROOT"] == media.NOWHERE


@pytest.mark.usefixtures("with_package")
def test_the_keys_of_a_bucket_are_in_the_secret_alone() -> None:
    found = made(**BUCKET, PROD_MEDIA_ENDPOINT="https://s3.example.org")
    told = json.loads(found.secrets["settings"])
    assert told == {**BUCKET, "MEDIA_ENDPOINT": "https://s3.example.org"}
    assert "secret-9d2f" not in str(found.values) and "secret-9d2f" not in repr(found)
    assert found.values["MEDIA"] == "s3://shop"
    assert production.local(settings(**BUCKET)).values["MEDIA"] == ""


def test_a_folder_of_a_file_server() -> None:
    found = made(MEDIA="nfs://files.example.org/export/shop").values
    assert found["MEDIA_NFS_OPTIONS"] == "addr=files.example.org,rw,nfsvers=4"
    assert found["MEDIA_NFS_DEVICE"] == ":/export/shop"
    other = made(MEDIA="nfs://files.example.org:2050/export/shop?rw,nfsvers=4.2").values
    assert other["MEDIA_NFS_OPTIONS"] == "addr=files.example.org,port=2050,rw,nfsvers=4.2"
    assert other["MEDIA_VOLUME"] != found["MEDIA_VOLUME"], "docker would keep the old options"


@pytest.mark.usefixtures("with_package")
@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"MEDIA": "bucket"}, "ENV06"),
        ({"MEDIA": "s3://"}, "ENV06"),
        ({"MEDIA": "s3:shop"}, "ENV06"),
        ({"MEDIA": "s3://ann:secret@shop"}, "ENV06"),
        ({"MEDIA": "nfs://files.example.org"}, "ENV06"),
        ({**BUCKET, "MEDIA_ENDPOINT": "s3.example.org"}, "ENV06"),
        ({**BUCKET, "MEDIA_SECRET_KEY": ""}, "ENV05"),
    ],
)
def test_what_could_not_be_deployed(values: dict[str, str], code: str) -> None:
    with pytest.raises(Problem) as found:
        made(**values)
    assert found.value.code == code and "secret-9d2f" not in str(found.value)


def test_a_bucket_needs_a_package() -> None:
    with pytest.raises(Problem) as found:
        made(**BUCKET)
    assert found.value.code == "DEP50"


def test_a_project_that_keeps_its_own_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "layout", lambda: Layout(media=False))
    assert made().values["MEDIA_ROOT"] == ""
    with pytest.raises(Problem) as found:
        made(MEDIA="volume")
    assert found.value.code == "ENV06"


def test_development_has_no_part_in_it() -> None:
    assert web_env.without_production(dict.fromkeys(media.KEYS, "x")) == {}


@pytest.mark.parametrize(
    ("constraints", "names"),
    [
        ([], BOTH),
        (["node.labels.proxy.main == true"], BOTH[:1]),
        (["node.labels.proxy.main != true"], BOTH[1:]),
        (["node.hostname==node2"], BOTH[1:]),
        (["node.id != id2", "node.role == manager"], BOTH[:1]),
        (["node.hostname == node1", "node.hostname == node2"], []),
    ],
)
def test_the_nodes_of_a_service(constraints: list[str], names: list[str]) -> None:
    lines = "".join(f"          - {one}\n" for one in constraints)
    service = f"    deploy:\n      placement:\n        constraints:\n{lines}"
    assert [node.name for node in placement.nodes_for(service, NODES)] == names


@pytest.mark.parametrize(
    ("values", "fields", "web", "code"),
    [
        ({}, ["notes.Note.file"], [], "DEP51"),
        ({}, [], [], ""),  # never used: it goes on as before
        ({}, ["notes.Note.file"], ["node.hostname == node1"], ""),
        ({}, ["notes.Note.file"], ["node.hostname == node2"], "DEP51"),  # not the proxy's
        ({"MEDIA": "volume"}, [], ["node.labels.proxy.main == true"], ""),
        ({"MEDIA": "none"}, ["notes.Note.file"], [], ""),
        ({"MEDIA": "nfs://files/shop"}, ["notes.Note.file"], [], ""),
    ],
)
def test_uploads_in_a_volume_on_several_nodes(
    values: dict[str, str],
    fields: list[str],
    web: list[str],
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = "".join(f"          - {one}\n" for one in web) + "target: /srv/media\n"
    services = {"web": service, "proxy": "target: /srv/media\n", "db": ""}
    monkeypatch.setattr(media_nodes.swarm_stack, "rendered", lambda release: services)
    monkeypatch.setattr(media_nodes, "_fields", lambda image: fields)
    deployed = release(STACK="main", **values)
    media_nodes.refuse_apart(deployed, Swarm(NODES[:1], "id1"))  # one node has no other
    if not code:
        return media_nodes.refuse_apart(deployed, Swarm(NODES, "id1"))
    with pytest.raises(Problem) as found:
        media_nodes.refuse_apart(deployed, Swarm(NODES, "id1"))
    assert found.value.code == code
    return None


def test_jobs_have_the_volume_too() -> None:
    words = jobs._uploads(release(STACK="main"))
    assert words[:2] == ["--mount", "type=volume,source=main_media,target=/srv/media"]
    share = jobs._uploads(release(STACK="main", MEDIA="nfs://files/shop"))[1]
    assert '"volume-opt=o=addr=files,rw,nfsvers=4"' in share and "volume-driver=local" in share
    earlier = release().with_values(MEDIA_VOLUME="")
    assert jobs._uploads(earlier) == []


@pytest.mark.parametrize(
    ("source", "to"),
    [("", ""), ("volume", "volume"), ("s3://a", "s3://b"), ("", "folder"), ("s3://a", "folder")],
)
def test_a_copy_is_between_a_bucket_and_the_volume(source: str, to: str) -> None:
    with pytest.raises(Problem) as found:
        media_copy.run(settings(), "", local=False, source=source, to=to)
    assert found.value.code == "DEP52"


def test_the_node_that_has_the_volume() -> None:
    deployed, share = release(STACK="main"), release(STACK="main", MEDIA="nfs://files/shop")
    for here, nodes in {"id1": [], "id2": ["node1"]}.items():
        assert media_client.nodes_of_volume(deployed, Swarm(NODES, here)) == nodes
    assert media_client.nodes_of_volume(share, Swarm(NODES, "id2")) == []
    with media_client.uploads(release(MEDIA="none"), Swarm(NODES, "id1")) as found:
        assert found is None
