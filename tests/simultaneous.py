"""Many requests at once. Usage: simultaneous.py PORT COUNT PATH; prints the seconds from the first request to the last answer.

A process of its own, so that the test runner is not monkey-patched. All connections are open before the clock starts: a server's
backlog may be small, and a connection that did not fit into it comes back a second later.
"""

import socket as plain
import sys
import time

from gevent import pool, socket

#: Connections that are opened before the first of them must have been accepted: below any server's backlog.
BATCH = 50


def main(port: int, count: int, path: str) -> float:
    clients = []
    for number in range(count):
        clients.append(socket.create_connection(("127.0.0.1", port), 30))
        if number % BATCH == BATCH - 1:
            time.sleep(0.1)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    began = time.monotonic()

    def ask(client: plain.socket) -> None:
        client.sendall(request)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    for _ in pool.Pool(count).imap_unordered(ask, clients):
        pass
    return time.monotonic() - began


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
