"""The toolkit's block in a file of the user's, such as .gitignore: between two marked lines."""

import re

BEGIN = "# djup: begin. Upgrades replace what stands between these two lines."
END = "# djup: end"
BLOCK = re.compile(rf"(?ms)^{re.escape(BEGIN)}\r?\n(.*?)^{re.escape(END)}$\r?\n?")


def inside(text: str) -> str:
    """What stands in the block; the whole text where it has none."""
    match = BLOCK.search(text)
    return match[1] if match else text


def find(text: str) -> str | None:
    """What stands in the block; None where there is none."""
    match = BLOCK.search(text)
    return match[1] if match else None


def replaced(text: str, block: str) -> str:
    """The text with this in its block, which is added at the end where it has none."""
    marked = f"{BEGIN}\n{block.rstrip()}\n{END}\n"
    if BLOCK.search(text):
        return BLOCK.sub(lambda _: marked, text, count=1)
    return f"{text.rstrip()}\n\n{marked}" if text.strip() else marked


def outside(text: str) -> str:
    """What the user has around the block."""
    return BLOCK.sub("", text)
