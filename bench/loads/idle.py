"""`python -m bench.loads.idle PORT COUNT`: clients that asked once, were answered, and keep their connections."""

from __future__ import annotations

import socket
import sys

from bench.loads.resident import (
    PATIENCE,
    READY,
    client,
    ended,
    raise_descriptor_limit,
    say_ready,
    told_to_end,
)

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n"


def visit(port: int) -> socket.socket:
    wire = client(port)
    wire.sendall(REQUEST)
    answer = wire.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"an answer was {answer[:200]!r}")
    return wire


def main(port: int, count: int) -> None:
    raise_descriptor_limit(count + 100)
    wires = [visit(port) for _ in range(count)]
    say_ready()
    while not told_to_end(PATIENCE):
        pass
    lost = sum(map(ended, wires))
    print(f"{lost} of {count} connections were closed" if lost else READY, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
