"""Which backend a request goes to.

Everything that changes who may get requests comes through here, so that the queue moves when it can, and so
that what waits for a backend that went down goes elsewhere at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from heliograph_proxy import eventlog as events
from heliograph_proxy.balancing.backends import Backend, Change, Check
from heliograph_proxy.balancing.queue import RequestQueue, WaitingRequest
from heliograph_proxy.balancing.selection import ClientShare, candidates, with_room
from heliograph_proxy.balancing.slots import HANDSHAKE, Slot
from heliograph_proxy.balancing.strategies import RequestInfo, Strategy
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import BadGateway, SomethingSent, Unavailable
from heliograph_proxy.retrybudget import RetryBudget
from heliograph_proxy.streams import SocketStream


class Balancer:
    """The backends, the strategy, and the queue."""

    def __init__(
        self, backends: Iterable[Backend], strategy: Strategy, queue: RequestQueue, share: float = 1.0
    ) -> None:
        self.backends = list(backends)
        self.strategy = strategy
        self.queue = queue
        #: Requests in flight at all backends.
        self.in_flight = 0
        self.retries = RetryBudget()
        #: By backend: connections on which a request waits for its answer that could as well go elsewhere.
        self.waiting: defaultdict[Backend, set[SocketStream]] = defaultdict(set)
        self._withdrawn: set[Backend] = set()
        self._share = ClientShare(share)
        self._share.refresh(self.backends, monotonic())

    def acquire(
        self, request: RequestInfo, tried: Collection[str], client: SocketStream, *, tunnel: bool
    ) -> Slot:
        """A slot at a backend. Waits in the queue if need be; Unavailable or TooManyRequests if there is none to be had."""
        usable = candidates(self.backends, request.now, tried)
        if not usable:
            raise Unavailable("no backend is available")
        slot: Slot | None = None
        if not self.queue and self._allows(request.client, request.now):
            free = with_room(usable, tunnel)
            if free:
                slot = self._take(free, request, tunnel)
        if slot is None:
            slot = self._wait(WaitingRequest(request, tried, tunnel), client, usable)
        slot.backend.requests += 1
        return slot

    def release(self, slot: Slot) -> None:
        """Give the slot back. Once more does nothing."""
        if slot.in_flight:
            self.in_flight -= 1
        slot.end()
        if self.queue:
            self.assign()
        if self._withdrawn and slot.backend in self._withdrawn:
            self.withdraw(slot.backend)

    def begin_tunnel(self, slot: Slot) -> bool:
        """The request is a tunnel from now on: counted as that, and not in a slot for requests. False if there are as many
        tunnels as may be, which happens to a stream only: a handshake has its place."""
        if slot.use is not HANDSHAKE and not slot.backend.has_room_for_tunnel:
            return False
        slot.become_tunnel()
        self.in_flight -= 1
        self.assign()
        return True

    def end_handshake(self, slot: Slot) -> None:
        """The request does not become a tunnel."""
        slot.end_handshake()
        self.assign()

    def assign(self) -> None:
        """Give free slots to those who wait, until none of them could have one. The only place that does.

        Called whenever a request arrives or ends and whenever anything changed about backends. Costs a look at each kind of
        request for each slot given away, and not at each request.
        """
        queue, now = self.queue, monotonic()
        kinds = queue.kinds()
        while kinds:
            chosen: WaitingRequest | None = None
            for kind in kinds:
                first = queue.first(kind, lambda client: self._allows(client, now))
                if first is not None and (chosen is None or first.number < chosen.number):
                    chosen = first
            if chosen is None:
                return
            tunnel, tried = chosen.kind
            free = with_room(candidates(self.backends, now, tried), tunnel)
            if not free:
                kinds.remove(chosen.kind)
                continue
            request = chosen.request
            request.waited, request.now = now - request.now, now
            try:
                chosen.slot = self._take(free, request, tunnel)
            except Exception as exc:  # a user's strategy: its mistake is this request's, and not the caller's
                chosen.failure = exc
            queue.take(chosen)
            chosen.ready.set()

    def changed(self) -> None:
        """Backends, their state, their settings or the time have changed."""
        self._share.refresh(self.backends, monotonic())
        if self.queue:
            self.assign()

    def set_share(self, share: float) -> None:
        self._share.share = share
        self.changed()

    def failed(self, backend: Backend, reason: str) -> None:
        """An attempt at this backend failed."""
        now = monotonic()
        last = not any(one.available(now) for one in self.backends if one is not backend)
        self._tell(backend, backend.failed(now, reason, last=last))

    def checked(self, backend: Backend, check: Check) -> None:
        """An active check of this backend was done."""
        self._tell(backend, backend.checked(check, monotonic()))

    def staying(self) -> list[Backend]:
        """The backends that are not on their way out."""
        return [one for one in self.backends if one not in self._withdrawn]

    def withdraw(self, backend: Backend) -> None:
        """Take a backend away, with its last request or tunnel."""
        if backend.active or backend.tunnels:
            self._withdrawn.add(backend)
            self.changed()
            return
        self._withdrawn.discard(backend)
        self.waiting.pop(backend, None)
        if backend in self.backends:
            self.backends.remove(backend)
        events.log("backend-removed", backend=backend.name)
        self.changed()

    def _tell(self, backend: Backend, change: Change | None) -> None:
        if change is None:
            return
        events.log(f"backend-{change.event}", backend=backend.name, reason=change.reason)
        if not backend.healthy:
            for stream in self.waiting[backend]:
                stream.interrupt(SomethingSent(BadGateway("the backend went down")))
        self.changed()

    def _allows(self, client: str, now: float) -> bool:
        return self._share.allows(client, self.in_flight, self.backends, now)

    def _take(self, free: list[Backend], request: RequestInfo, tunnel: bool) -> Slot:
        """A slot of one of these, which all have one."""
        backend = _preferred(free, request.preferred)
        if backend is None:
            backend = self.strategy.select(free, request) if len(free) > 1 else free[0]
        slot = Slot(backend, request.client, tunnel)
        self.in_flight += 1
        return slot

    def _wait(self, waiting: WaitingRequest, client: SocketStream, usable: list[Backend]) -> Slot:
        self.queue.add(waiting)
        self.assign()
        if waiting.taken():
            return waiting.result()
        shown_in = min(usable, key=lambda one: one.queued / one.weight)
        try:
            return self.queue.wait(waiting, client, shown_in)
        except BaseException:
            given = waiting.given()
            if given is not None:  # the slot came together with the reason to go
                self.release(given)
            raise


def _preferred(free: list[Backend], name: str) -> Backend | None:
    """The one that a session sticks to."""
    return next((one for one in free if one.name == name), None) if name else None
