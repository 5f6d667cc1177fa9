"""A slot counts the backend's work: a client that sends or reads slowly holds none, and one that is too slow is cut."""

from __future__ import annotations

import gc
import socket
from typing import TypeVar

import gevent
import pytest
from gevent import socket as gsocket
from gevent.event import Event
from heliograph_proxy import pace
from heliograph_proxy.held import MOST_OF_ANSWER, MOST_OF_BODY, MOST_UNSENT
from heliograph_proxy.http1.framing import chunk
from heliograph_proxy.requestbody import OutgoingRequest

from proxy_tests.backends import PATIENCE, Backend, Peer, Received, echo_body, saying
from proxy_tests.conftest import Client, Proxy, StartProxy, until

T = TypeVar("T")

FIELDS = b" HTTP/1.1\r\nHost: test\r\n"
GET = b"GET /" + FIELDS + b"\r\n"

#: Seconds over which a client's rate is looked at here.
PERIOD = 0.3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BODY_SECONDS", PERIOD)
    monkeypatch.setattr(pace, "ANSWER_SECONDS", PERIOD)
    monkeypatch.setattr("heliograph_proxy.waits.SWEEP_SECONDS", 0.02)
    monkeypatch.setattr("heliograph_proxy.accesslog.BATCH_SECONDS", 0.01)


def table(backend: Backend, **more: int) -> dict[str, object]:
    return {"name": "b1", "address": f"127.0.0.1:{backend.port}", **more}


def slow_reader(proxy: Proxy) -> Client:
    """With small buffers in the kernel, so that what it does not read waits at the proxy."""
    proxy.server._listeners[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    client = Client.__new__(Client)
    client.sock = gsocket.socket()
    client.sock.settimeout(PATIENCE)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sock.connect(("127.0.0.1", proxy.port))
    client.buffer = b""
    return client


# Bodies.


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_bodies_that_still_arrive_hold_no_slot(
    start_proxy: StartProxy, backend: Backend, clients: list[Client], framing: bytes
) -> None:
    proxy = start_proxy(table(backend, max_connections=1), client={"body_rate": 0})
    for _ in range(20):
        clients.append(proxy.client())
        clients[-1].send(b"POST /" + FIELDS + framing + b"1")
    until(lambda: proxy.runtime.metrics.connections == 20, "the slow bodies")
    assert proxy.get().status == 200
    assert (proxy.balancer.in_flight, len(backend.requests)) == (0, 1)


def test_a_body_is_read_up_to_a_bound_before_a_slot_is_taken(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    backend.script = echo_body
    proxy = start_proxy(table(backend, max_connections=1))
    client = proxy.client()
    clients.append(client)
    body = bytes(range(256)) * 1000
    client.send(b"POST /" + FIELDS + b"Content-Length: %d\r\n\r\n" % len(body) + body[: MOST_OF_BODY - 1])
    until(lambda: proxy.runtime.held.total, "the beginning of the body")
    assert proxy.get().status == 200
    client.send(body[MOST_OF_BODY - 1 : MOST_OF_BODY])
    until(lambda: proxy.balancer.in_flight, "the slot")
    client.send(body[MOST_OF_BODY:])
    assert client.response().body == body
    assert proxy.runtime.held.total == 0


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("size", [1, 1000, MOST_OF_BODY - 1, MOST_OF_BODY, MOST_OF_BODY + 1, 200_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_in_pieces_come_through_unchanged(
    start_proxy: StartProxy, backend: Backend, method: str, size: int, chunked: bool
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend)
    body = bytes(one % 251 for one in range(size))
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % size
    wire = chunk(body[: size // 2]) + chunk(body[size // 2 :]) + b"0\r\n\r\n" if chunked else body
    with proxy.client() as client:
        client.send(method.encode() + b" /" + FIELDS + framing)
        for start in range(0, len(wire), 30_000):
            gevent.sleep(0.001)
            client.send(wire[start : start + 30_000])
        client.send(GET)  # and what comes after belongs to the next request
        assert client.response().body == body
        assert client.response().status == 200
    assert proxy.runtime.held.total == 0


def trickle(client: Client, piece: bytes, pause: float) -> None:
    """Until the proxy has had enough."""
    client.sock.settimeout(0)
    while True:
        try:
            client.sock.send(piece)
            client.buffer += client.sock.recv(65536)
            break
        except BlockingIOError:
            gevent.sleep(pause)
        except ConnectionError:
            break
    client.sock.settimeout(PATIENCE)


@pytest.mark.parametrize("beginning", [0, MOST_OF_BODY], ids=["before a slot", "in a slot"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_below_the_rate_is_a_timeout(
    start_proxy: StartProxy, backend: Backend, beginning: int, chunked: bool
) -> None:
    proxy = start_proxy(backend, client={"body_rate": 500})
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 9999999\r\n\r\n"
    with proxy.client() as client:
        first = bytes(beginning)
        client.send(b"POST /" + FIELDS + framing + (chunk(first) if chunked else first))
        trickle(client, b"1\r\nx\r\n" if chunked else b"x", 0.02)
        answer = client.response()
        assert (answer.problem()["status"], answer.field("Connection")) == (408, "close")
        assert client.ended()
    until(proxy.idle, "the request to be given up")
    assert proxy.records()[0]["status"] == 408


@pytest.mark.parametrize("beginning", [0, MOST_OF_BODY])
def test_a_body_above_the_rate_is_none(start_proxy: StartProxy, backend: Backend, beginning: int) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend, client={"body_rate": 500})
    count = 40
    with proxy.client() as client:
        size = beginning + count * 200
        client.send(b"POST /" + FIELDS + b"Content-Length: %d\r\n\r\n" % size + bytes(beginning))
        for _ in range(count):  # some 4,000 bytes a second for twice the period
            client.send(bytes(200))
            gevent.sleep(PERIOD * 2 / count)
        assert len(client.response().body) == size


def test_the_time_in_which_a_backend_takes_nothing_is_not_the_clients(
    start_proxy: StartProxy, backend: Backend
) -> None:
    reads_on = Event()

    def late(peer: Peer) -> None:
        head = peer.read_head()
        if b"/-/health" in head:
            return peer.answer()
        reads_on.wait()
        peer.answer(b"%d" % len(peer.read_body(head)))
        return None

    backend.on_accept = late
    proxy = start_proxy(backend, client={"body_rate": 100_000_000})
    body = bytes(8_000_000)
    with proxy.client() as client:
        sending = gevent.spawn(
            client.send, b"POST /" + FIELDS + b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        gevent.spawn_later(PERIOD * 2, reads_on.set)
        assert client.response().body == b"%d" % len(body)
        sending.join()


def test_with_an_expectation_the_slot_comes_first_and_waiting_for_the_word_is_not_slow(
    start_proxy: StartProxy, backend: Backend
) -> None:
    go_on = Event()

    def late(peer: Peer) -> None:
        head = peer.read_head()
        if b"/-/health" in head:
            return peer.answer()
        go_on.wait()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.answer(peer.read_body(head))
        return None

    backend.on_accept = late
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"POST /" + FIELDS + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        until(lambda: proxy.balancer.in_flight, "the slot")
        gevent.spawn_later(PERIOD * 2, go_on.set)
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"hello"


def test_an_expected_body_that_does_not_come_after_the_word_is_a_timeout(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def asking(peer: Peer) -> None:
        head = peer.read_head()
        if b"/-/health" in head:
            return peer.answer()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.read_body(head)
        return None

    backend.on_accept = asking
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"POST /" + FIELDS + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 100
        assert client.response().status == 408


def test_a_backend_that_says_nothing_to_an_expectation_is_a_gateway_timeout(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def silent(peer: Peer) -> None:
        if b"/-/health" in peer.read_head():
            return peer.answer()
        peer.sock.recv(1)
        return None

    backend.on_accept = silent
    proxy = start_proxy(backend, timeouts={"response": 0.2})
    with proxy.client() as client:
        client.send(b"POST /" + FIELDS + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 504


# Answers.


def sized(size: int, chunked: bool) -> bytes:
    body = bytes(one % 251 for one in range(size))
    if chunked:
        pieces = [chunk(body[start : start + 10_000]) for start in range(0, size, 10_000)]
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + b"0\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_is_not_read_holds_no_slot_and_no_connection_to_its_backend(
    start_proxy: StartProxy, backend: Backend, clients: list[Client], chunked: bool
) -> None:
    size = MOST_OF_ANSWER
    backend.script = saying(sized(size, chunked))
    proxy = start_proxy(table(backend, max_connections=1))
    for number in range(1, 4):
        clients.append(slow_reader(proxy))
        clients[-1].send(GET)
        until(lambda: len(backend.requests) == number, "the request")  # noqa: B023
        until(lambda: proxy.balancer.in_flight == 0, "the slot to be free")
    assert proxy.runtime.held.total > 0
    assert (backend.connections, proxy.kept()) == (1, 1)
    for client in clients:
        assert client.response().body == bytes(one % 251 for one in range(size))
    until(lambda: proxy.runtime.held.total == 0, "the memory to be given back")


def test_what_is_held_for_an_answer_that_is_not_read_is_all_counted(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    backend.script = saying(sized(MOST_OF_ANSWER, False))
    proxy = start_proxy(backend)
    clients.append(slow_reader(proxy))
    body = bytes(20_000)
    clients[-1].send(b"PUT /" + FIELDS + b"Content-Length: %d\r\n\r\n" % len(body))
    clients[-1].send(body)
    until(lambda: backend.requests and proxy.balancer.in_flight == 0, "the slot to be free")
    kept = [one.obj for one in found(memoryview) if isinstance(one.obj, bytes) and len(one.obj) > 10_000]
    assert sum({id(one): len(one) for one in kept}.values()) <= proxy.runtime.held.total
    assert not [one for one in found(OutgoingRequest) if one.wire or one.payload]
    assert len(clients[-1].response().body) == MOST_OF_ANSWER


def found(kind: type[T]) -> list[T]:
    """Of all objects there are."""
    return [one for one in gc.get_objects() if isinstance(one, kind)]


def test_a_longer_answer_keeps_its_slot_and_little_memory(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    backend.script = saying(sized(2_000_000, True))
    proxy = start_proxy(backend, client={"answer_rate": 0})
    client = slow_reader(proxy)
    clients.append(client)
    client.send(GET)
    until(lambda: proxy.runtime.held.total, "what is held")
    assert proxy.balancer.in_flight == 1
    assert proxy.runtime.held.total <= MOST_UNSENT
    assert len(client.response().body) == 2_000_000
    assert proxy.runtime.held.total == 0


def test_a_client_that_leaves_meanwhile_ends_the_exchange_at_its_backend(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def pausing(peer: Peer, request: Received) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(bytes(200_000)))
        peer.sock.recv(1)

    backend.script = pausing
    proxy = start_proxy(backend)
    with slow_reader(proxy) as client:
        client.send(GET)
        until(lambda: proxy.runtime.held.total, "what is held")
    until(proxy.idle, "the end of the exchange")
    assert proxy.runtime.held.total == 0
    [record] = proxy.records()
    assert (record["status"], record["ended"]) == (499, "client-gone")


def test_above_the_bound_an_answer_keeps_its_slot_and_others_go_on(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    backend.script = saying(sized(200_000, False))
    proxy = start_proxy(backend, limits={"held_bytes": 500_000}, client={"answer_rate": 0})

    def ask(address: bytes) -> None:
        clients.append(slow_reader(proxy))
        clients[-1].send(b"GET /" + FIELDS + b"X-Forwarded-For: " + address + b"\r\n\r\n")

    ask(b"192.0.2.1")
    until(lambda: proxy.runtime.held.total and not proxy.balancer.in_flight, "the first to be held")
    ask(b"192.0.2.1")
    until(lambda: len(backend.requests) == 2, "the second request")
    ask(b"192.0.2.2")
    until(lambda: len(backend.requests) == 3, "the third request")
    until(lambda: proxy.balancer.in_flight == 1, "only the second to keep its slot")
    for client in clients:
        assert len(client.response().body) == 200_000


def test_above_the_bound_a_body_waits_unread(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend, limits={"held_bytes": 100_000}, client={"body_rate": 0})

    def post(address: bytes) -> Client:
        client = proxy.client()
        clients.append(client)
        fields = FIELDS + b"X-Forwarded-For: " + address + b"\r\nContent-Length: 40000\r\n\r\n"
        client.send(b"POST /" + fields)
        client.send(bytes(30_000))
        return client

    first = post(b"192.0.2.1")
    until(lambda: proxy.runtime.held.total == 30_000, "the first body")
    second = post(b"192.0.2.1")
    third = post(b"192.0.2.2")
    until(lambda: proxy.runtime.held.total == 60_000, "the body of another client")
    for client in (first, second, third):
        client.send(bytes(10_000))
    for client in (first, second, third):
        assert client.response().body == bytes(40_000)


def test_a_body_for_which_there_is_no_room_for_long_is_refused(
    start_proxy: StartProxy, backend: Backend, clients: list[Client]
) -> None:
    proxy = start_proxy(
        backend, limits={"held_bytes": 100_000}, client={"body_rate": 0}, timeouts={"queue": 0.1}
    )
    for _ in range(2):
        clients.append(proxy.client())
        clients[-1].send(b"POST /" + FIELDS + b"Content-Length: 40000\r\n\r\n")
        clients[-1].send(bytes(30_000))
        until(lambda: proxy.runtime.held.total == 30_000, "the first body")
    answer = clients[1].response()
    assert (answer.problem()["status"], bool(answer.field("Retry-After"))) == (503, True)


def read_slowly(client: Client, size: int, pause: float) -> int:
    """How much came until the proxy had enough, or all of it."""
    total = 0
    try:
        while data := client.sock.recv(size):
            total += len(data)
            gevent.sleep(pause)
    except ConnectionError:
        pass
    return total


def test_a_reader_below_the_rate_is_cut(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(sized(8_000_000, False))
    proxy = start_proxy(backend, client={"answer_rate": 200_000})
    with slow_reader(proxy) as client:
        client.send(GET)
        assert read_slowly(client, 512, 0.02) < 8_000_000
    [record] = proxy.records()
    assert (record["status"], record["ended"]) == (200, "client-too-slow")
    assert proxy.balancer.in_flight == 0


def test_a_reader_above_the_rate_is_not_cut_although_the_kernel_holds_megabytes(
    start_proxy: StartProxy, backend: Backend
) -> None:
    """The kernel tells of room for more when a third of its buffer is free, which may take longer than the period."""
    size = 4_000_000
    backend.script = saying(sized(size, False))
    proxy = start_proxy(backend, client={"answer_rate": 50_000}, timeouts={"body": 2 * PERIOD})
    with proxy.client() as client:
        client.send(GET)
        head = client.read_until(b"\r\n\r\n")
        got = len(client.buffer)
        deadline = gevent.get_hub().loop.now() + 4 * PERIOD
        while gevent.get_hub().loop.now() < deadline:
            data = client.sock.recv(10_000)
            assert data, "it was cut"
            got += len(data)
            gevent.sleep(0.02)
        while got < size:
            data = client.sock.recv(1 << 20)
            assert data, "it was cut"
            got += len(data)
    assert b"200 OK" in head


@pytest.mark.parametrize(
    "kind", [b"Content-Type: text/event-stream", b"Content-Type: application/x-ndjson", b"X: y"]
)
@pytest.mark.parametrize("length", [b"Transfer-Encoding: chunked", b"Content-Length: 21"])
def test_an_answer_that_pauses_is_not_cut(
    start_proxy: StartProxy, backend: Backend, kind: bytes, length: bytes
) -> None:
    def pausing(peer: Peer, request: Received) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n" + length + b"\r\n\r\n5\r\nfirst\r\n")
        gevent.sleep(PERIOD * 3)
        peer.send(b"1\r\n!\r\n0\r\n\r\n")

    backend.script = pausing
    proxy = start_proxy(backend, timeouts={"idle": 0.1})
    with proxy.client() as client:
        client.send(GET)
        client.read_until(b"first")
        client.read_until(b"!\r\n0\r\n\r\n")
    assert proxy.records()[0]["ended"] == "done"
