"""`inv open`."""

import webbrowser

from ops import console, process


def show(url: str) -> None:
    """Print the URL and open it in the user's browser."""
    console.answer(url)
    if not process.mode.dry:
        webbrowser.open(url)
