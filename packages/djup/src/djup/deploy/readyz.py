"""Asks every proxy of the stack for /readyz, as a browser would; prints what each answers.

Run by Python in a container of the stack, from stdin, with NAME PORT. The certificate may be one
that nobody trusts, as on a trial: it is not looked at.
"""

import http.client
import socket
import ssl
import sys


def ask(address: str, name: str, port: int) -> str:
    """`200`, another status, or why there is none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        plain = socket.create_connection((address, port), timeout=5)
        connection = http.client.HTTPConnection(name, port, timeout=5)
        connection.sock = context.wrap_socket(plain, server_hostname=name)
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def main(name: str, port: int) -> None:
    """Ask every replica for /readyz, and print the answers as JSON."""
    try:
        replicas = socket.getaddrinfo("tasks.proxy", port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        sys.exit(f"the proxy does not run: {error}")
    answers = {str(replica[4][0]): ask(str(replica[4][0]), name, port) for replica in replicas}
    print("; ".join(sorted(set(answers.values()))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
