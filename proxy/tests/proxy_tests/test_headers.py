"""Fields on their way: which end here, which are ours, and who is believed."""

from __future__ import annotations

import pytest
from heliograph_proxy.headers import Forwarding
from heliograph_proxy.http1.requests import RequestParser
from heliograph_proxy.settings import ProxyLimits
from heliograph_proxy.trust import UNIX, read_address, read_trusted

from proxy_tests.backends import (
    Backend,
    echo_head,
)
from proxy_tests.conftest import StartProxy

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ID = b"X-Request-Id: abc\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + size + fields + b"\r\n" + body


def test_hop_by_hop_fields_end_here_and_the_others_pass(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = echo_head
    proxy = start_proxy(backend)
    fields = (
        b"Connection: close, X-Named\r\nX-Named: 1\r\nKeep-Alive: 2\r\nProxy-Connection: 3\r\nTE: trailers\r\n"
        b"Trailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: 4\r\nProxy: 5\r\nX_Under: 6\r\nX-Kept: 7\r\nCookie: a=b\r\n"
    )
    with proxy.client() as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n" + fields + b"\r\n")
        assert client.ended()
    assert answer.field("Connection") == "close"
    names = [line.split(b":")[0].lower() for line in answer.body.split(b"\r\n")[1:]]
    assert sorted(names) == sorted(
        b"host x-kept cookie x-forwarded-for x-forwarded-proto x-forwarded-host via x-request-id".split()
    )


def test_a_trusted_peer_is_believed(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    answer = proxy.get(
        X_Forwarded_For="1.2.3.4",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="shop",
        X_Request_Id="abc",
        X_Real_IP="9",
    )
    got = backend.requests[0]
    assert got.field("X-Forwarded-For") == ["1.2.3.4, 127.0.0.1"]
    assert got.field("X-Forwarded-Proto") == ["https"]
    assert got.field("X-Forwarded-Host") == ["shop"]
    assert got.field("X-Request-Id") == ["abc"]
    assert got.field("X-Real-IP") == ["9"]
    assert got.field("Via") == ["1.1 heliograph"]
    assert got.field("Host") == ["test"]
    assert answer.field("X-Request-Id") == "abc"


@pytest.mark.parametrize("peer", ["", "127.0.0.1", "fe80::1%eth0"])
@pytest.mark.parametrize(
    "told", ['"', 'a", "b": "', '1.2.3.4", "', '[::1]"', 'unix"', '::1%"', "\\", "1.2.3.4"]
)
def test_a_client_is_an_address_or_unix_and_needs_no_quoting_in_the_log(peer: str, told: str) -> None:
    head = RequestParser(ProxyLimits()).parse(
        f"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {told}\r\n".encode()
    )
    client = Forwarding(peer, read_trusted(["unix", "127.0.0.0/8", "fe80::/10"])).client(head)
    assert client == UNIX or read_address(client) == client


def test_nobody_else_is(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, trusted=["10.0.0.0/8"])
    answer = proxy.get(
        X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https", X_Forwarded_Host="shop", X_Request_Id="abc",
        X_Real_IP="9", Forwarded="for=1.2.3.4", X_Forwarded_Port="99",
    )  # fmt: skip
    got = backend.requests[0]
    assert got.field("X-Forwarded-For") == ["127.0.0.1"]
    assert got.field("X-Forwarded-Proto") == ["http"]
    assert got.field("X-Forwarded-Host") == ["test"]
    assert got.field("X-Request-Id") == [answer.field("X-Request-Id")] != ["abc"]
    assert got.field("X-Real-IP") == got.field("Forwarded") == got.field("X-Forwarded-Port") == []


def test_a_bad_request_id_is_replaced(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    for bad in ("a b", "x" * 65, "ü", ""):
        answer = proxy.get(X_Request_Id=bad)
        assert backend.requests[-1].field("X-Request-Id") == [answer.field("X-Request-Id")] != [bad]


def test_http_1_0_without_host_gets_one(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        answer = client.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert client.ended()
    assert answer.field("Connection") == "close"
    assert backend.requests[0].field("Host") == [f"127.0.0.1:{proxy.port}"]
