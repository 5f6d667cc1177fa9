"""How often a request is tried, and where. What each fault leads to stands in test_faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
from heliograph_proxy.attempt import STALE_SECONDS

from proxy_tests.backends import CLOSE, Backend, Peer, Received, close_early, echo_body, silent
from proxy_tests.conftest import StartProxy, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
SMALL = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"


def test_a_connection_the_backend_closed_costs_no_try(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, retry={"attempts": 1})
    assert proxy.get().status == 200

    def once(peer: Peer, got: Received) -> Any:
        backend.script = echo_body
        return CLOSE

    backend.script = once
    assert proxy.get().status == 200
    assert proxy.records(2)[1]["tries"] == 1
    assert proxy.backends[0].failures == 0


def test_a_kept_connection_that_ends_late_costs_a_try(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, retry={"attempts": 1})
    assert proxy.get().status == 200

    def late(peer: Peer, got: Received) -> Any:
        gevent.sleep(STALE_SECONDS + 0.1)  # what it did meanwhile may have been its end
        return CLOSE

    backend.script = late
    assert proxy.get().status == 502
    assert len(backend.requests) == 2
    assert proxy.backends[0].failures == 1


def test_a_post_on_a_connection_that_ends_is_not_sent_again_and_nobody_is_blamed(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another)
    with proxy.client() as client:
        for _ in proxy.backends:
            assert client.ask(GET).status == 200
        backend.script = close_early
        assert client.ask(SMALL).problem()["status"] == 502
    assert [one.failures for one in proxy.backends] == [0, 0]
    assert len(backend.requests) + len(another.requests) == 3


def test_a_single_attempt_is_a_single_attempt(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = close_early
    proxy = start_proxy(backend, another, retry={"attempts": 1})
    assert proxy.get().status == 502


def test_no_retry_starts_after_the_deadline(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, timeouts={"response": 0.2}, retry={"deadline": 0.1})
    assert proxy.get().status == 504


def test_a_budget_of_nothing_allows_no_retry(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = close_early
    proxy = start_proxy(backend, another, retry={"budget": 0})
    assert proxy.get().status == 502


def test_what_waits_for_a_backend_that_goes_down_goes_elsewhere_at_once(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, health={"interval": 0.05, "fall": 1})
    with proxy.client() as client:
        client.send(GET)
        until(lambda: backend.requests, "the request at the first backend")
        backend.health = "500 Oh"
        assert client.response().status == 200
    [record] = proxy.records()
    assert (record["backend"], record["tries"]) == ("b2", 2)
    assert record["Ta"] < 5000  # at once, long before the response timeout or the backend's own patience


def test_a_post_that_waits_for_a_backend_that_goes_down_is_not_sent_twice(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, health={"interval": 0.05, "fall": 1}, timeouts={"response": 0.4})
    with proxy.client() as client:
        client.send(SMALL)
        until(lambda: backend.requests, "the request at the first backend")
        backend.health = "500 Oh"
        assert client.response().status == 504
    assert another.requests == []


def test_a_unix_socket_is_an_address_too(start_proxy: StartProxy, tmp_path: Path) -> None:
    with Backend(path=tmp_path / "b.sock") as backend:
        proxy = start_proxy({"name": "u", "address": f"unix:{tmp_path}/b.sock"})
        assert proxy.get("/x").body == b"/x"
        assert len(backend.requests) == 1
