"""A client's connection: order, leftovers, and what clients do wrong."""

from __future__ import annotations

import time

import gevent
import pytest
from heliograph_proxy import streams
from heliograph_proxy.held import MOST_OF_BODY
from heliograph_proxy.http1.framing import chunk

from proxy_tests.backends import (
    Backend,
    Peer,
    Received,
    silent,
)
from proxy_tests.conftest import Proxy, Response, StartProxy, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ID = b"X-Request-Id: abc\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + size + fields + b"\r\n" + body


CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"

#: So much of a body is read before a backend has the request.
BEGINNING = bytes(MOST_OF_BODY)
BEGINNINGS = pytest.mark.parametrize("beginning", [b"", BEGINNING], ids=["before a slot", "in a slot"])


def in_flight(proxy: Proxy, beginning: bytes) -> bool:
    """Whether a request whose body began so has got as far as it can."""
    return bool(proxy.balancer.in_flight if beginning else proxy.runtime.metrics.connections)


def test_pipelined_requests_are_answered_in_their_order(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(50)))
        assert [client.response().body for _ in range(50)] == [b"/%d" % number for number in range(50)]


def test_a_bad_request_behind_a_good_one_spoils_only_itself(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET + b"BAD\r\n\r\n" + GET)
        assert client.response().status == 200
        assert client.response().status == 400
        assert client.ended()
    assert len(backend.requests) == 1


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", b"x"])
@pytest.mark.parametrize("late", [False, True])
def test_bytes_behind_an_answer_belong_to_nobody(
    start_proxy: StartProxy, backend: Backend, surplus: bytes, late: bool
) -> None:
    def poisonous(peer: Peer, request: Received) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        if late:
            peer.send(answer)
            gevent.sleep(0)
            peer.send(surplus)
        else:
            peer.send(answer + surplus)

    backend.script = poisonous
    proxy = start_proxy(backend)
    with proxy.client() as client:
        for _ in range(20):
            assert client.ask(GET).body == b"ok"
            gevent.sleep(0.001)
    assert backend.connections >= 20 or late


def test_an_early_answer_ends_the_connection_when_the_body_does_not_come(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def early(peer: Peer) -> None:
        if b"/-/health" in peer.read_head():
            return peer.answer()
        peer.answer(b"enough")
        peer.sock.recv(100)
        return None

    backend.on_accept = early
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + BEGINNING)
        assert client.response().body == b"enough"
        assert client.ended()
    assert proxy.records()[0]["ended"] == "early-answer"


def test_a_body_over_the_limit_is_refused_before_a_backend_sees_it(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, limits={"body_bytes": 10})
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n")
        assert client.response().problem()["limit"] == 10
        assert client.ended()
    assert backend.requests == []
    with proxy.client() as client:
        assert client.ask(post(b"x" * 10)).status == 200


@BEGINNINGS
def test_a_chunked_body_over_the_limit_is_refused_on_its_way(
    start_proxy: StartProxy, backend: Backend, beginning: bytes
) -> None:
    proxy = start_proxy(backend, limits={"body_bytes": len(beginning) + 10})
    with proxy.client() as client:
        client.send(CHUNKED + chunk(beginning + b"12345678"))
        until(lambda: in_flight(proxy, beginning), "the request in flight")
        client.send(b"8\r\n12345678\r\n")
        assert client.response().status == 413
        assert client.ended()


def test_a_head_that_comes_too_slowly_is_a_timeout(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, timeouts={"head": 0.2})
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: te")
        assert client.response().problem()["type"] == "/problems/request-timeout"
        assert client.ended()


def test_a_body_that_stops_coming_is_a_timeout(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, timeouts={"body": 0.2})
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345")
        assert client.response().status == 408
        assert client.ended()
    assert backend.requests == []


@BEGINNINGS
def test_a_bad_chunk_on_its_way_is_a_bad_request(
    start_proxy: StartProxy, backend: Backend, beginning: bytes
) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(CHUNKED + chunk(beginning + b"hello"))
        until(lambda: in_flight(proxy, beginning), "the request in flight")
        client.send(b"0x5\r\n")
        assert client.response().status == 400
        assert client.ended()
    assert backend.requests == []


@BEGINNINGS
def test_a_client_that_goes_away_inside_its_body_leaves_nothing(
    start_proxy: StartProxy, backend: Backend, beginning: bytes
) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(CHUNKED + chunk(beginning + b"hello"))
        until(lambda: in_flight(proxy, beginning), "the request in flight")
    until(proxy.idle, "the request to be given up")
    assert backend.requests == []
    [record] = proxy.records()
    assert (record["status"], record["ended"]) == (499, "client-gone")


def test_a_client_that_goes_away_while_it_waits_frees_its_backend(
    start_proxy: StartProxy, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HALF_CLOSE_SECONDS", 0.05)
    backend.script = silent
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        until(lambda: proxy.balancer.in_flight, "the request in flight")
    until(proxy.idle, "the request to be given up")
    assert proxy.records()[0]["ended"] == "client-gone"


def test_a_client_that_only_stopped_sending_gets_its_answer(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def thoughtful(peer: Peer, request: Received) -> None:
        gevent.sleep(0.1)
        peer.answer(b"here")

    backend.script = thoughtful
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        client.sock.shutdown(1)
        assert client.response().body == b"here"


def test_an_idle_client_is_let_go(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, timeouts={"idle": 0.2})
    with proxy.client() as client:
        assert client.ask(GET).status == 200
        assert client.ended()


@pytest.mark.parametrize("said", [b"", b"\r\n", b"GET / HT"])
def test_the_first_heads_time_counts_from_the_connection_on(
    start_proxy: StartProxy, backend: Backend, said: bytes
) -> None:
    proxy = start_proxy(backend, timeouts={"head": 0.3, "idle": 60})
    began = time.monotonic()
    with proxy.client() as client:
        gevent.sleep(0.2)
        if said:
            client.send(said)
        client.read_all()
        assert time.monotonic() - began < 0.2 + 0.3
    with proxy.client() as client:  # one that is kept alive has longer
        assert client.ask(GET).status == 200
        gevent.sleep(0.5)
        assert client.ask(GET).status == 200


def test_a_client_that_is_still_sending_can_read_why_it_was_refused(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, limits={"body_bytes": 10})
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000))
        assert client.response().status == 413
        client.sock.shutdown(1)
        assert client.more() == b""  # an end, and no reset that could have destroyed the answer


@pytest.mark.parametrize("behind", [b"\r\n", GET], ids=["an empty line", "a request"])
@pytest.mark.parametrize("late", [False, True], ids=["during the answer", "after the answer was sent"])
def test_what_comes_behind_a_last_request_takes_nothing_of_its_answer(
    start_proxy: StartProxy, backend: Backend, behind: bytes, late: bool
) -> None:
    size = 3_000_000
    backend.script = lambda peer, request: peer.answer(bytes(size))
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        assert Response(client.read_until(b"\r\n\r\n"), b"").field("Connection") == "close"
        left = size - len(client.buffer)
        while late and not proxy.runtime.metrics.requests:
            left -= len(client.sock.recv(65536))
        client.send(behind)
        while data := client.sock.recv(65536):
            left -= len(data)
        assert left == 0


def test_a_password_in_a_refused_target_is_not_logged(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert (
            client.ask(b"GET http://me:pass@word@test/x?token=abc HTTP/1.1\r\nHost: test\r\n\r\n").status
            == 400
        )
    [record] = proxy.records()
    assert record["target"] == "http://***@test/x?token=***"


def test_one_client_too_many_is_answered_with_an_id_of_its_own(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, limits={"connections": 1})
    with proxy.client() as first:
        assert first.ask(GET).status == 200
        refused = []
        for _ in range(2):
            with proxy.client() as another:
                refused.append(another.response())
        assert [one.problem()["status"] for one in refused] == [503, 503]
        assert len({one.field("X-Request-Id") for one in refused}) == 2
