"""Static files that templates name and git ignores, where manage.py is at the top."""

from pathlib import Path

import pytest

from djup.deploy import static_files
from djup.settings import layout as module
from djup.settings.layout import Layout

FILES = ("static/site.css", "templates/base.html")


def test_a_project_at_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what git has there, nor what a package in .venv has, is left out."""
    names = ("site.css", "admin/base.css", "built.js")
    page = "".join(f"{{% static '{name}' %}}" for name in names)
    for path, text in {
        "static/site.css": "",
        "templates/base.html": page,
        "static/built.js": "",
        ".venv/lib/django/static/admin/base.css": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for place in (static_files, module):
        monkeypatch.setattr(place, "ROOT", tmp_path)
    monkeypatch.setattr(static_files, "layout", lambda: Layout(project="."))
    monkeypatch.setattr(static_files, "listed", lambda _: list(FILES))
    assert static_files.left_out() == {"built.js": "templates/base.html"}
