"""Right after the first deploy; its name lets it come first."""

import pytest
from deployed import Site, one_node


@pytest.mark.fault("DEP19", "docker")
def test_there_is_no_release_to_go_back_to(site: Site) -> None:
    assert site.release() == 1
    site.refused("DEP19", "deploy.rollback")


@one_node
@pytest.mark.fault("DEP03", "docker")
def test_the_engine_becomes_a_swarm_only_if_asked(site: Site) -> None:
    if site.engines.in_a_swarm:
        pytest.skip("the engine was in a Swarm before")
    assert "error DEP03: " in site.said_before


@one_node
@pytest.mark.fault("DEP39", "docker")
def test_a_first_deploy_whose_page_fails_serves_nothing(site: Site) -> None:
    assert "the new version answers 500 for /. " in site.said_first
    assert "ZeroDivisionError" in site.said_first
    assert "This was the first release: no previous release to go back to." in site.said_first
    assert site.release() == 1, "the next one was the first again"
