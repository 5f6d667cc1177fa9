"""Which backend a request goes to.

Everything that changes who may get requests comes through here, so that the queue moves when it can, and so
that what waits for a backend that went down goes elsewhere at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

from heliograph_proxy import eventlog as events
from heliograph_proxy.balancing.backends import Backend, Change, Check
from heliograph_proxy.balancing.queue import QueuedRequest, RequestQueue
from heliograph_proxy.balancing.strategies import RequestInfo, Strategy
from heliograph_proxy.errors import BadGateway, SomethingSent, Unavailable
from heliograph_proxy.retrybudget import RetryBudget
from heliograph_proxy.streams import SocketStream


class Balancer:
    """The backends, the strategy, and the queue."""

    def __init__(self, backends: Iterable[Backend], strategy: Strategy, queue: RequestQueue) -> None:
        self.backends = list(backends)
        self.strategy = strategy
        self.queue = queue
        #: Requests in flight at all backends.
        self.in_flight = 0
        self.retries = RetryBudget()
        #: By backend: connections on which a request waits for its answer that could as well go elsewhere.
        self.waiting: defaultdict[Backend, set[SocketStream]] = defaultdict(set)
        self._withdrawn: set[Backend] = set()

    def acquire(
        self, request: RequestInfo, tried: Collection[str], client: SocketStream, *, tunnel: bool
    ) -> Backend:
        """A backend with a slot taken in it. Waits in the queue if need be; Unavailable if there is none to
        be had."""
        candidates = self._candidates(request.now, tried)
        if not candidates:
            raise Unavailable("no backend is available")
        backend = None if self.queue else self._choose(candidates, request, tunnel)
        if backend is None:
            backend = self._wait(QueuedRequest(request, tried, tunnel), client, candidates)
            request.waited = monotonic() - request.now
        backend.requests += 1
        return backend

    def release(self, backend: Backend) -> None:
        """Give the slot back."""
        backend.active -= 1
        self.in_flight -= 1
        if self.queue:
            self.serve_queue()
        if self._withdrawn and backend in self._withdrawn:
            self.withdraw(backend)

    @contextmanager
    def tunnel(self, backend: Backend) -> Iterator[None]:
        """A request is a tunnel for this long: counted as that, and not in a slot for requests."""
        backend.tunnels += 1
        backend.active -= 1
        self.in_flight -= 1
        self.serve_queue()
        try:
            yield
        finally:
            backend.tunnels -= 1
            backend.active += 1
            self.in_flight += 1

    def failed(self, backend: Backend, reason: str) -> None:
        """An attempt at this backend failed."""
        now = monotonic()
        last = not any(one.available(now) for one in self.backends if one is not backend)
        self._tell(backend, backend.failed(now, reason, last=last))

    def checked(self, backend: Backend, check: Check) -> None:
        """An active check of this backend was done."""
        self._tell(backend, backend.checked(check, monotonic()))

    def serve_queue(self) -> None:
        """Give free slots to those who wait."""
        if self.queue:
            now = monotonic()
            self.queue.serve(
                lambda one: self._choose(self._candidates(now, one.tried), one.request, one.tunnel)
            )

    def withdraw(self, backend: Backend) -> None:
        """Take a backend away, with its last request or tunnel."""
        if backend.active or backend.tunnels:
            self._withdrawn.add(backend)
            return
        self._withdrawn.discard(backend)
        self.waiting.pop(backend, None)
        if backend in self.backends:
            self.backends.remove(backend)
        events.log("backend-removed", backend=backend.name)

    def _tell(self, backend: Backend, change: Change | None) -> None:
        if change is None:
            return
        events.log(f"backend-{change.event}", backend=backend.name, reason=change.reason)
        if not backend.healthy:
            for stream in self.waiting[backend]:
                stream.interrupt(SomethingSent(BadGateway("the backend went down")))
        self.serve_queue()

    def _candidates(self, now: float, tried: Collection[str]) -> list[Backend]:
        """The backends that may have the request; backups only where no other may."""
        first: list[Backend] = []
        spare: list[Backend] = []
        for one in self.backends:
            if one.available(now) and one.name not in tried:
                (spare if one.settings.backup else first).append(one)
        return first or spare

    def _choose(self, candidates: list[Backend], request: RequestInfo, tunnel: bool) -> Backend | None:
        """Take a slot where there is one."""
        free = [one for one in candidates if one.has_room(tunnel)]
        if not free:
            return None
        backend = _preferred(free, request.preferred)
        if backend is None:
            backend = self.strategy.select(free, request) if len(free) > 1 else free[0]
        backend.active += 1
        self.in_flight += 1
        return backend

    def _wait(self, waiting: QueuedRequest, client: SocketStream, candidates: list[Backend]) -> Backend:
        shown_in = min(candidates, key=lambda one: one.queued / one.weight)
        try:
            backend = self.queue.wait(waiting, client, shown_in)
        except BaseException:
            if waiting.backend is not None:  # the slot came together with the reason to go
                self.release(waiting.backend)
            raise
        if backend is None:
            raise Unavailable("all backends were busy for too long")
        return backend


def _preferred(free: list[Backend], name: str) -> Backend | None:
    """The one that a session sticks to."""
    return next((one for one in free if one.name == name), None) if name else None
