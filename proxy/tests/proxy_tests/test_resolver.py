"""Names of backends: all of their addresses, and name servers that do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic
from typing import Any

import gevent
import pytest
from heliograph_proxy import resolver
from heliograph_proxy.connections import Connections
from heliograph_proxy.errors import NothingSent
from heliograph_proxy.resolver import LookUpTimedOut, Resolver
from heliograph_proxy.settings import PoolSettings
from heliograph_proxy.values import Address
from heliograph_proxy.waits import Sweeper

from proxy_tests.backends import Backend
from proxy_tests.conftest import Proxy, StartProxy, until

#: Nothing listens there: the loopback network without a listener refuses.
REFUSING = "127.0.0.77"
#: Here is one whose backlog is full: who connects waits.
SILENT = "127.0.0.78"


class NameServer:
    """What getaddrinfo would say of any name, when it is let."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = list(hosts)
        #: What is raised while there are none.
        self.error = socket.EAI_AGAIN
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.answers.set()

    def look_up(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        self.answers.wait()
        if not self.hosts:
            raise socket.gaierror(self.error, "no address")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in self.hosts]


@pytest.fixture
def names() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.answers.set()


@pytest.fixture
def connections(names: NameServer) -> Iterator[Connections]:
    sweeper = Sweeper()
    sweeper.start()
    made = Connections(PoolSettings(), sweeper, 1.0, Resolver(names.look_up))
    yield made
    made.close()
    sweeper.stop()


def connect(connections: Connections, backend: Backend, timeout: float = 5.0) -> str:
    """The address that took the connection."""
    stream = connections.connect(Address("svc", backend.port), timeout)
    try:
        return str(stream.sock.getpeername()[0])
    finally:
        stream.close()


def start_named(start_proxy: StartProxy, names: NameServer, backend: Backend, **health: float) -> Proxy:
    """A proxy that knows its backend by name."""
    proxy = start_proxy(backend, health=health)
    proxy.runtime.connections._resolver = Resolver(names.look_up)
    one = proxy.backends[0]
    one.configure(replace(one.settings, address=Address("svc", backend.port)), proxy.runtime.settings.health)
    return proxy


def test_each_address_is_tried_and_the_one_that_answers_comes_first(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    names.hosts = [REFUSING, "127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"
    names.hosts = ["127.0.0.1", REFUSING]
    assert connect(connections, backend) == "127.0.0.1"


def test_an_address_that_is_silent_leaves_time_for_the_next(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    names.hosts = [SILENT, "127.0.0.1"]
    with (
        socket.create_server((SILENT, backend.port), backlog=0),
        socket.create_connection((SILENT, backend.port)),
    ):
        begun = monotonic()
        assert connect(connections, backend, 1.0) == "127.0.0.1"
        assert 0.4 < monotonic() - begun < 1.0
        begun = monotonic()
        assert connect(connections, backend, 1.0) == "127.0.0.1"  # it is known now
        assert monotonic() - begun < 0.4


def test_an_address_that_fails_a_check_comes_last(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    with socket.create_server((SILENT, backend.port)):
        names.hosts = [SILENT, "127.0.0.1"]
        stream = connections.connect(Address("svc", backend.port), 5.0)
        assert stream.sock.getpeername()[0] == SILENT
        connections.distrust(Address("svc", backend.port), stream)
        stream.close()
        assert connect(connections, backend) == "127.0.0.1"
        assert connect(connections, backend) == "127.0.0.1"


def test_a_check_finds_the_address_that_is_well(
    start_proxy: StartProxy, names: NameServer, backend: Backend
) -> None:
    names.hosts = [SILENT, "127.0.0.1"]
    with socket.create_server((SILENT, backend.port)):
        proxy = start_named(start_proxy, names, backend, interval=0.02, timeout=0.2)
        one = proxy.backends[0]
        until(
            lambda: names.asked and one.last_check and not one.last_check.passed, "a check of the silent one"
        )
        until(lambda: one.last_check and one.last_check.passed, "a check of the other")
        assert one.healthy
        assert proxy.get().status == 200


def test_a_check_that_a_reload_ended_says_nothing_of_the_address(
    start_proxy: StartProxy, names: NameServer, backend: Backend
) -> None:
    names.hosts = [SILENT, "127.0.0.1"]
    with socket.create_server((SILENT, backend.port)):
        proxy = start_named(start_proxy, names, backend, timeout=600.0)
        streams = proxy.runtime.sweeper._streams
        before = set(streams)
        for _ in range(2):
            proxy.server.checker.configured()
            until(lambda before=before: len(streams) == 1 and streams != before, "another check")  # type: ignore[misc]
            before = set(streams)
        assert connect(proxy.runtime.connections, backend) == SILENT


def test_a_name_is_looked_up_again(
    connections: Connections, names: NameServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FRESH_SECONDS", 0.0)
    names.hosts = ["127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"
    names.hosts = [REFUSING]
    with pytest.raises(NothingSent, match="cannot be connected to"):
        connect(connections, backend)
    names.hosts = ["127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"


def test_after_a_failure_no_old_answer_is_used(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    names.hosts = [REFUSING]
    with pytest.raises(NothingSent):
        connect(connections, backend)
    names.hosts = ["127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"


def test_a_name_server_that_fails_or_is_silent_takes_no_known_address_away(
    connections: Connections, names: NameServer, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "FRESH_SECONDS", 0.0)
    names.hosts = ["127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"
    names.hosts = []  # it fails at once
    assert connect(connections, backend) == "127.0.0.1"
    names.hosts = ["127.0.0.1"]
    connect(connections, backend)
    until(lambda: not connections._resolver._running, "it to answer again")
    names.answers.clear()
    begun = monotonic()
    for _ in range(50):  # the first one waits, for half of its time
        assert connect(connections, backend, 0.4) == "127.0.0.1"
    assert monotonic() - begun < 5.0


def test_an_address_that_did_not_answer_either_is_tried_again_without_a_name_server(
    connections: Connections, names: NameServer
) -> None:
    names.hosts = ["127.0.0.1"]
    with Backend() as backend:
        backend.refuse_connections()
        with pytest.raises(NothingSent):
            connect(connections, backend)
    names.hosts = []
    with socket.create_server(("127.0.0.1", backend.port)):
        assert connect(connections, backend) == "127.0.0.1"


@pytest.mark.parametrize("error", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_name_that_is_gone_is_used_no_longer(
    connections: Connections, names: NameServer, backend: Backend, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(resolver, "FRESH_SECONDS", 0.0)
    names.hosts = ["127.0.0.1"]
    assert connect(connections, backend) == "127.0.0.1"
    names.hosts, names.error = [], error
    for _ in range(2):
        with pytest.raises(NothingSent, match="cannot be used"):
            connect(connections, backend)


def test_what_is_not_answered_is_waited_for_once_also_while_the_backend_is_down(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    names.hosts = [REFUSING]
    for timeout in (5.0, 0.1, 600.0):
        again = AssertionError("the look-up is waited for again")
        with gevent.Timeout(30, again), pytest.raises(NothingSent):
            connect(connections, backend, timeout)
        names.answers.clear()


HANGING = """
import time
from heliograph_proxy.resolver import LookUpTimedOut, Resolver
from heliograph_proxy.values import Address
resolver = Resolver(lambda *_, **__: time.sleep(3600))
try:
    resolver.endpoints(Address("svc", 1), time.monotonic() + 0.05)
except LookUpTimedOut:
    resolver.close()
    print("closed")
"""


def test_an_end_does_not_wait_for_a_name_server(connections: Connections, names: NameServer) -> None:
    names.answers.clear()
    with pytest.raises(NothingSent, match="looked up in time"):
        connections.connect(Address("svc", 1), 0.05)
    try:
        with gevent.Timeout(10, AssertionError("the end waits for a look-up")):
            connections.close()
    finally:
        names.answers.set()
    # The interpreter's end neither.
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=30, check=True
    )
    assert (ended.stdout, ended.stderr) == ("closed\n", "")


def test_an_unknown_name_is_an_error_at_once(connections: Connections, backend: Backend) -> None:
    with pytest.raises(NothingSent, match="cannot be used"):
        connect(connections, backend)


def test_a_name_server_that_does_not_answer_takes_no_longer_than_a_connection_may(
    connections: Connections, names: NameServer, backend: Backend
) -> None:
    names.hosts = ["127.0.0.1"]
    names.answers.clear()
    begun = monotonic()

    def failed() -> bool:
        with pytest.raises(NothingSent, match="looked up in time"):
            connect(connections, backend, 0.2)
        return True

    waiting = [gevent.spawn(failed) for _ in range(20)]
    assert all(one.get(timeout=10) for one in waiting)
    assert monotonic() - begun < 5
    assert len(names.asked) == 1, "one look-up for all"
    # Threads that others need are free: the hub's own, which writes the access log, among them.
    assert gevent.get_hub().threadpool.apply(int) == 0
    names.answers.set()
    until(lambda: not connections._resolver._running, "the look-up to end")
    assert connect(connections, backend) == "127.0.0.1"


def test_look_ups_that_hang_are_bounded(names: NameServer) -> None:
    many = Resolver(names.look_up)
    names.answers.clear()

    def failed(number: int) -> bool:
        with pytest.raises(LookUpTimedOut):
            many.endpoints(Address(f"svc-{number}", 1), monotonic() + 0.3)
        return True

    waiting = [gevent.spawn(failed, number) for number in range(resolver.MAX_THREADS + 5)]
    assert all(one.get(timeout=10) for one in waiting)
    # gevent's pool begins one task more than it has threads for.
    assert len(names.asked) <= resolver.MAX_THREADS + 1
    names.hosts = ["127.0.0.1"]
    names.answers.set()
    until(lambda: not many._running, "all look-ups to end")
    many.close()
