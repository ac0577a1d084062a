"""Asks for pages as a visitor would, follows redirects, and prints what each answers, as JSON.

Run by Python in a container of the stack, from stdin, with a JSON object: the `paths`, the `host`
of the site as a visitor has it, the `address` and `port` to ask, and whether to speak `tls`. The
certificate may be one that nobody trusts, as on a trial: it is not checked.
"""

import http.client
import json
import socket
import ssl
import sys
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

TRIES, PAUSE_SECONDS, PAGE_SECONDS, STEPS = 3, 1, 30, 5
ANSWERED = 500  # below that, somebody has meant what is answered


def connection(asked: dict[str, Any]) -> http.client.HTTPConnection:
    """A new one; by TLS it is led to the address, whatever the host's name leads to."""
    address, port, name = asked["address"], asked["port"], asked["host"].partition(":")[0]
    found = http.client.HTTPConnection(address, port, timeout=PAGE_SECONDS)
    found.sock = socket.create_connection((address, port), timeout=PAGE_SECONDS)
    if asked["tls"]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        found.sock = context.wrap_socket(found.sock, server_hostname=name)
    return found


def headers(asked: dict[str, Any]) -> dict[str, str]:
    """A browser's; past the proxy, also those that it gives."""
    plain = {"Host": asked["host"], "User-Agent": "inv deploy", "Accept": "text/html,*/*"}
    proxied = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    return plain if asked["tls"] else plain | proxied


def status(asked: dict[str, Any], path: str) -> tuple[int, str]:
    """Ask for one page: the status, and where a redirect leads to."""
    link = connection(asked)
    try:
        link.request("GET", path, headers=headers(asked))
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.getheader("Location", "")
    finally:
        link.close()


def visit(asked: dict[str, Any], path: str) -> str:
    """The status in the end, with the path that it was at if that is another."""
    at = path
    for _ in range(STEPS):
        try:
            found, leads = status(asked, at)
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({type(error).__name__}: {error})"
        target = urlsplit(urljoin(f"https://{asked['host']}{at}", leads))
        if not (300 <= found < 400 and leads and target.netloc == asked["host"]):
            break
        at = f"{target.path or '/'}?{target.query}".rstrip("?")
    return str(found) if at == path else f"{found} (at {at})"


def is_well(answer: str) -> bool:
    """Whether an answer is a page, a refusal, or that there is none."""
    return answer[:3].isdigit() and int(answer[:3]) < ANSWERED


def patiently(asked: dict[str, Any], path: str) -> str:
    """The first good answer of some tries, or the last one."""
    for _ in range(TRIES - 1):
        if is_well(answer := visit(asked, path)):
            return answer
        time.sleep(PAUSE_SECONDS)
    return visit(asked, path)


def main(asked: dict[str, Any]) -> None:
    """Ask for every page that argv names, and print the answers as JSON."""
    print(json.dumps({path: patiently(asked, path) for path in asked["paths"]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
