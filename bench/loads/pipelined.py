"""`python -m bench.loads.pipelined PORT TO CHANNEL CONNECTIONS WINDOW MESSAGES LEADER`: publishes by WebSocket, many under way.

Each connection publishes on a channel of its own, CHANNEL1 and so on, and has WINDOW messages under way; with each acknowledgement
goes the next one. The instance at port TO has a subscriber of CHANNEL1, who must get all of them. Prints a line of JSON when
MESSAGES in all were acknowledged and delivered: how many for each channel, seconds, how many this process worked and how many the
server's processes, whose group LEADER leads; and `trouble`, empty if there was none.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

from bench.harness import processor_seconds
from bench.loads.crowd import MARK, MESSAGE, PINGED, PONGED, READ
from bench.loads.messages import PATIENCE, begun, frame
from bench.loads.resident import raise_descriptor_limit

#: In each acknowledgement, as MARK is in each message: publishers are subscribers, too, and get both.
REF = "λ".encode()

PUBLISH = b'{"type": "publish", "data": "%s", "ref": "%s"}' % (MESSAGE, REF)

#: Only in a refusal.
REFUSED = b'"problem": '


class Subscriber:
    """`count`: of the bytes `mark` that came."""

    def __init__(self, port: int, channel: str, mark: bytes = MARK) -> None:
        self.channel = channel
        self.wire = begun(port, f"/ws/channels/{channel}")
        self.count = 0
        self._mark = mark[0]
        head = b""
        while b'"subscribed"' not in head:
            piece = self.wire.recv(65536)
            head += piece
            if not piece or not head.startswith(b"HTTP/1.1 101 "):
                raise ConnectionError(f"the handshake was answered with {head[:200]!r}")

    def take(self, buffer: bytearray) -> int:
        """Read what came; how many marks were in it."""
        got = self.wire.recv_into(buffer)
        if not got or buffer.find(REFUSED, 0, got) >= 0:
            raise ConnectionError(f"after {self.count} came {bytes(buffer[:got])[-300:]!r}")
        if buffer.find(PINGED, 0, got) >= 0:
            self.wire.sendall(PONGED)
        found = buffer.count(self._mark, 0, got)
        self.count += found
        return found


class Publisher(Subscriber):
    """`count`: of acknowledgements. `unsent` messages are to be sent yet."""

    def __init__(self, port: int, channel: str, messages: int) -> None:
        super().__init__(port, channel, REF)
        self.messages = self.unsent = messages
        self._frame = frame(PUBLISH, masked=True)

    def publish(self, count: int) -> None:
        count = min(count, self.unsent)
        self.unsent -= count
        if count:
            self.wire.sendall(self._frame * count)

    def take(self, buffer: bytearray) -> int:
        acknowledged = super().take(buffer)
        self.publish(acknowledged)
        return acknowledged


def run(publishers: list[Publisher], follower: Subscriber, window: int) -> None:
    """Raises ConnectionError and OSError."""
    everybody = {each.wire.fileno(): each for each in (*publishers, follower)}
    missing = publishers[0].messages + sum(publisher.messages for publisher in publishers)
    buffer = bytearray(READ)
    with select.epoll() as poll:
        for number in everybody:
            poll.register(number, select.EPOLLIN)
        for publisher in publishers:
            publisher.publish(window)
        while missing:
            events = poll.poll(PATIENCE)
            if not events:
                raise ConnectionError(f"nothing came for {PATIENCE:g} s")
            for number, _ in events:
                missing -= everybody[number].take(buffer)


def main(
    ports: tuple[int, int], channel: str, connections: int, window: int, messages: int, leader: int
) -> None:
    raise_descriptor_limit(connections + 100)
    port, target = ports
    publishers = [
        Publisher(port, f"{channel}{number}", messages // connections + (number <= messages % connections))
        for number in range(1, connections + 1)
    ]
    follower = Subscriber(target, f"{channel}1")
    for publisher in publishers:
        publisher.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    worked, served, trouble, began = time.process_time(), processor_seconds(leader), "", time.perf_counter()
    try:
        run(publishers, follower, window)
    except OSError as exc:
        trouble = str(exc)
    found = {
        "seconds": time.perf_counter() - began,
        "worked": time.process_time() - worked,
        "served": processor_seconds(leader) - served,
        "acknowledged": {publisher.channel: publisher.count for publisher in publishers},
        "trouble": trouble,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main((int(sys.argv[1]), int(sys.argv[2])), sys.argv[3], *map(int, sys.argv[4:]))
