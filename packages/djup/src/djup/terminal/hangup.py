"""What becomes of our words where nobody can read them any more."""

import os
import signal
import stat


def hear(signum: int) -> None:
    """Let go of a terminal that is gone, if this signal says so: a word to it would end us."""
    if signum == signal.SIGHUP:  # one that is gone is no tty any more
        let_go(*(s for s in (1, 2) if stat.S_ISCHR(os.fstat(s).st_mode)))


def let_go(*streams: int) -> None:
    """Have what is written to these file descriptors go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)
