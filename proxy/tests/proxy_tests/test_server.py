"""Many clients at once: nobody gets another one's answer, limits hold, and nothing is left."""

from __future__ import annotations

from random import Random

import gevent
import pytest
from heliograph_proxy.draining import end_sessions

from proxy_tests.backends import CLOSE, Backend, Peer, Received
from proxy_tests.conftest import Client, EndedEarly, Proxy, StartProxy, until

CLIENTS = 40
REQUESTS = 80


def moody(random: Random) -> object:
    """Answers with the request's own id, in one of many ways, some of them wrong."""

    def script(peer: Peer, request: Received) -> object:
        body = request.field("X-Number")[0].encode()
        kind = random.randrange(12)
        if kind == 0:
            return CLOSE
        if kind == 1:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + body)
            return CLOSE
        if kind == 2:
            peer.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%bHTTP/1.1 200 OK\r\n" % (len(body), body)
            )
        elif kind < 5:
            peer.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (len(body), body)
            )
        elif kind == 5:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            gevent.sleep(0.001)
            peer.send(body)
        else:
            peer.answer(body)
        return None

    return script


def talk(proxy: Proxy, name: int, answered: list[int]) -> None:
    """Sends requests of all kinds; whatever 200 comes whole must be its own."""
    random = Random(name)
    client = proxy.client()
    for number in range(REQUESTS):
        mark = f"{name}-{number}".encode()
        fields = b" / HTTP/1.1\r\nHost: test\r\nX-Number: " + mark + b"\r\n"
        kind = random.randrange(6)
        request = b"GET" + fields + b"\r\n"
        if kind == 0:
            request = b"POST" + fields + b"Content-Length: 4\r\n\r\nbody"
        elif kind == 1:
            request = b"POST" + fields + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        try:
            client.send(request)
            if kind == 2:  # gives up without waiting
                client.sock.close()
                client = proxy.client()
                continue
            answer = client.response()
            if answer.status == 200:
                assert answer.body == mark
                answered.append(1)
        except (EndedEarly, ConnectionError):
            client.sock.close()
            client = proxy.client()
    client.sock.close()


def test_thousands_of_mixed_requests_get_their_own_answers(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    random = Random(1)
    backend.script = another.script = moody(random)  # type: ignore[assignment]
    proxy = start_proxy(backend, another, health={"eject_failures": 1_000_000})
    answered: list[int] = []
    jobs = [gevent.spawn(talk, proxy, name, answered) for name in range(CLIENTS)]
    gevent.joinall(jobs, raise_error=True)
    assert len(answered) > CLIENTS * REQUESTS / 2
    until(proxy.idle, "everything to end")


def test_one_connection_too_many_is_told_so(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, limits={"connections": 2})
    with proxy.client() as first, proxy.client() as second:
        for client in (first, second):
            assert client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
        with proxy.client() as third:
            answer = third.response()
            assert (answer.status, answer.field("Retry-After"), third.ended()) == (503, "2", True)
    until(lambda: proxy.runtime.metrics.connections == 0, "the clients to go")
    assert proxy.get().status == 200


def test_stopping_closes_idle_clients_and_waits_for_busy_ones(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def slow(peer: Peer, request: Received) -> None:
        gevent.sleep(0.2)
        peer.answer(b"done")

    backend.script = slow
    proxy = start_proxy(backend)
    with proxy.client() as idle, proxy.client() as busy:
        busy.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: proxy.balancer.in_flight, "the request in flight")
        stopping = gevent.spawn(proxy.server.stop)
        assert idle.ended()
        assert busy.response().field("Connection") == "close"
        stopping.join()
        with pytest.raises(ConnectionRefusedError):
            Client(proxy.port)


def test_who_is_to_end_at_once_before_it_stops_does_not_drain(
    start_proxy: StartProxy, backend: Backend
) -> None:
    never = gevent.event.Event()
    backend.script = lambda peer, request: never.wait()
    proxy = start_proxy(backend, timeouts={"drain": 3600.0})
    with proxy.client() as busy:
        busy.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: proxy.balancer.in_flight, "the request in flight")
        proxy.server.stop_draining()
        stopping = gevent.spawn(proxy.server.stop)
        until(stopping.ready, "the end")
        assert busy.ended()
    never.set()


def test_the_last_one_that_is_cut_is_the_end(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
        ending = gevent.spawn(end_sessions, proxy.server._sessions, proxy.runtime.tunnels, 3600.0)
        until(ending.ready, "the end")
        assert client.ended()


def test_a_mistake_of_ours_is_a_problem_and_in_the_log(
    start_proxy: StartProxy,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    proxy = start_proxy(backend)

    class Broken:
        def select(self, backends: object, request: object) -> None:
            raise ZeroDivisionError

    proxy.balancer.strategy = Broken()  # type: ignore[assignment]
    proxy.backends.append(proxy.backends[0])
    assert proxy.get().problem()["status"] == 500
    proxy.backends.pop()
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert proxy.get().status == 200
