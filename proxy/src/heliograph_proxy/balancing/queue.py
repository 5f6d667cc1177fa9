"""The queue for requests when all backends are full: first in, first out, bounded in length and time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from gevent.event import Event

from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.strategies import RequestInfo
from heliograph_proxy.errors import ClientGone, Unavailable
from heliograph_proxy.streams import SocketStream


class QueuedRequest:
    """A request in the queue."""

    __slots__ = ("backend", "gone", "ready", "request", "tried", "tunnel")

    def __init__(self, request: RequestInfo, tried: Collection[str], tunnel: bool) -> None:
        self.request = request
        self.tried = tried
        self.tunnel = tunnel
        #: The backend whose slot it got.
        self.backend: Backend | None = None
        #: The client went away.
        self.gone = False
        self.ready = Event()


class RequestQueue:
    """`serve` is called whenever there may be room."""

    def __init__(self, length: int, seconds: float) -> None:
        self._requests: deque[QueuedRequest] = deque()
        self._length = length
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._requests)

    def configure(self, length: int, seconds: float) -> None:
        self._length, self._seconds = length, seconds

    def wait(self, waiting: QueuedRequest, client: SocketStream, shown_in: Backend) -> Backend | None:
        """The backend whose slot it got, or None when the time is up. ClientGone: the client went away."""
        if len(self._requests) >= self._length:
            raise Unavailable("all backends are busy and the queue is full", limit=self._length)
        shown_in.queued += 1
        self._requests.append(waiting)
        client.on_readable = lambda: self._look_after(waiting, client)
        try:
            client.arm()
            waiting.ready.wait(self._seconds)
        finally:
            client.on_readable = None
            shown_in.queued -= 1
            if waiting in self._requests:
                self._requests.remove(waiting)
        if waiting.gone:
            raise ClientGone("the client went away while waiting in the queue")
        return waiting.backend

    def serve(self, choose: Callable[[QueuedRequest], Backend | None]) -> None:
        """Give slots to those who wait, in their order, until `choose` has none left."""
        for waiting in tuple(self._requests):
            backend = choose(waiting)
            if backend is not None:
                self._requests.remove(waiting)
                waiting.backend = backend
                waiting.ready.set()
            elif not waiting.tried and not waiting.tunnel:
                return  # who stands behind has no more to choose from

    @staticmethod
    def _look_after(waiting: QueuedRequest, client: SocketStream) -> None:
        """The client said something while it waits. If that is the end, the wait is over."""
        if client.peek() == b"":
            waiting.gone = True
            waiting.ready.set()
