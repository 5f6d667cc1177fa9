"""Many slow connections of one client: what others see of them."""

from __future__ import annotations

import itertools
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import gevent
import pytest
from gevent import socket as gsocket
from gevent.event import Event

from proxy_tests.backends import PATIENCE, Backend, Peer, Received
from proxy_tests.conftest import Proxy, StartProxy, until

#: Seconds that all but one in a hundred requests of others may take.
P99_SECONDS = 1.0


class Crowd:
    """Connections of one address: a third send slowly, a third read slowly, a third wait long."""

    KINDS = (b"POST /slow", b"GET /large", b"GET /long")

    def __init__(self, proxy: Proxy, count: int) -> None:
        self._proxy = proxy
        kinds = itertools.islice(itertools.cycle(self.KINDS), count)
        self.greenlets = [gevent.spawn(self._run, kind) for kind in kinds]
        self.begun = 0

    def _run(self, request: bytes) -> None:
        sock = gsocket.socket()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", self._proxy.port))
            sock.sendall(request + b" HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.1\r\n")
            sock.sendall(b"Content-Length: 1000000\r\n\r\n" if b"POST" in request else b"\r\n")
            self.begun += 1
            with suppress(OSError):
                while True:
                    if b"POST" in request:
                        sock.sendall(b"x")
                    elif not sock.recv(512):
                        return
                    gevent.sleep(2.0)
        finally:
            sock.close()


def serve(gate: Event) -> object:
    def script(peer: Peer, request: Received) -> None:
        if b" /long " in request.line:
            gate.wait()
            peer.answer()
        elif b" /large " in request.line:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
            while True:
                peer.send(bytes(65536))
        else:
            peer.answer()

    return script


@pytest.fixture
def gate() -> Iterator[Event]:
    made = Event()
    yield made
    made.set()


def seconds_of_others(proxy: Proxy, count: int) -> list[float]:
    """How long requests of other clients take, one after the other."""
    found = []
    for number in range(count):
        began = time.monotonic()
        answer = proxy.get("/", X_Forwarded_For=f"198.51.100.{number % 250}")
        found.append(time.monotonic() - began)
        assert answer.status == 200
    return sorted(found)


@pytest.mark.parametrize(
    ("connections", "slots"), [(300, 40), pytest.param(2100, 1000, marks=pytest.mark.slow)]
)
def test_others_are_served_while_one_client_has_many_slow_connections(
    start_proxy: StartProxy, backend: Backend, gate: Event, connections: int, slots: int
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 4 * connections:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    backend.script = serve(gate)  # type: ignore[assignment]
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": slots}
    proxy = start_proxy(table)
    crowd = Crowd(proxy, connections)
    try:
        until(lambda: crowd.begun == connections, "the slow connections")
        until(lambda: proxy.balancer.in_flight >= slots * 0.7, "slots that are taken")
        seconds = seconds_of_others(proxy, 200)
        assert seconds[int(len(seconds) * 0.99)] < P99_SECONDS
        assert proxy.balancer.in_flight <= slots * 0.75 + 1
    finally:
        gate.set()
        gevent.killall(crowd.greenlets)
