"""`python -m bench.loads.echo PORT`: a WebSocket echo that is faster than what is measured before it. And its clients.

It knows one frame only: final, binary, FRAME_BYTES of payload, from clients with a mask of zeros, which leaves the payload
as it is (RFC 6455 section 5.3). Anything else would cost time that the comparison is not about.
"""

from __future__ import annotations

import base64
import hashlib
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

FRAME_BYTES = 64

#: Final, binary; the length, with the bit for a mask; the mask.
FROM_SERVER = bytes((0x82, FRAME_BYTES)) + bytes(range(FRAME_BYTES))
FROM_CLIENT = bytes((0x82, 0x80 | FRAME_BYTES, 0, 0, 0, 0)) + bytes(range(FRAME_BYTES))

#: What a read may give: some frames, or a head.
READ = 16384

PATIENCE = 10.0

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def serve(port: int) -> None:
    """For ever."""
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    #: What came of a head or of a frame that is not whole; a client with an entry has not upgraded or is slow.
    pending: dict[int, bytes] = {}
    while True:
        for number, _ in poll.poll():
            wire = clients.get(number)
            if wire is None:
                accepted = listener.accept()[0]
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[accepted.fileno()], pending[accepted.fileno()] = accepted, b""
                poll.register(accepted, select.EPOLLIN)
                continue
            try:
                data = wire.recv(READ)
                if len(data) == len(FROM_CLIENT) and number not in pending:
                    wire.send(data[:1] + FROM_SERVER[1:2] + data[6:])
                    continue
                answer, rest = answer_to(pending.pop(number, b"") + data) if data else (b"", None)
                wire.sendall(answer)
            except OSError:
                rest = None
            if rest is None:
                del clients[number]
                wire.close()
            elif rest:
                pending[number] = rest


def answer_to(data: bytes) -> tuple[bytes, bytes | None]:
    """What to answer, and what is left until more comes: None where the connection ends."""
    if data.startswith(b"\x82"):
        whole = len(data) // len(FROM_CLIENT)
        return FROM_SERVER * whole, data[whole * len(FROM_CLIENT) :]
    if not data.endswith(b"\r\n\r\n"):
        return b"", data
    key = re.search(rb"\r\nsec-websocket-key: *(\S+)", data, re.IGNORECASE)
    if not key:  # a health check
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", None
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
    return head % accept, b""


def dial(port: int) -> socket.socket:
    """A client after its handshake. Raises ConnectionError when it was refused."""
    wire = socket.create_connection(("127.0.0.1", port), PATIENCE)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(bytes(16)).decode()
    wire.sendall(
        f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = wire.recv(READ)
        head += piece
        if not piece or not b"HTTP/1.1 101 ".startswith(head[:13]):
            wire.close()
            raise ConnectionError(f"the handshake was answered with {head[:200]!r}")
    return wire


def ping_pong(port: int, rounds: int) -> list[float]:
    """Seconds that each echo took, one after the other on one connection."""
    found = []
    with dial(port) as wire:
        for _ in range(rounds):
            began = time.perf_counter()
            wire.send(FROM_CLIENT)
            answer = wire.recv(READ)
            found.append(time.perf_counter() - began)
            if answer != FROM_SERVER:
                raise ConnectionError(f"an echo was something else: {answer!r}")
    return found


def crowd(port: int, connections: int, seconds: float) -> list[float]:
    """Seconds that each echo took; each connection sends the next message when the last came back."""
    with dialled(port, connections) as wires:
        poll = select.epoll()
        for number in wires:
            poll.register(number, select.EPOLLIN)
        clock, found = time.perf_counter, []
        began = clock()
        sent = dict.fromkeys(wires, began)
        for wire in wires.values():
            wire.send(FROM_CLIENT)
        now = began
        while now < began + seconds:
            for number, _ in poll.poll(PATIENCE):
                wire = wires[number]
                if wire.recv(READ) != FROM_SERVER:
                    raise ConnectionError("an echo was something else")
                now = clock()
                found.append(now - sent[number])
                sent[number] = now
                wire.send(FROM_CLIENT)
        poll.close()
    return found


@contextmanager
def dialled(port: int, connections: int) -> Iterator[dict[int, socket.socket]]:
    """Clients by descriptor."""
    with ExitStack() as stack:
        wires = [stack.enter_context(dial(port)) for _ in range(connections)]
        yield {wire.fileno(): wire for wire in wires}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
