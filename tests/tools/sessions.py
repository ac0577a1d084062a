"""Sessions in a stack's database that are in the way of its tasks."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stacks import Checkout, eventually

DROP_ASIDE = r"""
select format('drop database %I with (force)', datname) from pg_database where datname ~ '@' \gexec
"""


class Session:
    """A psql of a person who is in the way."""

    def __init__(self, stack: Checkout) -> None:
        flags = ("--no-align", "--tuples-only", "--quiet")
        self.child = stack.start("psql", "--", *flags, stdin=subprocess.PIPE)

    def ask(self, script: str) -> str:
        """What a script prints."""
        assert self.child.stdin and self.child.stdout
        self.child.stdin.write(f"{script}\n\\echo over\n")
        self.child.stdin.flush()
        said = ""
        while (line := self.child.stdout.readline()) != "over\n":
            assert line, f"psql has ended: {self.child.communicate()[1]}"
            said += line
        return said.strip()

    def until(self, question: str) -> None:
        eventually(lambda: int(self.ask(question)) > 0, 20, question)

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self.child.communicate("", timeout=10)


@contextmanager
def session(stack: Checkout) -> Iterator[Session]:
    opened = Session(stack)
    try:
        yield opened
    finally:
        opened.end()
