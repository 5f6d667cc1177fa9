"""`python -m bench.loads.loud PORT BYTES`: one WebSocket that sends messages without a pause and reads what comes back."""

from __future__ import annotations

import socket
import sys
import threading

from bench.loads.messages import READ, dial, frame, text
from bench.loads.resident import READY, until_told

#: That many messages at least must have come back, or it was not loud.
LEAST = 10


def shout(wire: socket.socket, message: bytes) -> None:
    while True:
        try:
            wire.sendall(message)
        except OSError:  # we are leaving
            return


def main(port: int, size: int) -> None:
    wire, message, buffer, received = (
        dial(port, "/ws/echo"),
        frame(text(size), masked=True),
        bytearray(READ),
        0,
    )
    threading.Thread(target=shout, args=(wire, message), daemon=True).start()
    with until_told():
        while got := wire.recv_into(buffer):
            received += got
        sys.exit("the server closed the connection")
    print(READY if received > LEAST * size else f"only {received} bytes came back", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
