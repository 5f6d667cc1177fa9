"""What the proxy holds in memory for clients: the beginnings of bodies that still arrive, and answers that wait to be read.

All of it is counted in one place, `HeldBytes`, against `limits.held_bytes` and against the share of one client.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import gevent
from gevent.event import Event

from heliograph_proxy.clientcounts import ClientCounts
from heliograph_proxy.clock import monotonic
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

#: The part that several clients can use up. The rest is for clients that hold no more than the beginning of one body.
COMMON_SHARE: Final = 0.875

#: Bodies that wait for room. One more ends the wait of another, of the client of which most wait. Not Final: tests have fewer.
MOST_WAITING = 1000


class _Waiting:
    """A body that waits unread until there is room."""

    __slots__ = ("client", "line", "ready", "size", "taken", "waits")

    def __init__(self, client: str, size: int, line: _Line) -> None:
        self.client = client
        self.size = size
        self.line = line
        #: Whether it is in its line.
        self.waits = True
        self.taken = False
        #: Something about it has changed.
        self.ready = Event()


#: By client, the next one first. Ordered dictionaries, because any body may leave at any time.
_Line = OrderedDict[str, OrderedDict[_Waiting, None]]


class HeldBytes:
    """`take` before bytes are kept, `give` when they are not kept any more. `seconds`: how long a body waits for room."""

    def __init__(self, most: int, seconds: float) -> None:
        self.total = 0
        self._most = most
        self._seconds = seconds
        self._by_client = ClientCounts()
        #: Bodies that hold some already come first, so that this is given back soon.
        self._begun: _Line = OrderedDict()
        self._others: _Line = OrderedDict()
        #: Bodies in both lines, and of each client.
        self._count = 0
        self._bodies = ClientCounts()

    def configure(self, most: int, seconds: float) -> None:
        """New bounds. Each that waits looks again how long it may."""
        self._most, self._seconds = most, seconds
        self._assign()
        for line in (self._begun, self._others):
            for bodies in line.values():
                for waiting in bodies:
                    waiting.ready.set()

    @property
    def most_of_body(self) -> int:
        """How much of a body is read before a slot is taken: never more than one client may have."""
        return min(MOST_OF_BODY, int(self._most * CLIENT_SHARE))

    def take(self, client: str, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        if not size:
            return True
        if self.total + size > self._bound(self._by_client.of(client) + size):
            return False
        self.total += size
        self._by_client.add(client, size)
        return True

    def give(self, client: str, size: int) -> None:
        if size:
            self.total -= size
            self._by_client.remove(client, size)
            if self._count:
                self._assign()

    def wait(self, client: str, size: int, *, begun: bool = False) -> bool:
        """As `take`, but waits for room. `begun`: for more of a body that holds some already."""
        line = self._begun if begun else self._others
        if not size or (not self._begun and not line and self.take(client, size)):
            return True
        waiting = _Waiting(client, size, line)
        self._add(waiting)
        try:
            self._assign()
            self._wait(waiting)
        except BaseException:  # this greenlet is being killed
            if waiting.taken:
                self.give(client, size)
            raise
        finally:
            if not waiting.taken:
                self._remove(waiting)
                self._assign()  # those behind it
        return waiting.taken

    def _wait(self, waiting: _Waiting) -> None:
        since = monotonic()
        while waiting.waits:
            left = since + self._seconds - monotonic()
            if left <= 0:
                return
            waiting.ready.clear()
            waiting.ready.wait(left)

    def _bound(self, has: int) -> float:
        """How much all may hold where one of them would have so much."""
        if has > self._most * CLIENT_SHARE:
            return 0.0
        return self._most if has <= self.most_of_body else self._most * COMMON_SHARE

    def _assign(self) -> None:
        """Give room to those that wait."""
        if self._assign_line(self._begun):
            self._assign_line(self._others)

    def _assign_line(self, line: _Line) -> bool:
        """To the clients in turn, to each in the order of its bodies. A client without room of its share holds up no other, but
        what a client within its share needs is not given to those behind it: False when one waits for that."""
        clients = list(line)
        for client in clients:
            waiting = next(iter(line[client]))
            if self.take(client, waiting.size):
                self._remove(waiting)
                waiting.taken = True
                waiting.ready.set()
                if client in line:
                    line.move_to_end(client)
                    clients.append(client)
            elif self._bound(self._by_client.of(client) + waiting.size) >= self._most:
                return False
        return True

    def _add(self, waiting: _Waiting) -> None:
        waiting.line.setdefault(waiting.client, OrderedDict())[waiting] = None
        self._count += 1
        self._bodies.add(waiting.client)
        if self._count > MOST_WAITING:
            self._end_one()

    def _end_one(self) -> None:
        """The last body of the client of which most wait: of several such clients, of the one that would be served last."""
        clients = [*reversed(self._others), *reversed(self._begun)]
        longest = max(clients, key=self._bodies.of)
        line = self._others if longest in self._others else self._begun
        last = next(reversed(line[longest]))
        self._remove(last)
        last.ready.set()

    def _remove(self, waiting: _Waiting) -> None:
        """If it still waits."""
        if waiting.waits:
            waiting.waits = False
            bodies = waiting.line[waiting.client]
            del bodies[waiting]
            if not bodies:
                del waiting.line[waiting.client]
            self._count -= 1
            self._bodies.remove(waiting.client)


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
