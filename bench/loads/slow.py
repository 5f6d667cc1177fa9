"""`python -m bench.loads.slow PORT READERS SENDERS`: readers that take a little a second, and heads that never end.

A reader has the smallest window there is and asks for a body that no window of the proxy takes whole. A sender gives one byte of a
head a second; where the proxy has enough of it and closes, the next one is there at once.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import sys
import time

from bench.loads.resident import READY, client, ended, raise_descriptor_limit, say_ready, told_to_end

#: What a reader takes at once.
READ = 512

#: In so many parts of a second everybody has their turn once.
TICKS = 100

ASK = b"GET /files/slow HTTP/1.1\r\nHost: localhost\r\n\r\n"

#: How the head of a sender begins; after it come bytes of a field's value.
BEGINNING = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class Sender:
    """One slow head after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._begin()

    def _begin(self) -> None:
        self._wire = client(self._port, slow=True)
        self._wire.setblocking(False)
        self._sent = 0

    def turn(self) -> None:
        byte = BEGINNING[self._sent : self._sent + 1] or b"x"
        try:
            self._wire.send(byte)
            self._sent += 1
            answered = self._wire.recv(READ)
        except BlockingIOError:
            return  # nothing came, as it should be
        except OSError:
            answered = b""
        if answered and not answered.startswith(b"HTTP/1.1 4"):
            sys.exit(f"half a head was answered with {answered!r}")
        self._wire.close()
        self._begin()


def reader(port: int) -> socket.socket:
    """A client whose answer has begun."""
    wire = client(port, slow=True)
    wire.sendall(ASK)
    answer = wire.recv(READ)
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"an answer was {answer[:200]!r}")
    wire.setblocking(False)
    return wire


def main(port: int, readers: int, senders: int) -> None:
    raise_descriptor_limit(readers + senders + 100)
    slow_readers = [reader(port) for _ in range(readers)]
    slow_senders = [Sender(port) for _ in range(senders)]
    say_ready()
    for tick in itertools.cycle(range(TICKS)):
        began = time.monotonic()
        for wire in slow_readers[tick::TICKS]:
            with contextlib.suppress(OSError):
                wire.recv(READ)
        for sender in slow_senders[tick::TICKS]:
            sender.turn()
        if told_to_end(began + 1 / TICKS - time.monotonic()):
            break
    lost = sum(map(ended, slow_readers))
    print(f"{lost} of {readers} slow readers were cut off" if lost else READY, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
