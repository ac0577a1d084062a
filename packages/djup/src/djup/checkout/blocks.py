"""The toolkit's block in a file of the user's, such as .gitignore: between two marked lines."""

import re

BEGIN = "# djup: begin. Upgrades replace what stands between these two lines."
END = "# djup: end"
BLOCK = re.compile(rf"(?ms)^{re.escape(BEGIN)}\r?\n(.*?)^{re.escape(END)}\r?$\n?")


def inside(text: str) -> str:
    """What stands in the block; the whole text where it has none."""
    found = find(text)
    return text if found is None else found


def find(text: str) -> str | None:
    """What stands in the block, with plain line ends; None where there is none."""
    match = BLOCK.search(text)
    return match[1].replace("\r\n", "\n") if match else None


def replaced(text: str, block: str) -> str:
    """The text with this in its block, which is added at the end where it has none."""
    marked = alike(text, f"{BEGIN}\n{block.rstrip()}\n{END}\n")
    if BLOCK.search(text):
        return BLOCK.sub(lambda _: marked, text, count=1)
    return appended(text, marked)


def appended(text: str, added: str) -> str:
    """The text with this at its end, after an empty line."""
    return text.rstrip() + alike(text, f"\n\n{added}") if text.strip() else added


def alike(text: str, added: str) -> str:
    """What is added to a text, with the line ends of that."""
    return re.sub(r"\r?\n", "\r\n", added) if "\r\n" in text else added


def outside(text: str) -> str:
    """What the user has around the block."""
    return BLOCK.sub("", text)
