"""The stack's own database ends or gets another password: the web outlives it."""

import pytest
from deployed import Site, one_node, three_nodes
from stacks import docker, eventually

PASSWORD = "another-password-0123456789-abcdefgh"


def test_the_database_is_killed_and_comes_back_by_itself(site: Site) -> None:
    replicas = site.tasks()
    with site.visited("the database is killed") as traffic:
        host, container = next((h, ids[0]) for h, ids in site.containers("db").items() if ids)
        docker("--host", host, "kill", container)
        eventually(lambda: bool(traffic.failed), 10, "visitors notice")
        eventually(lambda: traffic.calm_seconds() > 3, 60, "the site is well again")
    assert {answer.status for answer in traffic.failed} == {503}, traffic.in_words()
    assert all(answer.retry_after for answer in traffic.failed)
    assert traffic.longest_gap() < 30
    assert site.tasks() == replicas, "no container of the web was replaced"
    site.assert_nothing_lost()


@one_node
def test_another_password_of_the_database(site: Site) -> None:
    site.stack.set("SQL_PASSWORD", PASSWORD)
    with site.visited("another password of the database") as traffic:
        site.deploy("--allow-downtime")
    assert {answer.status for answer in traffic.failed} <= {503}, traffic.in_words()
    assert traffic.longest_gap() < 30
    site.assert_nothing_lost()


@three_nodes
@pytest.mark.fault("DEP13", "docker")
def test_a_password_that_a_killed_deploy_has_handed_over(site: Site) -> None:
    site.stack.set("PROD_SQL_PASSWORD", PASSWORD)
    assert "the container of the database is replaced" in site.refused("DEP13")
    site.sql(f"alter role current_user password '{PASSWORD}'")
    with site.visited("a password that was handed over already") as traffic:
        site.deploy("--allow-downtime")
    assert {answer.status for answer in traffic.failed} <= {503}, traffic.in_words()
    assert traffic.calm_seconds() > 0 and traffic.longest_gap() < 60
    site.assert_nothing_lost()
