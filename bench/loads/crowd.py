"""Subscribers of one channel over WebSocket, and who publishes on it by POST: one process, one epoll, no frame parsed.

A message is MARK once and ASCII else, whatever a server wraps around it. So as many messages came as the byte MARKED is in what
came, however it was cut into pieces; that byte is in no head of a frame, for no frame here is as long as it says. Nor is PINGED
anywhere but in a ping.
"""

from __future__ import annotations

import array
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence

from bench.loads.messages import PATIENCE, PING, PONG, begun, frame
from bench.loads.resident import client, raise_descriptor_limit

MARK = "é".encode()
MARKED = MARK[0]

#: Bytes of a message, and the most that a frame with one may have: so MARKED is no part of a length.
SIZE, LONGEST = 64, 190

MESSAGE = MARK + b"x" * (SIZE - len(MARK))

#: A ping of ours, and its answer. Peers send none, or are told not to.
PINGED, PONGED = bytes((PING, 0)), frame(b"", masked=True, opcode=PONG)

READ = 1 << 20

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

#: Handshakes under way at once.
BATCH = 250

#: Seconds from the first subscriber to the others: broadcaster loses those who come while it subscribes for the first one.
ALONE = 0.2

#: Seconds until a message must have come, or another one is published, when it is made sure that everybody is there.
SETTLING = 0.5


class Crowd:
    """`counts` has, for each subscriber, how many messages came. `others` are read by whoever made them."""

    def __init__(self, port: int, path: str, count: int) -> None:
        raise_descriptor_limit(count + 100)
        self.port = port
        self._poll = select.epoll()
        self._wires: dict[int, socket.socket] = {}
        self.counts: dict[int, int] = {}
        self._buffer = bytearray(READ)
        # Those of whom nothing came but the head of the answer.
        self._untold: set[int] = set()
        self._join(path, 1)
        if count > 1:
            time.sleep(ALONE)
        while len(self._wires) < count:
            self._join(path, min(BATCH, count - len(self._wires)))

    def _join(self, path: str, count: int) -> None:
        for wire in [begun(self.port, path) for _ in range(count)]:
            number = wire.fileno()
            data = _after_head(wire)
            self.counts[number] = data.count(MARKED)
            if not data:
                self._untold.add(number)
            self._wires[number] = wire
            self._poll.register(number, select.EPOLLIN)

    def events(self, seconds: float = PATIENCE) -> Iterator[tuple[int, int]]:
        """Who got how many messages now; those that are none of this crowd with 0. Ends when all that came was given."""
        buffer, wires = self._buffer, self._wires
        for number, _ in self._poll.poll(max(0.0, seconds)):
            wire = wires.get(number)
            if wire is None:
                yield number, 0
                continue
            got = wire.recv_into(buffer)
            if not got:
                raise ConnectionError("a subscriber's connection was closed")
            messages = buffer.count(MARKED, 0, got)
            if buffer.find(PINGED, 0, got) >= 0:
                wire.send(PONGED)
            elif not messages:
                self._untold.discard(number)
            if messages:
                self.counts[number] += messages
                yield number, messages

    def subscribed(self) -> None:
        """Wait until each has been told so: only our servers do."""
        deadline = time.monotonic() + PATIENCE
        while self._untold:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"{len(self._untold)} of {len(self._wires)} were not told that they are subscribed"
                )
            for _ in self.events(1.0):
                pass

    def watch(self, wire: socket.socket) -> None:
        self._poll.register(wire, select.EPOLLIN)

    def settle(self, poster: Poster) -> None:
        """Publish until a message has reached everybody, and all is quiet; then count from 0."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            waiting, until = set(self.counts), time.monotonic() + SETTLING
            if not poster.waiting:
                poster.post()
            while (waiting or poster.waiting) and time.monotonic() < until:
                for number, messages in self.events(SETTLING / 10):
                    if messages:
                        waiting.discard(number)
                    else:
                        poster.answered()
            if not waiting and not poster.waiting:
                while list(self.events(SETTLING / 2)):
                    pass  # a message from before, to those who were slow
                self.counts = dict.fromkeys(self.counts, 0)
                return
        raise ConnectionError("not all who subscribed got a message")


class Poster:
    """A kept connection that publishes: one request, one answer."""

    def __init__(self, port: int, path: str) -> None:
        self._wire = client(port)
        self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {SIZE}\r\n\r\n"
        self._request = head.encode() + MESSAGE
        self.number = self._wire.fileno()
        self.wire = self._wire
        self.waiting = False
        self._answer = b""

    def post(self) -> None:
        self._wire.sendall(self._request)
        self.waiting = True

    def answered(self) -> bool:
        """Read on; whether the answer is whole. Raises ConnectionError unless it is good."""
        self._answer += self._wire.recv(65536)
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not self._answer.startswith(b"HTTP/1.1 20"):
            raise ConnectionError(f"a message was answered with {self._answer[:200]!r}")
        length = _LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return False
        self._answer, self.waiting = b"", False
        return True


def posters(crowd: Crowd, path: str, count: int) -> dict[int, Poster]:
    """Those who publish, by descriptor; the crowd waits for their answers too."""
    found = [Poster(crowd.port, path) for _ in range(count)]
    for poster in found:
        crowd.watch(poster.wire)
    return {poster.number: poster for poster in found}


def quantile(found: Sequence[float] | array.array[float], part: float) -> float:
    """Of a sorted sequence."""
    return found[min(len(found) - 1, int(len(found) * part))]


def _after_head(wire: socket.socket) -> bytes:
    """What came behind the head of a 101."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = wire.recv(65536)
        data += piece
        if not piece or not b"HTTP/1.1 101 ".startswith(data[:13]):
            raise ConnectionError(f"the handshake was answered with {data[:200]!r}")
    return data.partition(b"\r\n\r\n")[2]
