"""The manual in the wheel: its links lead to pages that are there."""

import re

import pytest

from djup.project import manual

PAGES = manual.pages()
PATHS = ("docs/README.md", "docs/how-to/deploy.md")


@pytest.mark.parametrize(
    ("text", "bundled"),
    [
        ("See [deploy](how-to/deploy.md#logs).\n", "See [deploy](how-to/deploy.md#logs).\n"),
        ("See [figures](../bench/README.md#a).\n", "See figures.\n"),
        ("[Django](https://www.djangoproject.com/), [here](#a)\n",) * 2,
        ("One.\n\n![A page](pictures/page.png)\n\nTwo.\n", "One.\n\nTwo.\n"),
        ("| a | [b](how-to/test-djup.md) |\n| c | d |\n", "| c | d |\n"),
    ],
)
def test_a_page(text: str, bundled: str) -> None:
    assert manual.bundled(text, "docs/README.md", PATHS) == bundled


def test_there_are_pages_and_none_about_the_suites_of_djup() -> None:
    assert {"README.md", "docs/problems.md", "docs/how-to/deploy.md"} < set(PAGES)
    assert not [path for path in PAGES if path.endswith(manual.OWN)]


@pytest.mark.parametrize("path", PAGES)
def test_each_link_of_a_page_leads_to_another(path: str) -> None:
    links = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", PAGES[path])
    assert [link for link in links if manual._target(path, link) not in PAGES] == []
