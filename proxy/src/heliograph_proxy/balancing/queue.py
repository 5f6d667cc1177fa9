"""The requests that wait for a slot, bounded in number and time, for all clients and for each of them.

Requests that can take the same slots are of one kind: tunnel or not, and the backends that they have tried. Each kind has
its own order, so a request of one kind never stands in the way of another kind. Within a kind the clients take turns, and
the requests of one client keep their order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection

from gevent.event import Event

from heliograph_proxy import streams
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.slots import Slot
from heliograph_proxy.balancing.strategies import RequestInfo
from heliograph_proxy.clientcounts import ClientCounts
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import ClientGone, TooManyRequests, Unavailable
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER

#: What a request can take: whether it is a tunnel, and the backends that it has tried.
Kind = tuple[bool, frozenset[str]]


class WaitingRequest:
    """A request that waits, or that has just got its slot."""

    __slots__ = ("client", "failure", "kind", "leaves_at", "number", "ready", "request", "slot")

    def __init__(self, request: RequestInfo, tried: Collection[str], tunnel: bool) -> None:
        self.request = request
        self.client = request.client
        self.kind: Kind = (tunnel, frozenset(tried))
        #: Its place in the order of all arrivals; set by the queue.
        self.number = 0
        self.slot: Slot | None = None
        #: Why it gets none although there was one for it.
        self.failure: Exception | None = None
        #: When its client counts as gone.
        self.leaves_at = NEVER
        #: Something about it has changed.
        self.ready = Event()

    def given(self) -> Slot | None:
        """Its slot, at this moment: of `slot` itself mypy, and so what mypyc makes, believes that no call changes it."""
        return self.slot

    def taken(self) -> bool:
        """Whether it has left the queue, with a slot or a failure."""
        return self.slot is not None or self.failure is not None

    def result(self) -> Slot:
        """Its slot, once it was taken. Raises its failure."""
        if self.failure is not None:
            raise self.failure
        assert self.slot is not None
        return self.slot


#: The requests of one client, and such by client. Ordered dictionaries, because any of them may leave at any time, and
#: finding the first one must not depend on how many have left.
Requests = OrderedDict[WaitingRequest, None]
Clients = OrderedDict[str, Requests]


class RequestQueue:
    """`add`; then either `take`, by who has a slot for it, or `wait`, which ends with it taken or removed."""

    def __init__(self, length: int, seconds: float, per_client: int | None = None) -> None:
        self._kinds: dict[Kind, Clients] = {}
        self._by_client = ClientCounts()
        self._count = 0
        self._arrivals = 0
        self._length = length
        self._seconds = seconds
        self._per_client = length if per_client is None else per_client

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return self._count > 0

    def configure(self, length: int, seconds: float, per_client: int) -> None:
        """New bounds. Each that waits looks again how long it may."""
        self._length, self._seconds, self._per_client = length, seconds, per_client
        for clients in self._kinds.values():
            for requests in clients.values():
                for waiting in requests:
                    waiting.ready.set()

    def add(self, waiting: WaitingRequest) -> None:
        self._arrivals += 1
        waiting.number = self._arrivals
        clients = self._kinds.setdefault(waiting.kind, OrderedDict())
        clients.setdefault(waiting.client, OrderedDict())[waiting] = None
        self._by_client.add(waiting.client)
        self._count += 1

    def kinds(self) -> list[Kind]:
        return list(self._kinds)

    def first(self, kind: Kind, allowed: Callable[[str], bool]) -> WaitingRequest | None:
        """The next request of this kind: the first one of the first client that is allowed to have a slot.

        At most 1 / share clients can have used up their share, so few are passed over.
        """
        for client, requests in self._kinds.get(kind, {}).items():
            if allowed(client):
                return next(iter(requests))
        return None

    def take(self, waiting: WaitingRequest) -> None:
        """It has a slot, or fails. The other clients are next."""
        self._remove(waiting)
        clients = self._kinds.get(waiting.kind)
        if clients and waiting.client in clients:
            clients.move_to_end(waiting.client)

    def wait(self, waiting: WaitingRequest, client: SocketStream, shown_in: Backend) -> Slot:
        """The slot that it gets. Unavailable: it would be one too many, or the time is up. TooManyRequests: this client has
        its part of the queue. ClientGone: the client went away."""
        try:
            self._check_bounds(waiting)
            self._wait(waiting, client, shown_in)
        finally:
            if not waiting.taken():
                self._remove(waiting)
        if waiting.taken():
            return waiting.result()
        if monotonic() >= waiting.leaves_at:
            raise ClientGone("the client went away while waiting in the queue")
        raise Unavailable("all backends were busy for too long")

    def _check_bounds(self, waiting: WaitingRequest) -> None:
        if self._count > self._length:
            raise Unavailable("all backends are busy and the queue is full", limit=self._length)
        if self._by_client.of(waiting.client) > self._per_client:
            raise TooManyRequests("too many requests of this client wait already", limit=self._per_client)

    def _wait(self, waiting: WaitingRequest, client: SocketStream, shown_in: Backend) -> None:
        begun = monotonic()
        shown_in.queued += 1
        client.on_readable = lambda: self._look_after(waiting, client)
        try:
            client.arm()
            while not waiting.taken():
                left = min(begun + self._seconds, waiting.leaves_at) - monotonic()
                if left <= 0:
                    return
                waiting.ready.clear()
                waiting.ready.wait(left)
        finally:
            client.on_readable = None
            shown_in.queued -= 1

    def _remove(self, waiting: WaitingRequest) -> None:
        clients = self._kinds[waiting.kind]
        requests = clients[waiting.client]
        del requests[waiting]
        if not requests:
            del clients[waiting.client]
        if not clients:
            del self._kinds[waiting.kind]
        self._by_client.remove(waiting.client)
        self._count -= 1

    @staticmethod
    def _look_after(waiting: WaitingRequest, client: SocketStream) -> None:
        """The client said something while it waits. If that is the end, the wait is over soon."""
        if client.peek() == b"":
            waiting.leaves_at = monotonic() + streams.HALF_CLOSE_SECONDS
            waiting.ready.set()
