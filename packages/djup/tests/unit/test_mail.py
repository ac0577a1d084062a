"""The mails of development, and what a deploy says of mail."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from releases import made

from djup.deploy import mail as deployed
from djup.problems import Problem
from djup.stack import mail
from djup.stack.stack import Stack

LINE = "-" * 79
FIRST = f"""\
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
From: shop@example.org
To: ann@example.org
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

F=C3=BCr \x1b[31mAnn
{LINE}
Subject: second
To: bob@example.org
Content-Type: text/html; charset="nobody-knows"

<p>Hello</p>
{LINE}
"""


def stack(folder: Path | None, page: str = "", url: str = "") -> Stack:
    made = SimpleNamespace(
        settings=SimpleNamespace(values={"EMAIL_URL": url}),
        mail_folder=lambda: folder,
        mail_page=lambda: page,
    )
    return cast("Stack", made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.log").write_bytes(FIRST.encode())
    (tmp_path / "a.log").write_bytes(b"Subject: third\n\nlatest\n")
    os.utime(tmp_path / "b.log", (1, 1))
    return tmp_path


def test_they_are_listed_by_age(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mail.run(stack(folder), "")
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["N", "DATE", "TO", "SUBJECT"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    assert "ann@example.org" in rows[0] and "Grüße" in rows[0] and "third" in rows[2]


def test_one_is_shown_decoded_and_commands_no_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mail.run(stack(folder), "1")
    said = capsys.readouterr().out
    assert "Subject: Grüße\nFrom: shop@example.org\nTo: ann@example.org\n" in said
    assert "Für [31mAnn" in said and "\x1b" not in said
    mail.run(stack(folder), "2")
    assert "cannot be decoded" in capsys.readouterr().out or "Hello" in said


@pytest.mark.parametrize(("show", "code"), [("4", "TASK14"), ("0", "TASK14"), ("x", "TASK06")])
def test_a_number_that_no_mail_has(folder: Path, show: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        mail.run(stack(folder), show)
    assert caught.value.code == code


def test_where_they_are_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "smtp+tls://ann:secret@smtp.example.org:587"
    mail.run(stack(tmp_path / "none"), "")
    mail.run(stack(None, page="http://127.0.0.1:8025/"), "")
    mail.run(stack(None, page="http://127.0.0.1:8025/", url=secret), "")
    mail.run(stack(None), "")
    none, page, url, log = capsys.readouterr().out.splitlines()
    assert none.startswith("no mail in ")
    assert page == "http://127.0.0.1:8025/"
    assert url.endswith("sends mail to smtp.example.org")
    assert "inv logs --service web" in log and "inv service.add mail" in log


def said(**keys: str) -> Iterator[str]:
    return deployed.lacks(made(**keys), "PROD_")


def test_a_deploy_without_mail_is_warned_of() -> None:
    [warning] = said(EMAIL_URL="smtp://mail:1025")  # of development
    assert "without PROD_EMAIL_URL no mail is sent" in warning
    [warning] = said(PROD_EMAIL_URL="smtp://mail.example.org")
    assert "webmaster@localhost" in warning
    assert not [*said(PROD_EMAIL_URL="smtp://mail", DEFAULT_FROM_EMAIL="a@example.org")]


def test_the_server_is_in_the_secret_alone() -> None:
    found: Any = made(PROD_EMAIL_URL="smtp://ann:hidden@mail", ADMINS="a@b.org", EMAIL_URL="x")
    assert '"EMAIL_URL": "smtp://ann:hidden@mail"' in found.secrets["settings"]
    assert '"ADMINS": "a@b.org"' in found.secrets["settings"]
    assert "hidden" not in str(found.values) and "hidden" not in repr(found)


def test_settings_with_a_provider_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.py").write_text('EMAIL_BACKEND = "anymail.x"\n')
    here = SimpleNamespace(folder=tmp_path, production_module="config.settings")
    monkeypatch.setattr(deployed, "layout", lambda: here)
    assert not [*said()]
