"""The pictures of the manual, made from real commands in a throw-away clone: run it again any time.

    .venv/bin/python docs/pictures/make.py [--folder shop] [--port 8000] [NAME ...]

It needs Docker and, for the pages, Chromium. A name is that of a picture; without one all are made
but `deploy`: for that this machine's engine is a Swarm of one node meanwhile, if it is in none.
Nothing of the clone stays. `parts.svg` is drawn by hand.
"""

import argparse
import contextlib
import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLUMNS, ROWS = 96, 60
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
WIDTH, HEIGHT, PAD, BAR = 8.4, 19, 16, 30  # of a cell, of the frame, of its title bar
BACKGROUND, PLAIN, DIM = "#161b22", "#e6edf3", "#8b949e"
COLOURS = ("#484f58", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#e6edf3")
ADMIN = {"ADMIN_USER": "ann", "ADMIN_PASSWORD": "a-long-phrase", "ADMIN_EMAIL": "ann@example.org"}
NAMES = ("up", "page", "admin", "error", "doctor")


# A terminal, as far as the commands use one.


@dataclass(frozen=True)
class Style:
    """How a cell is shown: a colour by its number, or none; bold; dim."""

    colour: int | None = None
    bold: bool = False
    dim: bool = False

    def with_codes(self, codes: Sequence[int]) -> "Style":
        """The style after an SGR sequence."""
        style = self
        for code in codes or [0]:
            if code == 0:
                style = Style()
            elif code in (1, 2):
                style = replace(style, bold=code == 1, dim=code == 2)
            elif code == 22:
                style = replace(style, bold=False, dim=False)
            elif 30 <= code <= 37 or 90 <= code <= 97:
                style = replace(style, colour=code % 10)
            elif code == 39:
                style = replace(style, colour=None)
        return style


Cell = tuple[str, Style]


class Screen:
    """The lines of a terminal after some output: it scrolls without an end, and wraps no line."""

    def __init__(self) -> None:
        self.lines: list[dict[int, Cell]] = [{}]
        self.row = self.column = 0
        self.style = Style()

    def feed(self, text: str) -> None:
        """Take what a program has written."""
        for match in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b.|([\s\S])", text):
            parameters, verb, letter = match.groups()
            if letter:
                self._put(letter)
            elif verb:
                self._control(parameters, verb)

    def _put(self, letter: str) -> None:
        if letter == "\n":
            self._move_to(self.row + 1)
        elif letter == "\r":
            self.column = 0
        elif letter >= " ":
            self.lines[self.row][self.column] = (letter, self.style)
            self.column += 1

    def _control(self, parameters: str, verb: str) -> None:
        numbers = [int(number) for number in parameters.split(";") if number.isdigit()]
        count = numbers[0] if numbers else 1
        if verb == "m":
            self.style = self.style.with_codes(numbers)
        elif verb in "AB":
            self._move_to(max(0, self.row + (count if verb == "B" else -count)))
        elif verb == "G":
            self.column = max(0, count - 1)
        elif verb == "K":
            line = self.lines[self.row]
            self.lines[self.row] = {n: cell for n, cell in line.items() if n < self.column}
        elif verb == "J":
            del self.lines[self.row + 1 :]

    def _move_to(self, row: int) -> None:
        self.row = row
        self.lines.extend({} for _ in range(row + 1 - len(self.lines)))

    def cells(self) -> list[list[Cell]]:
        """Each line as its cells, without the empty lines at the end."""
        blank = (" ", Style())
        rows = [
            [line.get(column, blank) for column in range(max(line, default=-1) + 1)]
            for line in self.lines
        ]
        while rows and not _text(rows[-1]).strip():
            rows.pop()
        return rows


def _text(row: Sequence[Cell]) -> str:
    return "".join(letter for letter, _ in row)


def typed(command: str) -> list[Cell]:
    """The line in which a person types a command."""
    prompt = [(letter, Style(colour=2)) for letter in "$ "]
    return prompt + [(letter, Style(bold=True)) for letter in command]


def captured(command: str, folder: Path) -> list[list[Cell]]:
    """What a command shows on a terminal, and before it the line that calls it."""
    child, descriptor = pty.fork()
    if not child:
        os.chdir(folder)
        environment = {**os.environ, "TERM": "xterm-256color", "BUILDKIT_PROGRESS": "auto"}
        os.execvpe("./inv", command.split(), environment)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    said = bytearray()
    with contextlib.suppress(OSError):  # its end
        while piece := os.read(descriptor, 65536):
            said += piece
    os.waitpid(child, 0)
    screen = Screen()
    screen.feed(said.decode())
    return [typed(command), *screen.cells()]


# Pictures of it.


def as_svg(rows: Sequence[Sequence[Cell]], title: str) -> str:
    """A terminal window with these lines, as SVG: readable on a light page and on a dark one."""
    lines = list(_wrapped(rows))
    width, height = round(COLUMNS * WIDTH + 2 * PAD), BAR + len(lines) * HEIGHT + PAD
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{html.escape(title)}" font-family="{FONT}" font-size="14">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
        *(f'<circle cx="{x}" cy="15" r="5" fill="#484f58"/>' for x in (18, 36, 54)),
    ]
    for number, row in enumerate(lines):
        y = BAR + (number + 0.75) * HEIGHT
        drawn += [_run(PAD + start * WIDTH, y, text, style) for start, text, style in _runs(row)]
    return "\n".join((*drawn, "</svg>", ""))


def _wrapped(rows: Sequence[Sequence[Cell]]) -> Iterator[Sequence[Cell]]:
    """The lines as a terminal of that many columns breaks them."""
    for row in rows:
        for start in range(0, max(1, len(row)), COLUMNS):
            yield row[start : start + COLUMNS]


def _runs(row: Sequence[Cell]) -> Iterator[tuple[int, str, Style]]:
    """Words of one style, and the column where each of these runs begins: SVG joins spaces."""
    for match in re.finditer(r"\S+(?: \S+)*", _text(row)):
        start, last = match.span()
        for end in range(start + 1, last + 1):
            if end == last or row[end][1] != row[start][1]:
                yield start, _text(row[start:end]), row[start][1]
                start = end


def _run(x: float, y: float, text: str, style: Style) -> str:
    indent = len(text) - len(text.lstrip())
    text = text.strip()
    colour = DIM if style.dim else PLAIN if style.colour is None else COLOURS[style.colour]
    weight = ' font-weight="bold"' if style.bold else ""
    place = f'x="{x + indent * WIDTH:.1f}" y="{y:.1f}" textLength="{len(text) * WIDTH:.1f}"'
    return f'<text {place} fill="{colour}"{weight}>{html.escape(text, quote=False)}</text>'


def without_steps(rows: Sequence[list[Cell]]) -> list[list[Cell]]:
    """The lines with an ellipsis for steps of a build and migrations, of which there are many."""
    kept: list[list[Cell]] = []
    for row in rows:
        if not _text(row).startswith((" => ", "  Applying ")):
            kept.append(row)
        elif kept[-1] != _ELLIPSIS:
            kept.append(_ELLIPSIS)
    return kept


def cut(rows: Sequence[list[Cell]]) -> list[list[Cell]]:
    """The lines with an ellipsis for the end of a command that is too long for one line."""
    return [
        [*row[: COLUMNS - 4], *_ELLIPSIS[1:]] if len(row) > COLUMNS and row[0][1].dim else row
        for row in rows
    ]


_ELLIPSIS: list[Cell] = [(letter, Style(dim=True)) for letter in "  ..."]


class Clone:
    """A clone of this repository, with a stack of its own, that is gone at the end."""

    def __init__(self, folder: Path, port: int) -> None:
        self.root, self.port = folder, port
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        example = folder / ".env.example"
        example.write_text(example.read_text().replace("WEB_PORT=8000", f"WEB_PORT={port}"))
        author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        argv = ["git", *author, "commit", "--all", "--quiet", "--allow-empty", "--message", "Port"]
        subprocess.run(argv, cwd=folder, check=True)

    def setting(self, key: str) -> str:
        """The value of a key in its .env."""
        found = re.search(rf"(?m)^{key}=(.*)$", (self.root / ".env").read_text())
        return found[1] if found else ""

    def set(self, values: dict[str, str]) -> None:
        """Edit its .env as a person would."""
        file = self.root / ".env"
        text = file.read_text()
        for key, value in values.items():
            text = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", text)
        file.write_text(text)

    def inv(self, *words: str, stdin: str = "") -> None:
        """Run a task that is not in a picture."""
        argv = ["./inv", *words]
        subprocess.run(argv, cwd=self.root, check=True, input=stdin, text=True, capture_output=True)

    def neutral(self, rows: Sequence[list[Cell]]) -> list[list[Cell]]:
        """The lines with names that any machine may have: the project, its port, folder, owner."""
        names = {
            str(self.root): "~/shop",
            self.setting("COMPOSE_PROJECT_NAME"): "shop",
            self.root.name: "shop",
            self.setting("WEB_PORT"): "8000",
            "belong to root": "belong to ann",
            "0, who owns this folder": "1000, who owns this folder",
        }
        kept = [row for row in rows if not _text(row).startswith("this folder belongs to root")]
        return [_renamed(row, names) for row in kept]

    def remove(self) -> None:
        """Take the stack and the folder away."""
        if (self.root / ".env").exists():
            self.inv("nuke", "--yes", "--no-backup")
        shutil.rmtree(self.root, ignore_errors=True)


def _renamed(row: list[Cell], names: Mapping[str, str]) -> list[Cell]:
    """A line with other names; what stands further right in its column stays there."""
    for old, new in names.items():
        at = _text(row).find(old) if old else -1
        while at >= 0 and not _text(row).startswith(new, at):
            head, style, tail = row[:at], row[at][1], row[at + len(old) :]
            gap = re.search(r"  +(?=\S)", _text(tail))
            if gap and len(old) > len(new) and "://" not in _text(row):
                tail[gap.start() : gap.start()] = [(" ", style)] * (len(old) - len(new))
            row = [*head, *((letter, style) for letter in new), *tail]
            at = _text(row).find(old, at + len(new))
    return row


# What is shown.


def sessions(clone: Clone, wanted: Collection[str]) -> Iterator[tuple[str, list[list[Cell]]]]:
    """Each session of a terminal by the name of its picture, and meanwhile those of the pages."""
    first = without_steps(captured("./inv up", clone.root))
    yield "up", [*first, [], *captured("./inv status", clone.root)]
    if {"page", "admin"} & set(wanted):
        pages(clone)
    if {"error", "doctor"} & set(wanted):
        password = clone.setting("SQL_PASSWORD")
        clone.set({"SQL_PASSWORD": "another-password"})
        yield "error", captured("./inv up", clone.root)
        yield "doctor", captured("./inv doctor", clone.root)
        clone.set({"SQL_PASSWORD": password})
    if "deploy" in wanted:
        with swarm():
            try:
                yield "deploy", without_steps(captured("./inv deploy --local --yes", clone.root))
            finally:
                remove_deployed(clone)


@contextlib.contextmanager
def swarm() -> Iterator[None]:
    """The engine may be a Swarm meanwhile: it leaves that at the end, unless it was one before."""
    before = asked("info", "--format", "{{.Swarm.LocalNodeState}}")
    try:
        yield
    finally:
        if before == ["inactive"]:
            asked("swarm", "leave", "--force")


def remove_deployed(clone: Clone) -> None:
    """Take away the trial deploy with its volumes, which deploy.down keeps, and its images."""
    stack = clone.setting("COMPOSE_PROJECT_NAME") + "-local"
    assert stack != "-local"
    clone.inv("deploy.down", "--local")
    own = ("--quiet", "--filter", f"label=com.docker.stack.namespace={stack}")
    for _ in range(30):  # until its containers are gone, which hold them
        for volume in asked("volume", "ls", *own):
            asked("volume", "rm", "--force", volume)
        if not asked("volume", "ls", *own):
            break
        time.sleep(1)
    for label in (f"db.{stack}", f"proxy.{stack}"):
        asked("node", "update", "--label-rm", label, *asked("node", "ls", "--quiet"))
    for image in asked("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{stack}-web"):
        asked("image", "rm", "--force", image)


def asked(*words: str) -> list[str]:
    """The lines that docker answers."""
    return subprocess.run(["docker", *words], capture_output=True, text=True).stdout.split()


def pages(clone: Clone) -> None:
    """The page and the admin, in Chromium."""
    from playwright.sync_api import sync_playwright

    clone.set(ADMIN)
    clone.inv("up")
    clone.inv("db.seed", "--admin")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=sandbox)
        page = browser.new_page(
            viewport={"width": 840, "height": 520},
            base_url=f"http://127.0.0.1:{clone.setting('WEB_PORT')}",
        )
        page.goto("/")
        page.screenshot(path=HERE / "page.png")
        page.goto("/admin/notes/note/")
        page.get_by_label("Username").fill(ADMIN["ADMIN_USER"])
        page.get_by_label("Password").fill(ADMIN["ADMIN_PASSWORD"])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_load_state("networkidle")
        page.screenshot(path=HERE / "admin.png")
        browser.close()


def main() -> None:
    """Make every picture that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", default="shop", help="name of the clone, and of its stack")
    parser.add_argument("--port", type=int, default=8000, help="the first port that may be used")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} or deploy")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        clone = Clone(Path(made) / options.folder, options.port)
        try:
            wanted = options.names or NAMES
            for name, rows in sessions(clone, wanted):
                if name not in wanted:
                    continue
                picture = HERE / f"{name}.svg"
                shown = clone.neutral(rows)
                shown = cut(shown) if name == "deploy" else shown
                picture.write_text(as_svg(shown, f"inv {name} in a terminal"))
                print(picture.relative_to(ROOT), picture.stat().st_size, file=sys.stderr)
        finally:
            clone.remove()


if __name__ == "__main__":
    main()
