"""The idle pool: what is reused, and what never is."""

from __future__ import annotations

import socket
import time

import gevent
import pytest
from heliograph_proxy.balancing.backends import OperatorState
from heliograph_proxy.streams import SocketStream

from proxy_tests.backends import CLOSE, Backend, Peer, Received
from proxy_tests.conftest import StartProxy, until

POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"


def test_a_connection_is_used_again(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    for _ in range(10):
        assert proxy.get().status == 200
    assert backend.connections == 1


def test_not_after_the_backend_said_close(start_proxy: StartProxy, backend: Backend) -> None:
    def once(peer: Peer, request: Received) -> object:
        peer.answer(b"bye", Connection="close")
        return CLOSE

    backend.script = once
    proxy = start_proxy(backend)
    for _ in range(3):
        assert proxy.get().body == b"bye"
    assert backend.connections == 3


def test_not_after_it_was_idle_for_too_long(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, pool={"idle": 0.1})
    assert proxy.get().status == 200
    until(lambda: proxy.kept() == 0, "the idle connection to be closed")
    assert proxy.get().status == 200
    assert backend.connections == 2


def test_not_after_the_backend_closed_it(start_proxy: StartProxy, backend: Backend) -> None:
    # It would not age out while the test waits: only the end itself can make it go.
    proxy = start_proxy(backend, pool={"idle": 60.0})
    assert proxy.get().status == 200
    backend.drop_connections()
    until(lambda: proxy.kept() == 0, "the closed connection to be dropped")
    assert proxy.get().status == 200


def test_not_for_a_request_that_must_not_run_twice_unless_it_is_very_young(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(POST).status == 200
        assert client.ask(POST).status == 200
        assert backend.connections == 1
        gevent.sleep(0.3)
        assert client.ask(POST).status == 200
    assert backend.connections == 2


def test_no_more_are_kept_than_allowed(start_proxy: StartProxy, backend: Backend) -> None:
    def slow(peer: Peer, request: Received) -> None:
        gevent.sleep(0.05)
        peer.answer()

    backend.script = slow
    proxy = start_proxy(backend, pool={"max": 2, "idle": 5.0})
    jobs = [gevent.spawn(proxy.get) for _ in range(5)]
    gevent.joinall(jobs, raise_error=True)
    assert proxy.kept() == 2


def test_none_is_kept_for_a_backend_that_is_leaving(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    assert proxy.get().status == 200
    assert proxy.kept() == 1
    proxy.server.control.set_state("b1", OperatorState.DRAIN)
    assert proxy.kept() == 0


@pytest.mark.parametrize("event", ["bytes", "an end"])
def test_not_with_anything_in_it_that_the_loop_has_not_seen_yet(
    start_proxy: StartProxy, backend: Backend, event: str
) -> None:
    proxy = start_proxy(backend)
    runtime = proxy.runtime
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    runtime.connections.keep(proxy.backends[0], SocketStream(ours, runtime.sweeper, 1.0))
    with theirs:
        if event == "bytes":
            theirs.send(b"HTTP/1.1 200 OK")
        else:
            theirs.shutdown(socket.SHUT_WR)
        # The loop does not run between the event and this.
        assert runtime.connections.reuse(proxy.backends[0], time.monotonic(), young=False) is None
