"""`inv open`."""

import webbrowser

from djup.host import process
from djup.terminal import console


def show(url: str) -> None:
    """Print the URL and open it in the user's browser."""
    console.answer(url)
    if not process.mode.dry:
        webbrowser.open(url)
