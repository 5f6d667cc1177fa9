"""A small real process that plays a part of a stack, for tests of the manager. Standard library only, so it starts fast.

`python standin.py NAME PORT LOG BEHAVIOUR`; each of its signals, its begin and its end is a line in LOG.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

#: What a slow part takes to end: long enough to be told from one that ends at once.
SLOW = 0.6

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(ANSWER)
        connection.close()


class Part:
    def __init__(self, name: str, log: Path) -> None:
        self.name, self.log = name, log
        self.note("begins")

    def note(self, what: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{self.name} {what}\n")

    def on_signals(self, act: Callable[[int], None]) -> None:
        def handle(signum: int, _frame: FrameType | None) -> None:
            self.note(signal.Signals(signum).name)
            act(signum)

        for signum in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, handle)
        signal.signal(signal.SIGUSR1, lambda *_: self.note("SIGUSR1"))

    def end(self, _signum: int) -> None:
        self.note("ends")
        sys.exit(0)

    def end_slowly(self, signum: int) -> None:
        time.sleep(SLOW)
        self.end(signum)

    def finish(self, signum: int) -> None:
        """As nginx does: SIGQUIT is for finishing what runs."""
        if signum != signal.SIGQUIT:
            self.end(signum)

    def ignore(self, _signum: int) -> None:
        return


def main(name: str, port: int, log: Path, behaviour: str) -> None:
    part = Part(name, log)
    actions = {"slow": part.end_slowly, "deaf": part.ignore, "patient": part.finish}
    part.on_signals(actions.get(behaviour, part.end))
    if behaviour == "broken":
        print(f"{name}: this is why", flush=True)
        sys.exit(3)
    if behaviour != "mute":
        listener = socket.create_server(("127.0.0.1", port))
        if behaviour == "closing":
            signal.signal(signal.SIGHUP, lambda *_: listener.shutdown(socket.SHUT_RDWR))
        if behaviour == "pair" and os.fork() == 0:  # a second worker, which has no request
            while True:
                signal.pause()
        # A worker survives when only its master is killed, as those of Gunicorn and nginx do.
        if behaviour != "master" or os.fork() == 0:
            threading.Thread(target=answer, args=(listener,), daemon=True).start()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
