"""The service part of the comparison of codecs: how fast a POST is beside the kernel, and who waits while others encode.

Clients are processes, so that none of them waits for another's interpreter.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path

from websockets.sync.client import connect

from bench.harness import (
    PATIENCE,
    ROOT,
    ROUNDS,
    Unavailable,
    folder,
    free_ports,
    judge,
    peak,
    reset_peak,
    running,
    timed,
)
from heliograph.settings import environment

MB = 1_000_000
GIB = 1 << 30

#: What is sent at once.
PIECE = 512 << 10

#: Of the kernel's own speed, what POST has to reach; clients at once and what each sends; milliseconds /healthz may take.
SERVICE_TARGET = 0.25
CLIENTS, EACH = 4, 200 * MB
HEALTH_TARGET = 50.0

#: Seconds between two looks at /healthz, and between two echoes.
PAUSE = 0.005


@contextlib.contextmanager
def instance() -> Iterator[tuple[int, int]]:
    """The port of an instance, and the process that answers."""
    port = free_ports(1)[0]
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "conf/gunicorn.conf.py",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    with folder() as work:
        settings = {
            **environment(),
            "HELIOGRAPH_CODEC_JOBS": str(2 * CLIENTS),  # of which one address has three quarters
            "HELIOGRAPH_SPOOL": str(ROOT / "var/bench-spool"),
        }  # on a disk, as in earnest
        with running([*gunicorn, "wsgi:app"], f"http://127.0.0.1:{port}/healthz", work / "log", settings):
            (arbiter,) = children(os.getpid())
            (worker,) = children(arbiter)
            yield port, worker


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def post(port: int, worker: int, text: bytes, kernel: float) -> None:
    """One client, 1 GiB."""
    before = reset_peak(worker)
    speeds = []
    for _ in range(ROUNDS):
        seconds, size = timed(lambda: encode(port, text, GIB))
        speeds.append(GIB / seconds)
    speed = statistics.median(speeds)
    print(
        f"\nPOST /codecs/huffman/encode of 1 GiB, median of {ROUNDS}: {speed / MB:.0f} MB/s, an answer of {size / GIB:.2%}"
    )
    judge("beside the kernel on one core", speed / kernel, SERVICE_TARGET, "×")
    print(f"  memory {(peak(worker) - before) / MB:+.1f} MB")


def encode(port: int, text: bytes, length: int) -> int:
    """POST `length` bytes; the length of the answer. Bare sockets: http.client would be what is measured."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as wire:
        wire.sendall(
            b"POST /codecs/huffman/encode HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % length
        )
        for piece in repeated(text, length):
            wire.sendall(piece)
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        buffer = bytearray(PIECE)
        size = sum(iter(lambda: answer.readinto(buffer), 0))
    if answer.status != HTTPStatus.OK:
        raise Unavailable(f"encoding was answered with {answer.status}")
    return size


def crowd(port: int, text: bytes) -> None:
    """/healthz and WebSocket echoes while CLIENTS encode."""
    with ProcessPoolExecutor(CLIENTS, get_context("fork")) as clients, ThreadPoolExecutor(1) as thread:
        jobs = [clients.submit(encode, port, text, EACH) for _ in range(CLIENTS)]

        def busy() -> bool:
            return not all(job.done() for job in jobs)

        echoes = thread.submit(delays, echo(port), busy)
        health = delays(healthz(port), busy)
        for job in jobs:
            job.result()
    print(f"\nWhile {CLIENTS} clients encode {EACH // MB} MB each")
    judge("p99 of GET /healthz", quantile(health), HEALTH_TARGET, "ms", at_most=True)
    judge("p99 of a WebSocket echo", quantile(echoes.result()), HEALTH_TARGET, "ms", at_most=True)


def delays(ask: Iterator[None], busy: Callable[[], bool]) -> list[float]:
    """Milliseconds that each answer took, as long as others are busy."""
    found = []
    while busy():
        seconds, _ = timed(lambda: next(ask))
        found.append(1000 * seconds)
        time.sleep(PAUSE)
    return found


def healthz(port: int) -> Iterator[None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        while True:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            if not answer.read() or answer.status != HTTPStatus.OK:
                raise Unavailable(f"/healthz was answered with {answer.status}")
            yield


def echo(port: int) -> Iterator[None]:
    with connect(f"ws://127.0.0.1:{port}/ws/echo") as connection:
        while True:
            connection.send("still here?")
            if connection.recv(PATIENCE) != "still here?":
                raise Unavailable("an echo was something else")
            yield


def quantile(values: list[float]) -> float:
    """The ninety-ninth hundredth."""
    return statistics.quantiles(values, n=100)[-1]


def repeated(text: bytes, length: int) -> Iterator[bytes]:
    """`length` bytes of the text, again and again."""
    view = memoryview(text)
    while length > 0:
        for start in range(0, min(length, len(text)), PIECE):
            yield bytes(view[start : start + min(PIECE, length - start)])
        length -= len(text)
