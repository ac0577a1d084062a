"""What the web gets of `.env`, and what it gets besides."""

from pathlib import Path

import pytest

from djup.checkout import env, env_file, web_env
from djup.settings import dotenv
from djup.settings import layout as module
from djup.settings.layout import Layout

NEEDED = "COMPOSE_PROJECT_NAME=shop\nSECRET_KEY=key\nSQL_PASSWORD='p w'\n"
MORE = "MINE=\nMAIL=x # why\nPROD_MAIL=y\nDATABASE_URL=\nCSRF_TRUSTED_ORIGINS=\nDOMAIN=a.example\n"
NAMES = {
    "environment": {
        "DJANGO_SECRET_KEY": "SECRET_KEY",
        "DATABASE_URL": "DATABASE_URL",
        "DEBUG": "DEBUG_WORD",
        "POSTGRES_PASSWORD": "SQL_PASSWORD",
    }
}


def given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, layout: Layout
) -> dict[str, str]:
    """The variables of the file that compose/dev.yaml names."""
    (tmp_path / ".env").write_text(text)
    monkeypatch.setattr(env_file, "ENV", tmp_path / ".env")
    for user in (web_env, module):
        monkeypatch.setattr(user, "layout", lambda: layout)
    return dotenv.parse(web_env.text(env.settings_from(text)))


def test_no_empty_key_of_ours_and_none_of_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = given(tmp_path, monkeypatch, NEEDED + MORE, Layout())
    assert {key: found[key] for key in ("MINE", "MAIL", "DJUP")} == {
        **{"MINE": "", "MAIL": "x", "DJUP": "1"}
    }
    absent = {"DATABASE_URL", "CSRF_TRUSTED_ORIGINS", "PROD_MAIL", "DOMAIN"}
    assert absent.isdisjoint(found)


def test_what_the_settings_of_a_project_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(settings="config.settings.dev", **NAMES)
    found = given(tmp_path, monkeypatch, f"{NEEDED}{MORE}DEBUG=on\n", layout)
    assert found["DJANGO_SETTINGS_MODULE"] == "config.settings.dev"
    assert (found["DJANGO_SECRET_KEY"], found["POSTGRES_PASSWORD"]) == ("key", "p w")
    assert found["DATABASE_URL"] == "postgres://app:p%20w@db:5432/app"
    assert (found["DEBUG"], found[web_env.BY_KEYS]) == ("True", "1")


def test_a_database_elsewhere_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "postgresql://ann:x@db.example.org:5433/shop"
    text = f"{NEEDED}DATABASE_URL={url}\n".replace("SQL_PASSWORD='p w'", "SQL_PASSWORD=x")
    found = given(tmp_path, monkeypatch, text, Layout(**NAMES))
    assert found["DATABASE_URL"] == url and web_env.BY_KEYS not in found


def test_a_socket_is_named_as_libpq_does() -> None:
    from djup.settings import database_url

    values = {
        **{"SQL_USER": "app", "SQL_PASSWORD": "a/b", "SQL_DATABASE": "app"},
        **{"SQL_HOST": "/tmp/x y", "SQL_PORT": "5432"},
    }
    url = database_url.of(values)
    assert url == "postgres://app:a%2Fb@/app?host=%2Ftmp%2Fx%20y&port=5432"


def test_while_the_image_is_built_nothing_is_secret() -> None:
    layout = Layout(**NAMES, build_environment={"MAIL_KEY": "build"})
    assert web_env.for_build(layout) == {
        "DJANGO_SECRET_KEY": "build",
        "DATABASE_URL": "postgres://build:build@localhost:5432/build",
        "DEBUG": "False",
        "POSTGRES_PASSWORD": "build",
        "MAIL_KEY": "build",
    }
