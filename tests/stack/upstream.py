"""A server behind nginx that shows what it was sent, byte for byte, and answers whatever a test says."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable

#: No test waits longer for a byte.
PATIENCE = 10.0


class Exchange:
    """One request as it arrives: its head is here, its body is read on demand, its answer is sent piece by piece."""

    def __init__(self, connection: socket.socket, number: int, head: bytes, rest: bytes) -> None:
        self.connection = connection
        self.number = number
        lines = head.decode("latin-1").split("\r\n")
        self.request_line = lines[0]
        self.fields = [
            (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])
        ]
        self._rest = rest

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def read(self, count: int) -> bytes:
        """Exactly so many bytes of what follows the head."""
        while len(self._rest) < count:
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError(self._rest)
            self._rest += piece
        wanted, self._rest = self._rest[:count], self._rest[count:]
        return wanted

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, status: str = "200 OK", body: bytes = b"", **fields: str) -> None:
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Length: {len(body)}",
            *(f"{k}: {v}" for k, v in named.items()),
        ]
        self.send("\r\n".join([*lines, "", ""]).encode() + body)


Handler = Callable[[Exchange], None]


class Upstream:
    """Listens on a free port. Each request goes to `handler`; connections are kept alive until it closes them."""

    def __init__(self) -> None:
        self.seen: queue.SimpleQueue[Exchange] = queue.SimpleQueue()
        self.handler: Handler = Exchange.answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def next(self) -> Exchange:
        return self.seen.get(timeout=PATIENCE)

    def reset(self) -> None:
        self.handler = Exchange.answer
        while not self.seen.empty():
            self.seen.get()

    def close(self) -> None:
        for opened in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self._connections.append(connection)
            number += 1
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        """nginx keeps the connection for its next request, however late that is, so it is read until it is closed."""
        data = b""
        with contextlib.suppress(OSError, EOFError), connection:
            while True:
                connection.settimeout(None)
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, data = data.partition(b"\r\n\r\n")
                connection.settimeout(PATIENCE)
                exchange = Exchange(connection, number, head, data)
                data = b""
                self.seen.put(exchange)
                self.handler(exchange)
