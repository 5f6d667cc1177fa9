"""Who gets a request, what is counted meanwhile, and what happens when a backend goes."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic

import gevent
import pytest
from heliograph_proxy import COMPILED, streams
from heliograph_proxy.balancing.backends import Backend, Check, OperatorState
from heliograph_proxy.balancing.balancer import Balancer
from heliograph_proxy.balancing.queue import RequestQueue, WaitingRequest
from heliograph_proxy.balancing.slots import Slot
from heliograph_proxy.balancing.strategies import RequestInfo, RoundRobin
from heliograph_proxy.errors import ClientGone, SomethingSent, Unavailable
from heliograph_proxy.settings import HealthSettings, backend
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER, Sweeper

from proxy_tests.backends import PATIENCE
from proxy_tests.conftest import until

REQUEST = RequestInfo("10.0.0.1", 0.0)
HEALTH = HealthSettings(fall=1, rise=1, eject_failures=2, eject_time=10.0, slow_start=0.0)
BAD = Check(at=0.0, passed=False, detail="status 500", seconds=0.001)
GOOD = Check(at=0.0, passed=True, detail="status 200", seconds=0.001)


class Setting:
    """A balancer over backends a and b and the spare one c, two requests each, and a client that waits if it must."""

    def __init__(self, client: SocketStream) -> None:
        tables = [
            {"name": name, "max_connections": 2, "max_tunnels": 1, "backup": name == "c"} for name in "abc"
        ]
        self.backends = [Backend(backend({"address": "127.0.0.1:1", **one}, "x"), HEALTH) for one in tables]
        self.a, self.b, self.c = self.backends
        self.line = RequestQueue(1, 0.05)
        self.balancer = Balancer(self.backends, RoundRobin(), self.line)
        self.client = client
        self.slots: list[Slot] = []

    def acquire(self, *tried: str, tunnel: bool = False, preferred: str = "") -> str:
        request = RequestInfo("10.0.0.1", monotonic(), preferred)
        self.slots.append(self.balancer.acquire(request, tried, self.client, tunnel=tunnel))
        return self.slots[-1].backend.name

    def release(self, name: str) -> None:
        """Give back a slot of this backend."""
        slot = next(one for one in self.slots if one.backend.name == name)
        self.slots.remove(slot)
        self.balancer.release(slot)

    def counted(self) -> tuple[int, list[int]]:
        return self.balancer.in_flight, [one.active for one in self.backends]


@pytest.fixture
def stream() -> Iterator[tuple[SocketStream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    one = SocketStream(ours, Sweeper(), 1.0)
    with gevent.Timeout(PATIENCE, AssertionError("somebody waits for ever")):
        yield one, theirs
    one.close()
    theirs.close()


@pytest.fixture
def setting(stream: tuple[SocketStream, socket.socket]) -> Setting:
    return Setting(stream[0])


def test_slots_are_taken_and_given_back(setting: Setting) -> None:
    assert [setting.acquire() for _ in range(4)] == ["a", "b", "a", "b"]
    assert setting.counted() == (4, [2, 2, 0])
    for name in "abab":
        setting.release(name)
    assert setting.counted() == (0, [0, 0, 0])
    assert [one.requests for one in setting.backends] == [2, 2, 0]


def test_what_was_tried_is_not_tried_again_and_a_spare_one_comes_last(setting: Setting) -> None:
    assert setting.acquire("a") == "b"
    assert setting.acquire("a", "b") == "c"
    with pytest.raises(Unavailable):
        setting.acquire("a", "b", "c")
    setting.a.state = setting.b.state = OperatorState.DRAIN
    assert setting.acquire() == "c"
    assert setting.counted() == (3, [0, 1, 2])


def test_a_session_stays_where_it_was_while_there_is_room(setting: Setting) -> None:
    assert [setting.acquire(preferred="b") for _ in range(3)] == ["b", "b", "a"]
    assert setting.acquire(preferred="gone") == "a"


def test_a_tunnel_takes_no_slot_for_requests_but_one_of_its_own(setting: Setting) -> None:
    assert setting.acquire(tunnel=True) == "a"
    [tunnel] = setting.slots
    assert setting.balancer.begin_tunnel(tunnel)
    assert (setting.counted(), setting.a.tunnels) == ((0, [0, 0, 0]), 1)
    setting.slots.clear()
    assert setting.acquire("b", tunnel=False) == "a"
    setting.release("a")
    with pytest.raises(Unavailable, match="busy for too long"):
        setting.acquire("b", tunnel=True)
    setting.balancer.release(tunnel)
    assert (setting.counted(), setting.a.tunnels) == ((0, [0, 0, 0]), 0)


def test_handshakes_in_flight_count_as_tunnels(setting: Setting) -> None:
    assert [setting.acquire(tunnel=True) for _ in range(2)] == ["a", "b"]
    with pytest.raises(Unavailable, match="busy for too long"):
        setting.acquire(tunnel=True)
    setting.balancer.end_handshake(setting.slots[0])  # it was refused, and the answer is on its way
    assert setting.acquire(tunnel=True) == "a"
    assert setting.counted() == (3, [2, 1, 0])


def fill(setting: Setting) -> None:
    for _ in range(4):
        setting.acquire()


def test_who_waits_gets_the_slot_that_is_given_back(setting: Setting) -> None:
    fill(setting)
    waiting = gevent.spawn(setting.acquire)
    until(lambda: len(setting.line) == 1, "somebody to wait")
    assert setting.a.queued + setting.b.queued == 1
    setting.release("b")
    assert waiting.get(timeout=5) == "b"
    assert (setting.counted(), setting.a.queued + setting.b.queued) == ((4, [2, 2, 0]), 0)


def test_the_line_ends_in_time_in_length_and_with_its_client(
    setting: Setting, stream: tuple[SocketStream, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HALF_CLOSE_SECONDS", 0.05)
    fill(setting)
    with pytest.raises(Unavailable, match="busy for too long"):
        setting.acquire()
    setting.line.configure(0, 1.0, 0)
    with pytest.raises(Unavailable, match="the queue is full"):
        setting.acquire()
    setting.line.configure(1, 60.0, 1)
    gevent.spawn(stream[1].shutdown, socket.SHUT_WR)
    with pytest.raises(ClientGone):
        setting.acquire()
    assert (setting.counted(), len(setting.line)) == ((4, [2, 2, 0]), 0)


def test_a_slot_that_comes_together_with_the_end_of_its_waiter_is_given_back(setting: Setting) -> None:
    fill(setting)
    waiting = gevent.spawn(setting.acquire)
    until(lambda: len(setting.line) == 1, "somebody to wait")
    waiting.kill(block=False)
    setting.release("a")  # it has the slot, and will not run anymore
    waiting.join()
    assert setting.counted() == (3, [1, 2, 0])


class Mistaken:
    """A user's strategy that chooses nothing for one client and raises for another."""

    def select(self, backends: Sequence[Backend], request: RequestInfo) -> Backend:
        if request.client == "raises":
            raise LookupError("no choice")
        return None if request.client == "none" else backends[0]  # type: ignore[return-value]


@pytest.mark.parametrize("client", ["raises", "none"])
def test_the_mistake_of_a_strategy_is_that_of_its_own_request(setting: Setting, client: str) -> None:
    def ask(client: str) -> str:
        request = RequestInfo(client, monotonic())
        try:
            return setting.balancer.acquire(request, (), setting.client, tunnel=False).backend.name
        except Exception as exc:
            return str(exc)

    setting.balancer.strategy = Mistaken()
    setting.line.configure(3, 60.0, 3)
    wrong = ask(client)
    assert "choice" in wrong or "None" in wrong
    assert setting.counted() == (0, [0, 0, 0])
    setting.balancer.strategy = RoundRobin()
    fill(setting)
    setting.balancer.strategy = Mistaken()
    asked = [gevent.spawn(ask, one) for one in (client, "10.0.0.2", "10.0.0.3")]
    until(lambda: len(setting.line) == 3, "all to wait")
    setting.a.settings = setting.b.settings = replace(setting.a.settings, max_connections=3)
    setting.balancer.changed()  # both have room: there is a choice
    assert [one.get(timeout=5) for one in asked] == [wrong, "a", "b"]
    assert (setting.counted(), len(setting.line)) == ((6, [3, 3, 0]), 0)


def calls_of_a_release(setting: Setting, waiting: int) -> int:
    """How many functions are called for one release, beside so many requests that wait for a tunnel and as many others."""
    before = len(setting.line)
    setting.line.configure(10_000, 600.0, 10_000)
    setting.balancer.set_share(0.75)
    for number in range(waiting):
        request = RequestInfo(f"10.{number >> 8}.0.{number & 255}", monotonic())
        for tunnel in (True, False):
            setting.line.add(WaitingRequest(request, (), tunnel))
    calls = [0]

    def count(frame: object, event: str, argument: object) -> None:
        calls[0] += event == "call"

    sys.setprofile(count)
    try:
        setting.release("a")
    finally:
        sys.setprofile(None)
    assert len(setting.line) == before + 2 * waiting - 1
    return calls[0]


def test_a_release_costs_the_same_however_many_wait(setting: Setting, request: pytest.FixtureRequest) -> None:
    if (
        COMPILED
    ):  # calls of compiled functions are not seen: the sources are looked at, in a process that runs them
        subprocess.run(
            [sys.executable, "-X", "interpreted", "-m", "pytest", "-q", f"{__file__}::{request.node.name}"],
            cwd=request.config.rootpath,
            timeout=60,
            check=True,
        )
        return
    fill(setting)
    few = calls_of_a_release(setting, 2)
    assert calls_of_a_release(setting, 1000) <= few + 10


def test_failures_eject_but_never_the_last_one(setting: Setting) -> None:
    setting.c.state = OperatorState.MAINT
    for _ in range(2):
        setting.balancer.failed(setting.a, "refused")
    assert [setting.acquire() for _ in range(2)] == ["b", "b"]
    for _ in range(5):
        setting.balancer.failed(setting.b, "refused")
    assert setting.b.available(monotonic())


def test_what_waits_for_an_answer_goes_elsewhere_when_its_backend_goes_down(
    setting: Setting, stream: tuple[SocketStream, socket.socket]
) -> None:
    setting.balancer.waiting[setting.a].add(stream[0])
    setting.balancer.checked(setting.b, BAD)
    setting.balancer.checked(setting.a, GOOD)
    gevent.spawn(setting.balancer.checked, setting.a, BAD)
    with pytest.raises(SomethingSent, match="the backend went down"):
        stream[0].recv_later(NEVER)


def test_who_waits_gets_a_backend_that_comes_back(setting: Setting) -> None:
    setting.balancer.checked(setting.b, BAD)
    setting.acquire()
    setting.acquire()
    waiting = gevent.spawn(setting.acquire)
    until(lambda: len(setting.line) == 1, "somebody to wait")
    setting.balancer.checked(setting.b, GOOD)
    assert waiting.get(timeout=5) == "b"


def test_a_backend_leaves_with_its_last_request(setting: Setting) -> None:
    setting.acquire()
    setting.balancer.withdraw(setting.a)
    setting.balancer.withdraw(setting.b)
    assert setting.balancer.backends == [setting.a, setting.c]
    setting.release("a")
    assert setting.balancer.backends == [setting.c]
