"""What a reload does to times, limits and the bounds of one client: the cases of test_reload for these keys."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from heliograph_proxy import pace
from heliograph_proxy.framebounds import CLOSE_FRAME

from proxy_tests.backends import PATIENCE, silent, websocket_echo
from proxy_tests.conftest import until
from proxy_tests.reloading import GET, LONG, Reloading
from proxy_tests.test_queue import Gate
from proxy_tests.test_tunnel import open_tunnel

HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345"

#: A time that a test waits for.
SHORT = 0.05


def head(one: Reloading) -> None:
    proxy = one.start(timeouts={"head": LONG})
    with proxy.client() as client:
        until(lambda: proxy.runtime.metrics.connections == 1, "the connection")
        one.reload(timeouts={"head": SHORT})
        assert client.ended()


def body(one: Reloading) -> None:
    proxy = one.start(timeouts={"body": LONG})
    one.reload(timeouts={"body": SHORT})
    with proxy.client() as client:
        assert client.ask(HALF_A_BODY).status == 408


def connect(one: Reloading) -> None:
    proxy = one.start(count=1, timeouts={"connect": LONG}, retry={"attempts": 1})
    one.backend.ignore_connections()
    one.reload(timeouts={"connect": SHORT})
    assert proxy.get().status == 504


def response(one: Reloading) -> None:
    one.backend.script = silent
    proxy = one.start(count=1, timeouts={"response": LONG}, retry={"attempts": 1})
    one.reload(timeouts={"response": SHORT})
    assert proxy.get().status == 504


def queue_time(one: Reloading) -> None:
    gate = Gate(one.backend)
    proxy = one.start(count=1, table={"max_connections": 1}, timeouts={"queue": LONG})
    with proxy.client() as first, proxy.client() as second:
        first.send(GET)
        until(lambda: gate.order, "the first request at the backend")
        second.send(GET)
        until(lambda: len(proxy.balancer.queue) == 1, "the second request to wait")
        one.reload({"max_connections": 1}, timeouts={"queue": SHORT})
        assert second.response().status == 503
        gate.open.set()
        assert first.response().status == 200


def idle(one: Reloading) -> None:
    proxy = one.start(timeouts={"idle": LONG})
    with proxy.client() as client:
        assert client.ask(GET).status == 200
        one.reload(timeouts={"idle": SHORT})
        assert client.ended()


def tunnel(one: Reloading) -> None:
    one.backend.script = websocket_echo
    proxy = one.start(count=1, timeouts={"tunnel": LONG})
    with open_tunnel(proxy) as client:
        one.reload(timeouts={"tunnel": SHORT})
        assert client.ended()


def drain(one: Reloading) -> None:
    one.backend.script = websocket_echo
    proxy = one.start(count=1, timeouts={"drain": LONG})
    with open_tunnel(proxy) as client:
        one.reload(timeouts={"drain": SHORT})
        with gevent.Timeout(PATIENCE, AssertionError("it drains for the old time")):
            proxy.server.stop()
        assert client.read_all() == CLOSE_FRAME


def request_line(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"request_line": 20})
    assert proxy.get("/much-too-long").status == 414


def header_fields(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"header_fields": 2})
    assert proxy.get(A="1", B="2").status == 431


def header_field_bytes(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"header_field_bytes": 16})
    assert proxy.get(A="x" * 20).status == 431


def header_bytes(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"header_bytes": 64})
    assert proxy.get(A="x" * 100).status == 431


def body_bytes(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"body_bytes": 5})
    with proxy.client() as client:
        assert client.ask(HALF_A_BODY).status == 413


def connections(one: Reloading) -> None:
    proxy = one.start()
    one.reload(limits={"connections": 1})
    with proxy.client() as first:
        assert first.ask(GET).status == 200
        with proxy.client() as second:
            assert second.response().status == 503


def queue_length(one: Reloading) -> None:
    gate = Gate(one.backend)
    proxy = one.start(count=1, table={"max_connections": 1})
    with proxy.client() as first:
        first.send(GET)
        until(lambda: gate.order, "the request in flight")
        one.reload({"max_connections": 1}, limits={"queue": 0})
        assert proxy.get().status == 503
        gate.open.set()
        assert first.response().status == 200


def held_bytes(one: Reloading) -> None:
    proxy = one.start()
    assert proxy.runtime.held.take("10.0.0.1", 100)
    proxy.runtime.held.give("10.0.0.1", 100)
    one.reload(limits={"held_bytes": 100})
    assert not proxy.runtime.held.take("10.0.0.1", 100)


def share(one: Reloading) -> None:
    gate = Gate(one.backend)
    table = {"max_connections": 2}
    proxy = one.start(count=1, table=table, client={"share": 1.0})
    one.reload(table, client={"share": 0.5})
    with proxy.client() as first, proxy.client() as second:
        for client in (first, second):
            client.send(GET)
        until(lambda: len(proxy.balancer.queue) == 1, "the second request to wait")
        one.reload(table, client={"share": 1.0})
        until(lambda: not proxy.balancer.queue, "the second slot to be given")
        gate.open.set()
        assert first.response().status == second.response().status == 200


def rate(one: Reloading) -> None:
    proxy = one.start()
    one.reload(client={"rate": 0.5})
    assert [proxy.get().status for _ in range(2)] == [200, 429]


def client_connections(one: Reloading) -> None:
    proxy = one.start()
    one.reload(client={"connections": 1})
    with proxy.client() as first:
        assert first.ask(GET).status == 200
        with proxy.client() as second:
            assert second.ask(GET).status == 429


def body_rate(one: Reloading) -> None:
    proxy = one.start(client={"body_rate": 0})
    one.reload(client={"body_rate": 1_000_000})
    before, pace.BODY_SECONDS = pace.BODY_SECONDS, SHORT
    try:
        with proxy.client() as client:
            assert client.ask(HALF_A_BODY).status == 408
    finally:
        pace.BODY_SECONDS = before


def answer_rate(one: Reloading) -> None:
    proxy = one.start(client={"answer_rate": 0})
    with proxy.client() as client:
        assert client.ask(GET).status == 200
        one.reload(client={"answer_rate": 4096})
        assert client.ask(GET).status == 200
        [session] = proxy.server._sessions
        assert session.stream.least_rate == 4096


Case = Callable[[Reloading], None]
CASES: dict[str, Case] = {
    **{f"timeouts.{case.__name__}": case for case in (head, body, connect, response, idle, tunnel, drain)},
    "timeouts.queue": queue_time,
    **{f"limits.{case.__name__}": case for case in (request_line, header_fields, header_field_bytes)},
    **{f"limits.{case.__name__}": case for case in (header_bytes, body_bytes, connections, held_bytes)},
    "limits.queue": queue_length,
    **{f"client.{case.__name__}": case for case in (share, rate, body_rate, answer_rate)},
    "client.connections": client_connections,
}
