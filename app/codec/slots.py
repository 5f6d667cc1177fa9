"""Which codec jobs run and which wait: slots that clients share. Pure.

`Slots.assign` alone decides, on every arrival and departure. Jobs go in the order in which they came, but none holds up what
can run beside it: a job whose client has its share, or that needs more slots than are free, is passed over. So that a job of
several slots is not passed over for ever, those that overtake it get at most the slots that it would leave free itself; the
others gather for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from heliograph.request.shares import Shares, three_quarters


@dataclass(eq=False, slots=True)
class SlotRequest:
    """A job that takes `count` slots of its client; `start` is called when it has them.

    `overtaken`: slots of the jobs that were started though this one had come before them.
    """

    client: str
    count: int
    start: Callable[[], None]
    overtaken: int = 0
    overtook: SlotRequest | None = field(default=None, repr=False)


class Slots:
    """`size` slots, and as many places to wait. One client has at most three quarters of each, rounded up."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.free = size
        self.waiting: list[SlotRequest] = []
        self._running = Shares(three_quarters(size))
        self._queued = Shares(three_quarters(size))

    def fitting(self, client: str, count: int) -> int:
        """As many slots as a job of `client` can have at all."""
        return max(1, min(count, self._running.most if client else self.size))

    def arrive(self, request: SlotRequest) -> bool:
        """Start a job, or let it wait. False: it can do neither, and is not kept."""
        self.waiting.append(request)
        self._queued.take(request.client)
        self.assign()
        if request not in self.waiting:
            return True
        if len(self.waiting) <= self.size and self._queued.of(request.client) <= self._limit(request.client):
            return True
        self._remove(request)
        return False

    def give_up(self, request: SlotRequest) -> None:
        """A job that waits is not wanted any more."""
        self._remove(request)
        self.assign()

    def release(self, request: SlotRequest) -> None:
        """A job that was started has ended."""
        self.free += request.count
        self._running.give_back(request.client, request.count)
        if request.overtook is not None:
            request.overtook.overtaken -= request.count
        self.assign()

    def assign(self) -> None:
        """Start all that can run now."""
        while self._started_some():
            pass  # a job that was passed over may have no room any more: its client had another one started

    def _started_some(self) -> bool:
        before, passed_over = self.free, None
        for request in tuple(self.waiting):
            if not self._running.has_room(request.client, request.count):
                continue
            if request.count <= self.free and self._may_overtake(request, passed_over):
                self._start(request, passed_over)
            elif passed_over is None and request.count > 1:
                passed_over = request
        return self.free < before

    def _may_overtake(self, request: SlotRequest, other: SlotRequest | None) -> bool:
        return other is None or other.overtaken + request.count <= max(1, self.size - other.count)

    def _start(self, request: SlotRequest, overtook: SlotRequest | None) -> None:
        self._remove(request)
        self.free -= request.count
        self._running.take(request.client, request.count)
        if overtook is not None:
            request.overtook = overtook
            overtook.overtaken += request.count
        request.start()

    def _remove(self, request: SlotRequest) -> None:
        self.waiting.remove(request)
        self._queued.give_back(request.client)

    def _limit(self, client: str) -> int:
        return self._queued.most if client else self.size
