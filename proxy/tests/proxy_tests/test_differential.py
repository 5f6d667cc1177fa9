"""What a backend receives is read alike by httptools, h11 and Gunicorn's own parser: nothing is left to
interpret.

Whatever goes in, from the table of hostile requests and from generated ones, the bytes that come out at a
recording backend are one request for each that the proxy answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile

import h11
import httptools
import pytest
from gevent import socket as gsocket
from gevent.server import StreamServer
from gunicorn.config import Config
from gunicorn.http.errors import InvalidRequestMethod, NoMoreData
from gunicorn.http.parser import RequestParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_tests.conftest import EndedEarly, Proxy, StartProxy
from proxy_tests.test_hostile import ACCEPTED, REFUSED, SMUGGLED

#: Methods that every parser knows.
USUAL_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"}

#: Method, target and body of each request.
Requests = list[tuple[bytes, bytes, bytes]]


def by_h11(data: bytes) -> Requests:
    found: Requests = []
    while data:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        request = connection.next_event()
        assert isinstance(request, h11.Request), (request, data)
        body = b""
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
        if not isinstance(event, h11.EndOfMessage):
            break  # it is still arriving
        found.append((request.method, request.target, body))
        data = connection.trailing_data[0]
    return found


class _Seen:
    def __init__(self) -> None:
        self.requests: Requests = []
        self.url = self.body = b""

    def on_message_begin(self) -> None:
        self.url = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.requests.append((parsers[id(self)].get_method(), self.url, self.body))


parsers: dict[int, httptools.HttpRequestParser] = {}


def by_httptools(data: bytes) -> Requests:
    """All requests up to the first whose method is not of httptools' list: it takes no others."""
    seen = _Seen()
    parser = parsers[id(seen)] = httptools.HttpRequestParser(seen)
    with suppress(httptools.HttpParserUpgrade, httptools.HttpParserInvalidMethodError):
        parser.feed_data(data)
    del parsers[id(seen)]
    return seen.requests


def by_gunicorn(data: bytes) -> Requests:
    config = Config()
    config.set("http_parser", "python")
    found: Requests = []
    with suppress(
        NoMoreData, InvalidRequestMethod
    ):  # the last one is still arriving, or has a method like aGET
        for request in RequestParser(config, iter([data]), ("127.0.0.1", 1)):
            found.append((request.method.encode(), request.uri.encode("latin-1"), request.body.read()))
    return found


class Recorder:
    """A server that keeps every byte of each connection, and answers each request that is complete."""

    def __init__(self) -> None:
        self.connections: list[bytearray] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> Recorder:
        self._server.start()
        self.port: int = self._server.server_port or 0
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _serve(self, sock: gsocket.socket, _: object) -> None:
        # The list of now: what is still under way when the next example begins must not get into its list.
        record, received, answered = self.connections, bytearray(), 0
        with sock, suppress(OSError):
            while data := sock.recv(65536):
                received += data
                if received.startswith(b"GET /-/health "):
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                if len(received) == len(data):
                    record.append(received)
                while answered < len(by_h11(bytes(received))):
                    answered += 1
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def _wait_for_earlier(self) -> None:
        """Connections are accepted in order: when this one is answered, all that came before it are being read."""
        with gsocket.create_connection(("127.0.0.1", self.port)) as barrier:
            barrier.sendall(b"GET /-/health HTTP/1.1\r\n\r\n")
            assert barrier.recv(65536)

    def read_alike(self) -> Requests:
        """All requests, if all parsers agree about them."""
        self._wait_for_earlier()
        found: Requests = []
        recorded, self.connections = self.connections, []
        for data in map(bytes, recorded):
            requests = by_h11(data)
            usual = list(takewhile(lambda request: request[0] in USUAL_METHODS, requests))
            for seen in (by_httptools(data), by_gunicorn(data)):
                assert seen[: len(usual)] == usual, data
                assert len(usual) < len(requests) or seen == requests, data
            found += requests
        return found


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as one:
        yield one


@pytest.fixture
def proxy(start_proxy: StartProxy, recorder: Recorder) -> Proxy:
    # Each request on a connection of its own, so that places in the record do not get mixed up.
    return start_proxy({"name": "b1", "address": f"127.0.0.1:{recorder.port}"}, pool={"idle": 0})


def answered(proxy: Proxy, wire: bytes) -> int:
    """How many requests in these bytes are answered with 200."""
    count = 0
    with proxy.client() as client, suppress(EndedEarly, ConnectionError):
        client.send(wire)
        client.sock.shutdown(1)
        while client.response().status == 200:
            count += 1
    return count


def test_of_the_whole_table_only_what_is_meant_reaches_a_backend(proxy: Proxy, recorder: Recorder) -> None:
    for name, (request, _) in REFUSED.items():
        assert answered(proxy, request + SMUGGLED) == 0, name
        assert recorder.read_alike() == [], name
    for name, (request, line) in ACCEPTED.items():
        if line.startswith((b"BREW", b"get ")):
            continue  # httptools knows no other methods than those of its list
        assert answered(proxy, request + SMUGGLED) == 2, name
        first, second = recorder.read_alike()
        assert first[0] + b" " + first[1] + b" HTTP/1.1" == line
        assert second == (b"GET", b"/smuggled", b"")


PIECE = st.one_of(
    st.sampled_from(
        [
            b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 3\r\n",
            b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:chunked\r\n",
            b"Connection: close\r\n", b"Connection: keep-alive, X\r\n", b"X: y\r\n", b"X:\t \r\n", b"Expect: 100-continue\r\n",
            b"\r\n", b"\n", b"\r", b" ", b"\t", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\n", b"3;a=b\r\nabc\r\n",
            b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
    ),
    st.binary(max_size=3),
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECE, max_size=12))
def test_whatever_comes_in_what_goes_out_is_clear(
    proxy: Proxy, recorder: Recorder, pieces: list[bytes]
) -> None:
    head = b"" if pieces and pieces[0].startswith((b"GET", b"POST")) else b"POST / HTTP/1.1\r\nHost: a\r\n"
    wire = head + b"".join(pieces)
    count = answered(proxy, wire)
    found = recorder.read_alike()
    assert len(found) == count, wire
