"""What visitors do meanwhile: they read pages and write notes, and keep count of every answer.

Bounded in number and time, so that a test that fails leaves nothing that goes on.
"""

import http.client
import itertools
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

CONNECT_SECONDS = 2.0  # then the next address is tried, as browsers do
ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 0.15
MOST_REQUESTS, MOST_SECONDS = 20_000, 1200.0
WRITER = "writer"
NAME = re.compile(r"<h1>(.*?)</h1>")
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True)
class Place:
    """Where the site is: its name, its port, and the addresses that the name has."""

    name: str
    port: int
    addresses: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """One answer, or the lack of it (status 0, and why): by which visitor, when (monotonic), what
    the heading of the page said, and what `Retry-After` said."""

    visitor: str
    began: float
    ended: float
    status: int
    heading: str = ""
    retry_after: str = ""
    error: str = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 400


class Connection(http.client.HTTPSConnection):
    """Through the first address that can be connected to; nobody's certificate is looked at."""

    def __init__(self, place: Place, addresses: Sequence[str]) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        super().__init__(place.name, place.port, timeout=ANSWER_SECONDS, context=context)
        self.place, self.addresses, self.tls = place, addresses, context

    def connect(self) -> None:
        *others, last = self.addresses
        for address in others:
            with suppress(OSError):
                self.sock = self._encrypted(address, CONNECT_SECONDS)
                return
        self.sock = self._encrypted(last, ANSWER_SECONDS)

    def _encrypted(self, address: str, seconds: float) -> ssl.SSLSocket:
        plain = socket.create_connection((address, self.place.port), timeout=seconds)
        try:
            encrypted = self.tls.wrap_socket(plain, server_hostname=self.place.name)
        except OSError:
            plain.close()
            raise
        encrypted.settimeout(ANSWER_SECONDS)
        return encrypted


class Visitor:
    """Requests one after another, each over a new connection, or all over one that is kept."""

    def __init__(self, place: Place, name: str, *, keeps: bool = False, first: int = 0) -> None:
        self.place, self.name, self.keeps = place, name, keeps
        self.turns = itertools.count(first)
        self.connection: Connection | None = None
        self.cookies: dict[str, str] = {}
        self.again = 0  # how often a kept connection was closed, and the request sent anew

    def get(self, path: str = "/") -> tuple[Answer, str]:
        """The answer and the body."""
        return self.ask("GET", path)

    def post(self, path: str, **form: str) -> tuple[Answer, str]:
        return self.ask("POST", path, urllib.parse.urlencode(form))

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[Answer, str]:
        began = time.monotonic()
        try:
            response, text = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.leave()
            why = f"{type(error).__name__}: {error}"
            return Answer(self.name, began, time.monotonic(), 0, error=why), ""
        found = NAME.search(text)
        return Answer(
            self.name,
            began,
            time.monotonic(),
            response.status,
            found[1] if found else "",
            response.getheader("Retry-After", ""),
        ), text

    def leave(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None

    def token(self, path: str) -> str:
        """The token of a page's form; '' where there is none."""
        found = TOKEN.search(self.get(path)[1])
        return found[1] if found else ""

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        was_kept = self.connection is not None
        try:
            return self._once(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.leave()
            # Closed while it was idle: a browser sends such a GET anew.
            if not was_kept or method != "GET":
                raise
            self.again += 1
            return self._once(method, path, body, headers)

    def _once(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        if self.connection is None:
            self.connection = Connection(self.place, self._in_turn())
        self.connection.request(method, path, body, self._headers(body) | headers)
        response = self.connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        self._take_cookies(response)
        if not self.keeps:
            self.leave()
        return response, text

    def _in_turn(self) -> list[str]:
        addresses = list(self.place.addresses)
        first = next(self.turns) % len(addresses)
        return addresses[first:] + addresses[:first]

    def _headers(self, body: str | None) -> dict[str, str]:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        found = {"Cookie": pairs} if pairs else {}
        if body is not None:
            port = "" if self.place.port == 443 else f":{self.place.port}"
            found["Origin"] = f"https://{self.place.name}{port}"
            found["Content-Type"] = "application/x-www-form-urlencoded"
        return found

    def _take_cookies(self, response: http.client.HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value


@dataclass
class Traffic:
    """What visitors got while something was done; `written` are the notes that were accepted."""

    answers: list[Answer] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    again: int = 0

    @property
    def failed(self) -> list[Answer]:
        return [one for one in self.answers if not one.good]

    @property
    def headings(self) -> list[str]:
        """Of the pages that were read, in the order of their requests."""
        read = [a for a in self.answers if a.heading and a.visitor != WRITER]
        return [answer.heading for answer in sorted(read, key=lambda answer: answer.began)]

    def longest_gap(self, *visitors: str) -> float:
        """Seconds that a visitor (of those named, or of all) was without a good answer, at most."""
        names = visitors or {answer.visitor for answer in self.answers}
        return max(self._gap(name) for name in names)

    def _gap(self, visitor: str) -> float:
        good = [a.ended for a in self.answers if a.visitor == visitor and a.good]
        times = [self.began, *good, self.ended]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def calm_seconds(self) -> float:
        """How long the good answers have gone on since the last request that failed was begun, or
        since the beginning: a site that answers nobody is not calm."""
        since = max((a.began for a in self.failed), default=self.began)
        good = (a.ended for a in self.answers if a.good and a.began > since)
        return max(good, default=since) - since

    def in_words(self) -> str:
        statuses = Counter(a.status or a.error for a in self.failed)
        bad = "; ".join(f"{count} x {what}" for what, count in statuses.items()) or "none"
        return (
            f"{self.ended - self.began:.0f} s, {len(self.answers)} requests, "
            f"{len(self.written)} notes written, failed: {bad}, "
            f"longest gap {self.longest_gap():.1f} s"
        )


@contextmanager
def visitors(place: Place, prefix: str) -> Iterator[Traffic]:
    """Visitors for as long as this lasts: two with new connections, one with a kept one, and one
    who writes notes, each of which begins with `prefix`."""
    traffic, stop = Traffic(began=time.monotonic()), threading.Event()
    people = [
        Visitor(place, "new 1"),
        Visitor(place, "new 2", first=1),
        Visitor(place, "kept", keeps=True, first=2),
    ]
    acts = [_reading(visitor) for visitor in people]
    writer = Visitor(place, WRITER)
    acts.append(_writing(writer, prefix, traffic.written))
    threads = [threading.Thread(target=_go_on, args=(act, traffic, stop)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        traffic.ended = time.monotonic()
        traffic.again = sum(visitor.again for visitor in people)


def _go_on(act: Callable[[], Answer], traffic: Traffic, stop: threading.Event) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    for _ in range(MOST_REQUESTS):
        if stop.is_set() or time.monotonic() > deadline:
            return
        traffic.answers.append(act())
        stop.wait(PAUSE_SECONDS)


def _reading(visitor: Visitor) -> Callable[[], Answer]:
    return lambda: visitor.get()[0]


def _writing(writer: Visitor, prefix: str, written: list[str]) -> Callable[[], Answer]:
    numbers, tokens = itertools.count(1), list[str]()

    def act() -> Answer:
        if not tokens:
            answer, text = writer.get("/notes/")
            tokens.extend(TOKEN.findall(text)[:1])
            return answer
        note = f"{prefix} {next(numbers)}"
        answer, _ = writer.post("/notes/", text=note, csrfmiddlewaretoken=tokens[0])
        if answer.status == 302:
            written.append(note)
        return answer

    return act
