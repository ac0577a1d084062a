"""Deploys that go well, on three nodes and on one: visitors notice nothing."""

from deployed import Site, assert_none_failed, three_nodes
from stacks import eventually
from traffic import Visitor

PASSWORD = "a-long-password-of-the-tests"
BOSS = (
    "from django.contrib.auth import get_user_model as m;"
    f"m().objects.create_superuser('boss', password='{PASSWORD}')"
)


def test_a_changed_page_is_served_by_turns_and_then_alone(site: Site) -> None:
    old = site.heading()
    site.show("Second page")
    with site.visited("a second deploy") as traffic:
        site.deploy()
        eventually(lambda: set(traffic.headings[-5:]) == {"Second page"}, 10, "it serves alone")
    assert_none_failed(traffic)
    seen = traffic.headings
    assert set(seen) == {old, "Second page"}
    assert old in seen[seen.index("Second page") :], "both serve beside each other"
    site.assert_nothing_lost()


@three_nodes
def test_another_secret_key_logs_nobody_out(site: Site) -> None:
    site.inv("deploy.manage", "--", "shell", "-c", BOSS)
    boss = Visitor(site.place, "boss")
    log_in(boss)
    site.stack.set("PROD_SECRET_KEY_FALLBACKS", site.stack.values["PROD_SECRET_KEY"])
    site.stack.set("PROD_SECRET_KEY", "another-key-of-production-" + "x1" * 30)
    with site.visited("another secret key") as traffic:
        site.deploy()
    assert_none_failed(traffic)
    answer, _ = boss.get("/admin/")
    assert answer.status == 200, answer


def log_in(boss: Visitor) -> None:
    token = boss.token("/admin/login/")
    form = {"username": "boss", "password": PASSWORD, "csrfmiddlewaretoken": token}
    answer, text = boss.post("/admin/login/?next=/admin/", **form)
    assert answer.status == 302, (answer, text)
    assert boss.get("/admin/")[0].status == 200


@three_nodes
def test_from_two_to_eight_containers_and_back(site: Site) -> None:
    said = scale(site, 8)
    assert "warning: up to 138 connections are possible, the database accepts 97" in said
    assert "connections are possible" not in scale(site, 2)


@three_nodes
def test_back_to_the_release_before_which_stays_at_the_present_scale(site: Site) -> None:
    before, heading = site.release(), site.heading()
    with site.taken_back():
        site.show("Page of regret")
        site.deploy()
        scale(site, 3)
        assert site.heading() == "Page of regret"
        with site.visited("a way back") as traffic:
            site.inv("deploy.rollback")
    assert_none_failed(traffic)
    assert site.release() == before and site.heading() == heading
    assert len(site.tasks()) == 3
    site.assert_nothing_lost()


def scale(site: Site, replicas: int) -> str:
    """Without a failed request, and without another container for those that stay; what is said."""
    was = site.tasks()
    site.stack.set("WEB_REPLICAS", str(replicas))
    with site.visited(f"from {len(was)} to {replicas} containers") as traffic:
        said = site.deploy().stderr
    assert_none_failed(traffic)
    now = site.tasks()
    assert len(now) == replicas and len(was.keys() & now.keys()) == min(len(was), replicas)
    return said
