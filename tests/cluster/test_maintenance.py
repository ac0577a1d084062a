"""A maintenance page for all but some, and what else is asked of a deployed site."""

import json

import pytest
from deployed import Site, one_node, three_nodes
from traffic import Place, Visitor

TOLD = "Back at <10>."


def switch(site: Site, *words: str) -> None:
    site.inv("deploy.maintenance", *words)


@one_node
@pytest.mark.fault("DEP54", "docker")
def test_a_maintenance_page(site: Site) -> None:
    reader = Visitor(site.place, "reader")
    for words in (("maybe",), ("on", "--allow", "home.example.org")):
        site.refused("DEP54", "deploy.maintenance", *words)
    before = site.heading()
    switch(site, "on", "--message", TOLD)
    try:
        for path in ("/", "/notes/", "/static/x.css"):
            answer, page = reader.get(path)
            assert (answer.status, answer.retry_after) == (503, "60")
            assert "Back at &lt;10&gt;." in page
        assert reader.get("/readyz")[0].status == 200
        assert reader.get("/static/.maintenance/page.html")[0].status == 503
        assert "see a maintenance page" in site.inv("deploy.status").stdout
        assert site.status()["maintenance"]["message"] == TOLD
        with site.taken_back():
            site.show("Behind the page")
            assert "see a maintenance page" in site.deploy().stderr
            assert reader.get()[0].status == 503
            switch(site, "on", "--allow", site.our_address())
            assert site.heading() == "Behind the page"
            site.inv("deploy.rollback")
    finally:
        switch(site, "off")
    assert site.heading() == before and site.status()["maintenance"] is None
    assert reader.get("/static/.maintenance/page.html")[0].status == 404


@three_nodes
def test_the_page_is_on_each_node(site: Site) -> None:
    places = [Place(site.place.name, site.place.port, [one]) for one in site.place.addresses]
    switch(site, "on")
    assert {Visitor(place, "reader").get()[0].status for place in places} == {503}
    switch(site, "off")
    assert {Visitor(place, "reader").get()[0].status for place in places} == {200}


@one_node
def test_a_shell_and_the_history(site: Site) -> None:
    said = site.inv("deploy.shell", "--", "-c", "echo $SQL_DATABASE; id -u; ls /run/secrets")
    database, user, *secrets = said.stdout.split()
    assert (database, user) == (site.stack.values["SQL_DATABASE"], "10001") and secrets
    listed = json.loads(site.inv("deploy.history", "--json").stdout)
    assert [one["release"] for one in listed if one["serves"]] == [site.release()]
    numbers = [one["release"] for one in listed]
    assert numbers == sorted(numbers, reverse=True)
    text = site.inv("deploy.history").stdout
    assert "serves" in text and listed[0]["commit"] in text
