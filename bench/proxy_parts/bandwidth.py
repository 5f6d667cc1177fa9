"""1 GiB down and 1 GiB up over one connection, in bytes per second.

Neither end copies anything: files are sent from the page cache, and what arrives is dropped in the kernel. So the proxy
between them has the most to do; its part of a core tells whether it was the limit.
"""

from __future__ import annotations

import functools
import http.client
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.harness import PATIENCE, ROUNDS, Unavailable, alternate, judge, processor_seconds
from bench.loads.sink import PIECE, discard, read_head
from bench.proxy_parts.fronts import FILES, Front, both, load_backend, nginx_backend

#: Times nginx's.
TARGET = 0.7

SIZE = FILES["large"]

GB = 1_000_000_000


@dataclass(frozen=True)
class Transfer:
    """Seconds, and seconds of a processor that the proxy took."""

    seconds: float
    used: float


def measure(work: Path) -> None:
    with nginx_backend(work) as backend:
        download(backend[0], "/files/large")  # from now on the page cache has it
        directly = download(backend[0], "/files/large")
        with both(work, backend) as fronts:
            compare("A download of 1 GiB", fronts, download, directly)
    with load_backend(work, "sink") as backend:
        file = work / "files" / "large"
        directly = upload(file, backend[0], "/files/large")
        with both(work, backend) as fronts:
            compare("An upload of 1 GiB", fronts, functools.partial(upload, file), directly)


def compare(
    title: str, fronts: tuple[Front, Front], transfer: Callable[[int, str], float], directly: float
) -> None:
    ours, theirs = fronts
    ways = (
        ("heliograph", ours, "/files/large"),
        ("nginx, buffering", theirs, "/files/buffered/large"),
        ("nginx, not buffering", theirs, "/files/unbuffered/large"),
    )
    found = alternate([functools.partial(one, front, path, transfer) for _, front, path in ways])
    print(f"\n{title} (medians of {ROUNDS}; without a proxy {SIZE / directly / GB:.1f} GB/s)")
    speeds = []
    for (name, _, _), transfers in zip(ways, found, strict=True):
        seconds = statistics.median(each.seconds for each in transfers)
        used = statistics.median(each.used for each in transfers)
        speeds.append(SIZE / seconds)
        print(
            f"  {name:<20}  {speeds[-1] / GB:>6.2f} GB/s   {used:>5.2f} s CPU, {used / seconds:.0%} of a core"
        )
    judge("beside nginx's better way", speeds[0] / max(speeds[1:]), TARGET, "×")


def one(front: Front, path: str, transfer: Callable[[int, str], float]) -> Transfer:
    before = processor_seconds(front.pid)
    seconds = transfer(front.port, path)
    return Transfer(seconds, processor_seconds(front.pid) - before)


def download(port: int, path: str) -> float:
    """Seconds from the request to the last byte."""
    buffer = bytearray(PIECE)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire:
        wire.setblocking(True)
        began = time.perf_counter()
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, surplus = read_head(wire)
        taken = surplus + discard(wire, buffer, SIZE - surplus)
        seconds = time.perf_counter() - began
    if not head.startswith(b"HTTP/1.1 200 ") or taken != SIZE:
        raise Unavailable(f"of {SIZE} bytes {taken} came, with {head[:200]!r}")
    return seconds


def upload(file: Path, port: int, path: str) -> float:
    """Seconds from the head to the whole answer, which says how much arrived."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire, file.open("rb") as source:
        wire.setblocking(True)
        began = time.perf_counter()
        wire.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n".encode()
        )
        wire.sendfile(source)
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        taken = answer.read()
        seconds = time.perf_counter() - began
    if taken != b"%d\n" % SIZE:
        raise Unavailable(f"an upload was answered with {answer.status} {taken[:200]!r}")
    return seconds
