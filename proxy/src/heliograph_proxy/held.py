"""What the proxy holds in memory for clients: the beginnings of bodies that still arrive, and answers that wait to be read.

All of it is counted in one place, `HeldBytes`, against `limits.held_bytes` and against the share of one client.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import gevent
from gevent.event import Event

from heliograph_proxy.errors import StreamError
from heliograph_proxy.streams import SocketStream

#: Of a body so much is read before a slot is taken: most are shorter, and a backend then never waits for a slow client.
MOST_OF_BODY: Final = 1 << 16

#: An answer of at most so much is read at its backend's speed. Most pages are shorter.
MOST_OF_ANSWER: Final = 1 << 18

#: The same with a head and the framing of chunks.
MOST_UNSENT: Final = MOST_OF_ANSWER + (1 << 16) + (1 << 12)

#: The part of all held bytes that one client may have: another one always finds room.
CLIENT_SHARE: Final = 0.5


#: Bodies that wait for room. Each is looked at whenever room is given back.
MOST_WAITING: Final = 1000


class _Waiting:
    """A body that waits unread until there is room."""

    __slots__ = ("client", "ready", "size", "taken")

    def __init__(self, client: str, size: int) -> None:
        self.client = client
        self.size = size
        self.taken = False
        self.ready = Event()


class HeldBytes:
    """`take` before bytes are kept, `give` when they are not kept any more."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._most = most
        self._by_client: dict[str, int] = {}
        self._waiting: deque[_Waiting] = deque()

    def configure(self, most: int) -> None:
        self._most = most
        self._serve()

    @property
    def most_of_body(self) -> int:
        """How much of a body is read before a slot is taken: never more than one client may have."""
        return min(MOST_OF_BODY, int(self._most * CLIENT_SHARE))

    def take(self, client: str, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        if not size:
            return True
        has = self._by_client.get(client, 0) + size
        if self.total + size > self._most or has > self._most * CLIENT_SHARE:
            return False
        self.total += size
        self._by_client[client] = has
        return True

    def give(self, client: str, size: int) -> None:
        self.total -= size
        left = self._by_client.get(client, 0) - size
        if left:
            self._by_client[client] = left
        else:
            self._by_client.pop(client, None)
        if self._waiting:
            self._serve()

    def wait(self, client: str, size: int, seconds: float) -> bool:
        """As `take`, but waits for room."""
        if self.take(client, size):
            return True
        if len(self._waiting) >= MOST_WAITING:
            return False
        waiting = _Waiting(client, size)
        self._waiting.append(waiting)
        try:
            waiting.ready.wait(seconds)
        except BaseException:  # this greenlet is being killed
            if waiting.taken:
                self.give(client, size)
            raise
        finally:
            if not waiting.taken:
                self._waiting.remove(waiting)
        return waiting.taken

    def _serve(self) -> None:
        """Give room to those who wait, in their order; a client without room of its share holds nobody up."""
        for waiting in tuple(self._waiting):
            if self.take(waiting.client, waiting.size):
                self._waiting.remove(waiting)
                waiting.taken = True
                waiting.ready.set()


class UnsentAnswer:
    """What a client has not taken yet of one answer.

    `add` to it while the backend's part of the answer is being read; then `finish`, or `stop`.
    """

    def __init__(self, held: HeldBytes, name: str, client: SocketStream, backend: SocketStream) -> None:
        self._held = held
        self._name = name
        self._client = client
        #: The connection whose reader must know when the client has gone.
        self._backend: SocketStream | None = backend
        self._pieces: list[bytes] = []
        self._size = 0
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._error: StreamError | None = None

    @property
    def empty(self) -> bool:
        return not self._size

    def add(self, data: bytes | memoryview) -> bool:
        """Keep these bytes; False where there is no room for them."""
        if self._error is not None:
            raise self._error
        size = len(data)
        if self._size + size > MOST_UNSENT or not self._held.take(self._name, size):
            return False
        self._pieces.append(bytes(data))  # a view would keep what was sent before it, too
        self._size += size
        return True

    def send_meanwhile(self) -> None:
        """Send in a separate greenlet while the backend is read."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def drain(self) -> None:
        """Returns when the client has taken all of it."""
        if self._greenlet is None:
            self._send()
        else:
            self._greenlet.join()
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """As `drain`, for the last time: the backend has done its part, and its connection may serve another request."""
        self._backend = None
        try:
            self.drain()
        finally:
            self.stop()

    def stop(self) -> None:
        """Nothing more is sent."""
        if self._greenlet is not None:
            self._greenlet.kill()
        if self._size:
            self._held.give(self._name, self._size)
        self._size = 0
        self._pieces = []

    def _run(self) -> None:
        try:
            self._send()
        except StreamError as exc:
            self._error = exc
            if self._backend is not None:
                self._backend.interrupt(exc)
        self._greenlet = None

    def _send(self) -> None:
        while self._pieces:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            self._client.send_rest(memoryview(data))
            size = len(data)
            self._size -= size
            self._held.give(self._name, size)
