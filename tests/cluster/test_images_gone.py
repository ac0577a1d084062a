"""Images that a prune of the engine has taken: found before anything is touched."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from deployed import Site, one_node
from stacks import docker

pytestmark = one_node


@contextmanager
def gone(image: str) -> Iterator[None]:
    """As after `docker system prune --all`, for those who look for the image by its name."""
    number = docker("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()
    holder = f"{image.replace(':', '-')}-held"  # or the last name would take the image along
    docker("image", "tag", number, holder)
    docker("image", "rm", "--force", image)
    try:
        yield
    finally:
        docker("image", "tag", number, image)
        docker("image", "rm", holder)


def image(site: Site) -> str:
    found = next(s for s in site.status()["services"] if s["name"] == f"{site.name}_web")
    return str(found["image"])


@pytest.mark.fault("DEP41", "docker")
@pytest.mark.fault("DEP42", "docker")
@pytest.mark.fault("DEP45", "docker")
@pytest.mark.fault("DEP49", "docker")
def test_the_image_of_what_serves_and_of_what_is_gone_back_to(site: Site) -> None:
    with site.taken_back():
        before, commit = image(site), site.git("rev-parse", "HEAD")[:12]
        site.show("Page after which images are gone")
        with gone(before):
            said = site.refused("DEP42")
            assert f"{before} is missing" in said and "inv deploy --local --allow-downtime" in said
            assert "DEP49" in site.stack.found_by_doctor()
            said = site.refused("DEP45", "deploy.manage", "--", "check")
            assert before in said and f"from commit {commit}: " in said
        site.deploy()
        tasks, release = site.tasks(), site.release()
        with gone(before):
            said = site.refused("DEP41", "deploy.rollback")
            assert before in said and f"git switch --detach {commit} && " in said
            assert "DEP49" in site.stack.found_by_doctor()
        assert site.tasks() == tasks and site.release() == release
