"""Who gets which slot, whatever happens in whatever order: the balancer against a simple model of it."""

from __future__ import annotations

import math
import socket
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Any

import gevent
from heliograph_proxy.balancing.backends import Backend, Check, OperatorState
from heliograph_proxy.balancing.balancer import Balancer
from heliograph_proxy.balancing.queue import RequestQueue
from heliograph_proxy.balancing.selection import part_of_queue
from heliograph_proxy.balancing.slots import Slot, SlotUse
from heliograph_proxy.balancing.strategies import STRATEGIES, RequestInfo, create
from heliograph_proxy.errors import TooManyRequests, Unavailable
from heliograph_proxy.settings import BackendSettings, HealthSettings, backend
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import Sweeper
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NAMES = ("a", "b", "c")
#: Longer than any test: nobody leaves the queue by time.
LONG = 600.0
QUEUE = 6

HEALTH = HealthSettings(rise=1, fall=1, eject_failures=1, eject_time=LONG, slow_start=0.0)

shares = st.sampled_from([0.5, 0.75, 1.0])
clients = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
names = st.sampled_from(NAMES)
mostly = st.sampled_from([True, True, True, False])
small = st.integers(min_value=1, max_value=3)


def configured(name: str, **bounds: int) -> BackendSettings:
    return backend({"name": name, "address": "127.0.0.1:1", **bounds}, "x")


@dataclass(eq=False)
class Arrival:
    """A request as the model sees it."""

    client: str
    tunnel: bool
    tried: frozenset[str]
    greenlet: Any = None
    slot: Slot | None = None

    @property
    def waits(self) -> bool:
        return not self.greenlet.ready()

    @property
    def kind(self) -> tuple[str, bool, frozenset[str]]:
        return self.client, self.tunnel, self.tried


class Assignment(RuleBasedStateMachine):
    """Arrivals, ends and changes in any order."""

    def __init__(self) -> None:
        super().__init__()
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.stream = SocketStream(ours, Sweeper(), 1.0)
        #: In the order of their arrival, until they have ended.
        self.arrivals: list[Arrival] = []

    @initialize(strategy=st.sampled_from(sorted(STRATEGIES)), share=shares)
    def start(self, strategy: str, share: float) -> None:
        self.share = share
        bounds = {"max_connections": 2, "max_tunnels": 1}
        self.backends = [Backend(configured(name, backup=name == "c", **bounds), HEALTH) for name in NAMES]
        queue = RequestQueue(QUEUE, LONG, part_of_queue(QUEUE, share))
        self.balancer = Balancer(self.backends, create(strategy, Random(1)), queue, share)

    def settle(self) -> None:
        """Let those run that have got a slot."""
        for _ in range(3):
            gevent.sleep(0)

    # What happens.

    @rule(
        client=clients,
        tunnel=st.booleans(),
        tried=st.frozensets(names, max_size=1),
        preferred=st.sampled_from(["", *NAMES]),
        times=st.integers(1, 4),
    )
    def arrive(self, client: str, tunnel: bool, tried: frozenset[str], preferred: str, times: int) -> None:
        for _ in range(times):
            self.arrive_once(Arrival(client, tunnel, tried), preferred)

    def arrive_once(self, arrival: Arrival, preferred: str) -> None:
        room = self.could_have(arrival)
        arrival.greenlet = gevent.spawn(self.acquire, arrival, preferred)
        self.settle()
        if arrival.greenlet.ready():
            refused = arrival.greenlet.get()
            assert (arrival.slot is None) is refused
            assert not (room and refused), "refused although there was a slot"
            if refused:
                return
        else:
            assert not room, "it waits although there was a slot"
        self.arrivals.append(arrival)

    def acquire(self, arrival: Arrival, preferred: str) -> bool:
        """Whether it was refused."""
        request = RequestInfo(arrival.client, monotonic(), preferred)
        waiting, of_client = len(self.waiting()), sum(one.client == arrival.client for one in self.waiting())
        try:
            slot = self.balancer.acquire(request, arrival.tried, self.stream, tunnel=arrival.tunnel)
        except Unavailable:
            assert waiting >= QUEUE or not self.usable(arrival.tried)
            return True
        except TooManyRequests:
            assert of_client >= part_of_queue(QUEUE, self.share)
            return True
        assert slot.backend.name not in arrival.tried
        earlier = self.arrivals[: self.arrivals.index(arrival)] if arrival in self.arrivals else self.arrivals
        assert not any(one.slot is None and one.kind == arrival.kind for one in earlier), "overtaken"
        arrival.slot = slot
        return False

    def held(self) -> list[Arrival]:
        return [one for one in self.arrivals if one.slot is not None]

    def waiting(self) -> list[Arrival]:
        return [one for one in self.arrivals if one.slot is None]

    @precondition(lambda self: self.held())
    @rule(data=st.data(), twice=st.booleans())
    def end(self, data: st.DataObject, twice: bool) -> None:
        arrival = data.draw(st.sampled_from(self.held()))
        assert arrival.slot is not None
        self.arrivals.remove(arrival)
        for _ in range(1 + twice):
            self.balancer.release(arrival.slot)

    @precondition(lambda self: any(one.slot.use is SlotUse.HANDSHAKE for one in self.held()))
    @rule(data=st.data(), accepted=st.booleans())
    def answer_handshake(self, data: st.DataObject, accepted: bool) -> None:
        open_now = [one for one in self.held() if one.slot and one.slot.use is SlotUse.HANDSHAKE]
        slot = data.draw(st.sampled_from(open_now)).slot
        assert slot is not None
        if accepted:
            assert self.balancer.begin_tunnel(slot)
        else:
            self.balancer.end_handshake(slot)

    @precondition(lambda self: any(one.slot.use is SlotUse.REQUEST for one in self.held()))
    @rule(data=st.data())
    def begin_stream(self, data: st.DataObject) -> None:
        requests = [one for one in self.held() if one.slot and one.slot.use is SlotUse.REQUEST]
        slot = data.draw(st.sampled_from(requests)).slot
        assert slot is not None
        room = slot.backend.tunnels + slot.backend.handshakes < slot.backend.settings.max_tunnels
        assert self.balancer.begin_tunnel(slot) is room

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        arrival = data.draw(st.sampled_from(self.waiting()))
        self.arrivals.remove(arrival)
        arrival.greenlet.kill()

    # One rule for all that may happen to a backend: most steps are requests that come and end.
    @rule(name=names, data=st.data(), what=st.sampled_from(["check", "fail", "state", "weight", "reload"]))
    def change(self, name: str, data: st.DataObject, what: str) -> None:
        one = self.of(name)
        if what == "check":
            passed, ready = data.draw(mostly), data.draw(mostly)
            self.balancer.checked(one, Check(at=0.0, passed=passed, detail="", seconds=0.0, ready=ready))
        elif what == "fail":
            self.balancer.failed(one, "refused")
        elif what == "state":
            one.state = OperatorState.READY if data.draw(mostly) else OperatorState.DRAIN
            self.balancer.changed()
        elif what == "weight":
            one.weight = data.draw(small)
            self.balancer.changed()
        else:
            self.reload(one, data)

    def reload(self, one: Backend, data: st.DataObject) -> None:
        """New bounds for one backend and for clients; a new time of ejection that has passed for all."""
        self.share = data.draw(shares)
        bounds = {"max_connections": data.draw(small), "max_tunnels": data.draw(small)}
        health = HealthSettings(rise=1, fall=1, eject_failures=1, eject_time=1e-9, slow_start=0.0)
        one.configure(configured(one.name, backup=not data.draw(mostly), **bounds), health)
        one.configure(one.settings, HEALTH)
        self.balancer.queue.configure(QUEUE, LONG, part_of_queue(QUEUE, self.share))
        self.balancer.set_share(self.share)

    # What must be true.

    def of(self, name: str) -> Backend:
        return next(one for one in self.backends if one.name == name)

    def usable(self, tried: frozenset[str]) -> list[Backend]:
        now = monotonic()
        there = [one for one in self.backends if one.available(now) and one.name not in tried]
        there = [one for one in there if one.ready] or there
        return [one for one in there if not one.settings.backup] or there

    def could_have(self, arrival: Arrival) -> bool:
        """Whether there is a free slot that this request could take."""
        usable = self.usable(frozenset())
        most = math.ceil(self.share * sum(one.settings.max_connections for one in usable))
        mine = [
            one
            for one in self.in_flight()
            if one.client == arrival.client and one.slot and one.slot.backend in usable
        ]
        if self.share < 1.0 and len(mine) >= most:
            return False
        return any(
            len(self.in_flight(one)) < one.settings.max_connections
            and (not arrival.tunnel or len(self.tunnels(one)) < one.settings.max_tunnels)
            for one in self.usable(arrival.tried)
        )

    def in_flight(self, at: Backend | None = None) -> list[Arrival]:
        using = (SlotUse.REQUEST, SlotUse.HANDSHAKE)
        return [
            one
            for one in self.held()
            if one.slot and one.slot.use in using and at in (None, one.slot.backend)
        ]

    def tunnels(self, at: Backend) -> list[Arrival]:
        using = (SlotUse.TUNNEL, SlotUse.HANDSHAKE)
        return [one for one in self.held() if one.slot and one.slot.use in using and one.slot.backend is at]

    @invariant()
    def no_free_slot_is_left_to_those_who_wait(self) -> None:
        self.settle()
        for arrival in self.waiting():
            assert arrival.waits
            assert not self.could_have(arrival), f"{arrival} waits beside a free slot"

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "balancer"):
            return
        self.settle()
        assert self.balancer.in_flight == len(self.in_flight())
        assert len(self.balancer.queue) == len(self.waiting()) == sum(one.queued for one in self.backends)
        for one in self.backends:
            assert one.active == len(self.in_flight(one))
            assert one.tunnels + one.handshakes == len(self.tunnels(one))
            of = [arrival.client for arrival in self.in_flight(one)]
            assert one.clients == {client: of.count(client) for client in of}

    def teardown(self) -> None:
        gevent.killall([one.greenlet for one in self.arrivals])
        for arrival in self.held():
            assert arrival.slot is not None
            self.balancer.release(arrival.slot)
        self.stream.close()
        self.theirs.close()
        if hasattr(self, "balancer"):
            assert (self.balancer.in_flight, len(self.balancer.queue)) == (0, 0)


Assignment.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, derandomize=True, deadline=None
)
TestAssignment = Assignment.TestCase
