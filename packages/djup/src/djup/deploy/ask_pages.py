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


def connection(request: dict[str, Any]) -> http.client.HTTPConnection:
    """A new one; by TLS it is led to the address, whatever the host's name leads to."""
    address, port, name = request["address"], request["port"], request["host"].partition(":")[0]
    link = http.client.HTTPConnection(address, port, timeout=PAGE_SECONDS)
    link.sock = socket.create_connection((address, port), timeout=PAGE_SECONDS)
    if request["tls"]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link.sock = context.wrap_socket(link.sock, server_hostname=name)
    return link


def headers(request: dict[str, Any]) -> dict[str, str]:
    """A browser's; past the proxy, also those that it gives."""
    plain = {"Host": request["host"], "User-Agent": "inv deploy", "Accept": "text/html,*/*"}
    proxied = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"}
    return plain if request["tls"] else plain | proxied


def status(request: dict[str, Any], path: str) -> tuple[int, str]:
    """Ask for one page: the status, and where a redirect leads to."""
    link = connection(request)
    try:
        link.request("GET", path, headers=headers(request))
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.getheader("Location", "")
    finally:
        link.close()


def visit(request: dict[str, Any], path: str) -> str:
    """The status in the end, with the path that it was at if that is another."""
    at = path
    for _ in range(STEPS):
        try:
            code, location = status(request, at)
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({type(error).__name__}: {error})"
        target = urlsplit(urljoin(f"https://{request['host']}{at}", location))
        if not (300 <= code < 400 and location and target.netloc == request["host"]):
            break
        at = f"{target.path or '/'}?{target.query}".rstrip("?")
    return str(code) if at == path else f"{code} (at {at})"


def is_well(answer: str) -> bool:
    """Whether an answer is a page, a refusal, or that there is none."""
    return answer[:3].isdigit() and int(answer[:3]) < ANSWERED


def patiently(request: dict[str, Any], path: str) -> str:
    """The first good answer of some tries, or the last one."""
    for _ in range(TRIES - 1):
        if is_well(answer := visit(request, path)):
            return answer
        time.sleep(PAUSE_SECONDS)
    return visit(request, path)


def main(request: dict[str, Any]) -> None:
    """Ask for every page that argv names, and print the answers as JSON."""
    print(json.dumps({path: patiently(request, path) for path in request["paths"]}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
