"""Loads that stay: programs that say `ready` when all their clients are there, and at the end how many still are.

They are processes of their own, for their descriptors and so that their work delays nobody's measuring.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.harness import ROOT, Unavailable
from heliograph.stack.children import signal_group, spawn

READY = "ready"

#: How long a crowd may take to be there, or to go.
PATIENCE = 60.0

#: Linux doubles it and takes no less.
SMALLEST_BUFFER = 1152

#: Bytes of a TCP segment on Ethernet.
NETWORK_SEGMENT = 1460

#: struct linger {1, 0}: a close resets, so that ten thousand ports are free again at once.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def staying(program: str, *arguments: int | str) -> Iterator[None]:
    """A program of this folder while it stays. Unavailable when its crowd does not come, or has not stayed whole."""
    (reading, writing) = os.pipe()
    with open(reading, "rb", buffering=0) as output:
        try:
            process = spawn(
                [sys.executable, "-m", f"bench.loads.{program}", *map(str, arguments)],
                cwd=ROOT,
                output=writing,
            )
        finally:
            os.close(writing)
        try:
            said = _line(output.fileno())
            if said != READY:
                raise Unavailable(f"bench.loads.{program}: {said}")
            yield
            process.terminate()
            said = _line(output.fileno())
            if said != READY:
                raise Unavailable(f"bench.loads.{program}, at the end: {said}")
        finally:
            signal_group(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)


def _line(descriptor: int) -> str:
    """What the program says next: one line, or the last of a traceback."""
    said, deadline = b"", time.monotonic() + PATIENCE
    while not said.endswith(b"\n") and select.select([descriptor], [], [], deadline - time.monotonic())[0]:
        piece = os.read(descriptor, 65536)
        said += piece
        if not piece:
            break
    return said.decode(errors="replace").strip().rpartition("\n")[2] or "nothing came from it"


def raise_descriptor_limit(needed: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        sys.exit(f"{needed} descriptors are needed, and {hard} is the limit here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def say_ready() -> None:
    """The crowd is there. SIGTERM is held back from now on, for `told_to_end`: it must not come between two lines."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print(READY, flush=True)


def told_to_end(seconds: float) -> bool:
    """Wait, at most that long, for the signal to end."""
    return signal.sigtimedwait({signal.SIGTERM}, max(0.0, seconds)) is not None


class Leaving(Exception):
    """The signal to end came."""


@contextlib.contextmanager
def until_told() -> Iterator[None]:
    """For blocks that wait for something else than time: they run until SIGTERM, and what follows them after that.

    A signal in the moment before the block begins ends the program with a traceback, which `staying` reports.
    """

    def leave(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Leaving

    signal.signal(signal.SIGTERM, leave)
    print(READY, flush=True)
    with contextlib.suppress(Leaving):
        yield


def client(port: int, *, slow: bool = False) -> socket.socket:
    """A connected socket; `slow`: with the smallest window and the segments of a network, not those of loopback.

    The kernel measures what it buffers for a connection in segments. Those of loopback have 64 KiB, and a thousand slow
    readers would take all the memory that the kernel has for TCP, 4 MB each, which no network's would.
    """
    wire = socket.socket()
    if slow:  # both have to be set before there is a connection (tcp(7))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, NETWORK_SEGMENT)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    wire.settimeout(PATIENCE)
    wire.connect(("127.0.0.1", port))
    return wire


def ended(wire: socket.socket) -> bool:
    """Whether the other side has closed."""
    wire.setblocking(False)
    try:
        return wire.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
