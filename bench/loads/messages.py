"""`python -m bench.loads.messages PORT PATH CONNECTIONS BYTES SECONDS LEADER`: WebSocket clients that each send the next message
when the last came back. Prints one line of JSON: messages, seconds, and of these how many this process worked and how many the
server's processes, whose group LEADER leads.

The frames are made beforehand and what comes back is counted, hardly parsed, so that the load is faster than any server; first
and last echoes are compared whole.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench.harness import processor_seconds
from bench.loads.resident import client, raise_descriptor_limit

MASK = bytes.fromhex("37fa213d")

TEXT, PONG = 1, 10

#: The first byte of a ping.
PING = 0x89

#: The most that a read takes: a whole message of the longest kind that is measured, so that one call is enough.
READ = 256 << 10

#: Room for a whole message in the kernel, so that a send never waits.
SEND_BUFFER = 512 << 10

#: Handshakes that are under way at once.
BATCH = 64

#: As many connections compare an echo whole, before and after: all of a few, and some of many.
CHECKED = 100

#: Seconds until silence is an error.
PATIENCE = 60.0


@dataclass(frozen=True)
class Load:
    """What came of it."""

    messages: int
    seconds: float
    worked: float
    served: float


def dial(port: int, path: str) -> socket.socket:
    """A client after its handshake. Raises ConnectionError when it was refused."""
    return _open(begun(port, path))


def dial_many(port: int, path: str, count: int) -> list[socket.socket]:
    """The same for many, which the server need not answer one by one. Those that are pinged meanwhile answer."""
    found: dict[int, socket.socket] = {}
    with select.epoll() as poll:
        while len(found) < count:
            for wire in map(_open, [begun(port, path) for _ in range(min(BATCH, count - len(found)))]):
                found[wire.fileno()] = wire
                poll.register(wire, select.EPOLLIN)
            for number, _ in poll.poll(0):
                answer_ping(found[number])
    return list(found.values())


def answer_ping(wire: socket.socket) -> None:
    """Raises ConnectionError when what came is something else, or the end."""
    first, size = exactly(wire, 2)
    payload = exactly(wire, size)
    if first != PING or size > 125:
        raise ConnectionError(f"a frame began with {first:#x} and was no ping")
    wire.sendall(frame(payload, masked=True, opcode=PONG))


def begun(port: int, path: str) -> socket.socket:
    wire = client(port)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    key = base64.b64encode(os.urandom(16)).decode()
    wire.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    return wire


def _open(wire: socket.socket) -> socket.socket:
    """Read the head of the answer. Nothing may follow it yet: servers here speak only when they are spoken to."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = wire.recv(READ)
        head += piece
        if not piece or not b"HTTP/1.1 101 ".startswith(head[:13]):
            raise ConnectionError(f"the handshake was answered with {head[:200]!r}")
    return wire


def frame(payload: bytes, masked: bool, opcode: int = TEXT) -> bytes:
    """A final frame, with MASK as its mask or, as servers send it, with none."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, bit | 127, size)
    if not masked:
        return head + payload
    key = int.from_bytes((MASK * (size // 4 + 1))[:size], "big")
    return head + MASK + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def text(size: int) -> bytes:
    """ASCII, as most of JSON is."""
    return (b"Whoever measures, measures much too much. " * (size // 42 + 1))[:size]


def exactly(wire: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = wire.recv(size - len(data))
        if not piece:
            raise ConnectionError(f"the connection ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def check(wire: socket.socket, question: bytes, answer: bytes) -> None:
    """Send one message and compare what comes back. Raises ConnectionError."""
    wire.sendall(question)
    head = exactly(wire, 2)
    while head[0] == PING:
        wire.sendall(frame(exactly(wire, head[1]), masked=True, opcode=PONG))
        head = exactly(wire, 2)
    if head + exactly(wire, len(answer) - 2) != answer:
        raise ConnectionError("an echo was something else")


def crowd(wires: list[socket.socket], question: bytes, size: int, seconds: float) -> tuple[int, float]:
    """How many messages came back, and in how many seconds. Each wire has one under way; `size` is how many bytes one takes."""
    poll, buffer = select.epoll(), bytearray(READ)
    # One look-up for each event: reading and sending are bound here.
    calls = {wire.fileno(): (wire.recv_into, wire.send) for wire in wires}
    left = dict.fromkeys(calls, size)
    for number in calls:
        poll.register(number, select.EPOLLIN)
    messages, clock = 0, time.perf_counter
    began = clock()
    for wire in wires:
        wire.sendall(question)
    end, under_way, now = began + seconds, len(wires), began
    while under_way:
        events = poll.poll(PATIENCE)
        if not events:
            raise ConnectionError(f"nothing came back for {PATIENCE:g} s")
        now = clock()
        for number, _ in events:
            receive, send = calls[number]
            got = receive(buffer)
            rest = left[number] - got
            if rest:
                rest = without_ping(memoryview(buffer)[:got], left[number] == size, rest, send)
                left[number] = rest
                if rest:
                    continue
            messages += 1
            if now < end:
                left[number] = size
                if send(question) < len(question):
                    raise ConnectionError("a message did not fit into the kernel's buffer")
            else:
                under_way -= 1
    poll.close()
    return messages, now - began


def without_ping(data: memoryview, fresh: bool, rest: int, send: Callable[[bytes], int]) -> int:
    """How many bytes of an echo are still to come, after `data`, where a ping may stand before the echo (`fresh`) or behind."""
    if not data:
        raise ConnectionError("the server closed a connection")
    if fresh and data[0] == PING:
        rest += 2 + data[1]
        send(frame(bytes(data[2 : 2 + data[1]]), masked=True, opcode=PONG))
    if rest < 0:
        ping = data[rest:]
        if ping[0] != PING or len(ping) != 2 + ping[1]:
            raise ConnectionError(f"{len(ping)} bytes more came back than were sent")
        send(frame(bytes(ping[2:]), masked=True, opcode=PONG))
        rest = 0
    return rest


def main(port: int, path: str, connections: int, size: int, seconds: float, leader: int) -> None:
    raise_descriptor_limit(connections + 100)
    payload = text(size)
    question, answer = frame(payload, masked=True), frame(payload, masked=False)
    wires = dial_many(port, path, connections)
    for wire in wires[:CHECKED]:
        check(wire, question, answer)
    worked, served = time.process_time(), processor_seconds(leader)
    messages, took = crowd(wires, question, len(answer), seconds)
    found = Load(messages, took, time.process_time() - worked, processor_seconds(leader) - served)
    for wire in wires[:CHECKED]:
        check(wire, question, answer)
    print(json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        float(sys.argv[5]),
        int(sys.argv[6]),
    )
