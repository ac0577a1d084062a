"""`inv open`."""

import webbrowser

from djup.terminal import console
from djup.terminal.task import this_task


def show(url: str) -> None:
    """Print the URL and open it in the user's browser."""
    console.answer(url)
    if not this_task.dry:
        webbrowser.open(url)
