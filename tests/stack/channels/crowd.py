"""A crowd of subscribers over WebSocket in one process, each of which comes back by its cursor whenever it is cut off.

    python -m tests.stack.channels.crowd PORT CHANNEL COUNT

Prints a line of JSON ten times a second: how many are `connected`, the `lowest` and the `highest` offset that any of them has,
`connections` there were in all, `lost` notices, and what was `wrong`: anything that is not the next message.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import struct
import sys

#: Seconds: bounds of the first wait before somebody comes back and of the longest one. Full jitter, as our clients have it.
FIRST, LONGEST = 0.5, 4.0

#: Descriptors for the crowd.
DESCRIPTORS = 8192

_MESSAGE = b'{"type": "message"'
_OFFSET = b'"offset": '
_PING, _CLOSE = 9, 8


class Crowd:
    def __init__(self, port: int, channel: str) -> None:
        self.port, self.channel = port, channel
        self.members: list[Member] = []
        self.connections = self.lost = self.connected = 0
        self.wrong: list[str] = []

    def state(self) -> str:
        offsets = [member.offset for member in self.members]
        return json.dumps(
            {
                "connected": self.connected,
                "lowest": min(offsets),
                "highest": max(offsets),
                "connections": self.connections,
                "lost": self.lost,
                "wrong": self.wrong[:5],
            }
        )


class Member(asyncio.Protocol):
    """One subscriber; of its connections one after another."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.offset, self.epoch = 0, ""
        self._attempt = 0
        self._buffer = b""
        self._open = False
        self._over = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._buffer, self._open = b"", False
            self._over.clear()
            try:
                await loop.create_connection(lambda: self, "127.0.0.1", self.crowd.port)
                await self._over.wait()
            except OSError:
                pass  # nobody listens now
            bound = min(LONGEST, FIRST * 2.0**self._attempt)
            self._attempt += 1
            await asyncio.sleep(random.random() * bound)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        after = f"{self.epoch}:{self.offset}" if self.epoch else "earliest"
        transport.write(
            f"GET /ws/channels/{self.crowd.channel}?after={after} HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.connected -= self._open
        self._open = False
        self._over.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open and not self._handshake():
            return
        data, at = self._buffer, 0
        while (frame := _frame(data, at)) is not None:
            opcode, start, at = frame
            self._take(opcode, data[start:at])
        self._buffer = data[at:]

    def _handshake(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        assert self._transport is not None
        if not head.startswith(b"HTTP/1.1 101"):  # there is no instance now
            self._transport.abort()
            self._buffer = b""
            return False
        self._buffer, self._open, self._attempt = rest, True, 0
        self.crowd.connected += 1
        self.crowd.connections += 1
        return True

    def _take(self, opcode: int, payload: bytes) -> None:
        assert self._transport is not None
        if payload.startswith(_MESSAGE):
            start = payload.index(_OFFSET) + len(_OFFSET)
            offset = int(payload[start : payload.index(b",", start)])
            if offset != self.offset + 1:
                self.crowd.wrong.append(f"{offset} after {self.offset}")
            self.offset = offset
        elif opcode == _PING:
            self._transport.write(struct.pack("!BBI", 0x8A, 0x80 | len(payload), 0) + payload)
        elif opcode == _CLOSE:
            self._transport.close()
        else:
            self._told(json.loads(payload))

    def _told(self, event: dict[str, object]) -> None:
        if event["type"] != "subscribed" or event["recovered"] is not True:
            self.crowd.lost += 1
        self.epoch, self.offset = str(event["epoch"]), int(str(event["offset"]))


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Opcode, start and end of the payload of a whole, unmasked frame at `at`; None if it is not whole yet."""
    if len(data) < at + 4:
        return None
    length, start = data[at + 1], at + 2
    if length == 126:
        length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    assert length < 1 << 16, "no message here is so long"
    return (data[at] & 15, start, start + length) if len(data) >= start + length else None


async def main(port: int, channel: str, count: int) -> None:
    crowd = Crowd(port, channel)
    crowd.members = [Member(crowd) for _ in range(count)]
    async with asyncio.TaskGroup() as together:
        for member in crowd.members:
            together.create_task(member.run())
        while True:
            await asyncio.sleep(0.1)
            print(crowd.state(), flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, most), most))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
