"""Deploys that go well, on three nodes and on one: visitors notice nothing."""

from deployed import Site, assert_none_failed


def test_a_changed_page_is_served_without_a_failed_request(site: Site) -> None:
    old = site.heading()
    site.show("Second page")
    with site.visited("a second deploy") as traffic:
        site.deploy()
    assert_none_failed(traffic)
    assert set(traffic.headings) >= {old, "Second page"}
    assert site.heading() == "Second page"
    site.assert_nothing_lost()
