"""`python -m bench.loads.sink PORT`: takes any body as fast as the kernel can throw it away, and answers its length.

MSG_TRUNC lets the kernel drop what came instead of copying it (tcp(7)), so that taking is never what limits an upload.
"""

from __future__ import annotations

import re
import socket
import socketserver
import sys

#: What is taken at once, and the most a head may have.
PIECE = 1 << 20
MAX_HEAD = 65536


class Handler(socketserver.BaseRequestHandler):
    """One connection, one request after the other."""

    request: socket.socket

    def handle(self) -> None:
        buffer = bytearray(PIECE)
        while True:
            head, surplus = read_head(self.request)
            if not head:
                return
            found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            length = int(found[1]) if found else 0
            taken = surplus + discard(self.request, buffer, length - surplus)
            answer = b"%d\n" % taken
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def read_head(wire: socket.socket) -> tuple[bytes, int]:
    """A head, empty at the end, and how much of its body came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = wire.recv(MAX_HEAD)
        data += piece
        if not piece or len(data) > 2 * MAX_HEAD:
            return b"", 0
    head, _, body = data.partition(b"\r\n\r\n")
    return head, len(body)


def discard(wire: socket.socket, buffer: bytearray, length: int) -> int:
    """Throw up to `length` bytes away; how many there were before the connection's end."""
    left = length
    while left > 0:
        dropped = wire.recv_into(buffer, min(left, len(buffer)), socket.MSG_TRUNC)
        if not dropped:
            break
        left -= dropped
    return length - left


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
