"""The mails that development sends: on a page, in the log, or in files, which are listed here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from djup import IS_ADOPTED
from djup.problems import problem
from djup.stack.stack import Stack
from djup.terminal import console, options

FILES = "filemail://"
TO_SEE = "To see them on a page: inv service.add mail, then inv up"
BETWEEN = b"\n" + b"-" * 79 + b"\n"  # as Django's backend has it
SHOWN = 50


@dataclass(frozen=True)
class Mail:
    """A mail that was written into a file."""

    date: datetime
    message: EmailMessage

    def header(self, name: str) -> str:
        """A header, decoded, on one line."""
        return " ".join(_plain(str(self.message.get(name, ""))).split())

    @property
    def text(self) -> str:
        """The text, or the HTML of one without text."""
        body = self.message.get_body(("plain", "html"))
        try:
            return _plain(str(body.get_content())) if body else ""
        except (LookupError, ValueError):  # a charset that nobody knows
            return "(the text cannot be decoded)"


def run(stack: Stack, show: str) -> None:
    """Say where the mails are; list those in files, or show the one with a number."""
    folder = folder_of(stack)
    if folder is None:
        console.answer(console.as_typed(where(stack)))
        return
    mails = read(folder)
    if show:
        console.answer(_whole(_numbered(mails, show)))
    else:
        console.answer(_listed(mails) if mails else f"no mail in {folder} yet")


def folder_of(stack: Stack) -> Path | None:
    """The folder that mails are written into, where that is what happens to them."""
    if url := stack.settings.values["EMAIL_URL"]:
        return Path(unquote(url.removeprefix(FILES))) if url.startswith(FILES) else None
    return stack.mail_folder()


def where(stack: Stack) -> str:
    """Where mails go that are not in files: a URL, or a sentence."""
    if url := stack.settings.values["EMAIL_URL"]:
        return f"EMAIL_URL in .env sends mail to {_server(url)}"
    if page := stack.mail_page():
        return page
    if IS_ADOPTED:
        return f"the project's own settings say where mail goes. {TO_SEE}"
    return f"mails are in the log: inv logs --service web. {TO_SEE}"


def read(folder: Path) -> list[Mail]:
    """The mails in a folder, the oldest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    files = sorted(found, key=lambda file: (file.stat().st_mtime, file.name))
    return [mail for file in files for mail in _of_file(file)]


def _of_file(file: Path) -> list[Mail]:
    date = datetime.fromtimestamp(file.stat().st_mtime)
    parts = [part for part in file.read_bytes().split(BETWEEN) if part.strip()]
    return [Mail(date, message_from_bytes(part, policy=policy.default)) for part in parts]


def _numbered(mails: Sequence[Mail], show: str) -> Mail:
    number = int(options.number("--show", show, "1"))
    if 0 < number <= len(mails):
        return mails[number - 1]
    raise problem("TASK14", number=number, count=len(mails))


def _listed(mails: Sequence[Mail]) -> str:
    rows = [
        (str(number), f"{mail.date:%Y-%m-%d %H:%M}", mail.header("To"), mail.header("Subject"))
        for number, mail in enumerate(mails, 1)
    ]
    return console.table(("N", "DATE", "TO", "SUBJECT"), rows[-SHOWN:])


def _whole(mail: Mail) -> str:
    heads = [f"{name}: {mail.header(name)}" for name in ("Subject", "From", "To", "Date")]
    return "\n".join([*heads, "", mail.text.rstrip()])


def _server(url: str) -> str:
    """The server of a URL, without what may be a password."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "no server"
    except ValueError:
        return "a server that cannot be read"


def _plain(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
