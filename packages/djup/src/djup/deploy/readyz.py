"""Asks every proxy of the stack for /readyz, as a browser would; prints what each answers.

Run by Python in a container of the stack, from stdin, with NAME PORT [HTTP_PORT]: by HTTPS, and by
HTTP too if the site is served by that. The variable PROXY names the proxies of the edge instead.
The certificate may be one that nobody trusts, as on a trial: it is not looked at.
"""

import http.client
import os
import socket
import ssl
import sys


def ask(address: str, name: str, port: int, *, tls: bool) -> str:
    """`200`, another status, or why there is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        plain = socket.create_connection((address, port), timeout=5)
        connection = http.client.HTTPConnection(name, port, timeout=5)
        connection.sock = context.wrap_socket(plain, server_hostname=name) if tls else plain
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def main(name: str, port: int, *plain: int) -> None:
    """Ask every replica for /readyz by HTTPS, at the `plain` ports by HTTP; print the answers."""
    try:
        proxies = os.environ.get("PROXY", "tasks.proxy")
        replicas = socket.getaddrinfo(proxies, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        sys.exit(f"the proxy does not run: {error}")
    addresses = {str(replica[4][0]) for replica in replicas}
    answers = {ask(address, name, port, tls=True) for address in addresses}
    answers |= {ask(address, name, one, tls=False) for address in addresses for one in plain}
    print("; ".join(sorted(answers)))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
