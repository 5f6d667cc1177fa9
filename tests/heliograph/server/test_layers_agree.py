"""The same bytes sent to an instance and to the proxy in front of it: both answer alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_tests.processes import PYTHON, Process, free_ports, until

from tests.serving import Server, Wire

GET = b"GET /echo?message=x HTTP/1.1\r\n"
END = b"Host: localhost\r\nConnection: close\r\n\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
UPGRADE = b"Host: localhost\r\nConnection: Upgrade\r\n" + KEY + b"\r\n"


def host(value: bytes) -> bytes:
    return GET + b"Host: " + value + b"\r\nConnection: close\r\n\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + fields + END + body


REQUESTS = {
    "an ordinary request": (GET + END, 200),
    "UTF-8 in the query": ("GET /echo?message=grüße HTTP/1.1\r\n".encode() + END, 200),
    "UTF-8 with bytes that are white space in Latin-1": (
        "GET /echo?message=à\x85 HTTP/1.1\r\n".encode() + END,
        200,
    ),
    "UTF-8 in the path": ("GET /echo/größe HTTP/1.1\r\n".encode() + END, 404),
    "no UTF-8 in the query": (b"GET /echo?message=\xe9 HTTP/1.1\r\n" + END, 400),
    "no UTF-8 in the path": (b"GET /\xff\xfe HTTP/1.1\r\n" + END, 400),
    "no UTF-8 in the query of a WebSocket": (
        b"GET /ws/echo?x=\xe9 HTTP/1.1\r\nUpgrade: websocket\r\n" + UPGRADE,
        400,
    ),
    "UTF-8 in the query of a WebSocket": (
        "GET /ws/echo?x=é HTTP/1.1\r\nUpgrade: websocket\r\n".encode() + UPGRADE,
        101,
    ),
    "a space in the target": (b"GET /a b HTTP/1.1\r\n" + END, 400),
    "a fragment": (b"GET /#a HTTP/1.1\r\n" + END, 400),
    "asterisk with GET": (b"GET * HTTP/1.1\r\n" + END, 400),
    "another scheme": (b"GET ftp://localhost/ HTTP/1.1\r\n" + END, 400),
    "absolute form in any case": (b"GET HTTP://localhost/echo?message=x HTTP/1.1\r\n" + END, 200),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + END, 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + END, 505),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\n" + END, 400),
    "CONNECT": (b"CONNECT localhost:80 HTTP/1.1\r\n" + END, 405),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + END, 405),
    "localhost with a final dot": (host(b"localhost."), 200),
    "a subdomain of localhost": (host(b"App.LocalHost:8080"), 200),
    "IPv4 in IPv6 as host": (host(b"[::ffff:127.0.0.1]:80"), 200),
    "another host": (host(b"localhost.example"), 421),
    "no host": (host(b"a b"), 400),
    "two hosts": (host(b"a, b"), 400),
    "another expectation": (post(b"Expect: cookies\r\nContent-Length: 0\r\n"), 417),
    "an upgrade in a list": (b"GET /ws/echo HTTP/1.1\r\nUpgrade: h2c , WebSocket\r\n" + UPGRADE, 101),
    "upgrades in two fields": (
        b"GET /ws/echo HTTP/1.1\r\nUpgrade: h2c\r\nUPGRADE: websocket\r\n" + UPGRADE,
        101,
    ),
    "another upgrade": (b"GET /ws/echo HTTP/1.1\r\nUpgrade: websocket2\r\n" + UPGRADE, 426),
    "chunked in any case": (
        post(b"Transfer-Encoding: Chunked\r\nContent-Type: Text/Plain\r\n", b"2\r\nhi\r\n0\r\n\r\n"),
        200,
    ),
    "an unknown coding": (post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 501),
    "two types": (post(b"Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 0\r\n"), 400),
    "Host in Connection": (GET + b"Host: localhost\r\nConnection: close, HOST\r\n\r\n", 400),
    "a length in Connection": (post(b"Content-Length: 0\r\nConnection: Content-Length\r\n"), 400),
    "another coding": (post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"), 400),
    "a chunk that is too large": (post(b"Transfer-Encoding: chunked\r\n", b"FFFFFFFFFFFFFFFF\r\nhi"), 400),
    "a trailer that is none": (post(b"Transfer-Encoding: chunked\r\n", b"0\r\nabc\r\n\r\n"), 400),
    "a trailer with NUL": (post(b"Transfer-Encoding: chunked\r\n", b"0\r\na: \x00\r\n\r\n"), 400),
    "a chunk with a sign": (post(b"Transfer-Encoding: chunked\r\n", b"+2\r\nhi\r\n0\r\n\r\n"), 400),
    "a chunk with a prefix": (post(b"Transfer-Encoding: chunked\r\n", b"0x2\r\nhi\r\n0\r\n\r\n"), 400),
    "a chunk with a space before it": (
        post(b"Transfer-Encoding: chunked\r\n", b" 2\r\nhi\r\n0\r\n\r\n"),
        400,
    ),
    "a chunk with a space after it": (post(b"Transfer-Encoding: chunked\r\n", b"2 \r\nhi\r\n0\r\n\r\n"), 400),
    "a chunk of 2^63": (post(b"Transfer-Encoding: chunked\r\n", b"8000000000000000\r\nhi"), 400),
    "a chunk with 17 digits": (post(b"Transfer-Encoding: chunked\r\n", b"00000000000000002\r\nhi"), 400),
    "a chunk without digits": (post(b"Transfer-Encoding: chunked\r\n", b"zz"), 400),
    "a chunk with bare LF": (post(b"Transfer-Encoding: chunked\r\n", b"2\nhi\r\n0\r\n\r\n"), 400),
    "a chunk with extensions": (
        post(b"Transfer-Encoding: chunked\r\n", b'2;a=1 ; b="c;d"\r\nhi\r\n0;e\r\nX: y\r\n\r\n'),
        200,
    ),
    "a chunk with an extension that is none": (post(b"Transfer-Encoding: chunked\r\n", b"2;=\r\nhi"), 400),
    "a chunk with NUL in an extension": (
        post(b"Transfer-Encoding: chunked\r\n", b'2;a="\x00"\r\nhi\r\n0\r\n\r\n'),
        400,
    ),
    "endless extensions": (post(b"Transfer-Encoding: chunked\r\n", b"2" + b";a=1" * 1200 + b"\r\nhi"), 400),
    "a chunk that is longer than it says": (
        post(b"Transfer-Encoding: chunked\r\n", b"2\r\nhim\r\n0\r\n\r\n"),
        400,
    ),
    "trailers that are too long": (
        post(b"Transfer-Encoding: chunked\r\n", b"0\r\n" + b"A: b\r\n" * 2000 + b"\r\n"),
        400,
    ),
    "two lengths": (post(b"Content-Length: 0\r\nContent-Length: 0\r\n"), 400),
    "an empty line first": (b"\r\n" + GET + END, 200),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + END, 204),
}


@pytest.fixture(scope="module")
def proxy(running: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A proxy in front of the instance; its port."""
    folder = tmp_path_factory.mktemp("proxy")
    port, admin = free_ports(2)
    (folder / "proxy.toml").write_text(
        f'listen = "127.0.0.1:{port}"\nadmin = "127.0.0.1:{admin}"\n'
        f'[[backend]]\nname = "web"\naddress = "127.0.0.1:{running.port}"\n'
        f'[log]\naccess = "{folder / "access.log"}"\n'
    )
    command = [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(folder / "proxy.toml")]
    with Process(command, folder / "output").wait_for_port(port):
        until(lambda: status(port, GET + END) == 200, "a backend that is up")
        yield port


def status(port: int, request: bytes) -> int:
    with Wire(port) as wire:
        wire.send(request)
        return int(wire.answer(request.lstrip().split(b" ")[0].decode()).status)


@pytest.mark.parametrize("name", REQUESTS)
def test_proxy_and_instance_answer_alike(server: Server, proxy: int, name: str) -> None:
    request, expected = REQUESTS[name]
    assert (status(server.port, request), status(proxy, request)) == (expected, expected)


@pytest.mark.parametrize("expectation", [b"100-Continue", b"100-CONTINUE\t", b" \t100-continue"])
def test_a_client_that_waits_for_100_gets_it_from_both(
    server: Server, proxy: int, expectation: bytes
) -> None:
    head = b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect:" + expectation + b"\r\n" + END
    for port in (server.port, proxy):
        with Wire(port) as wire:
            wire.send(head)
            assert wire.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"hi")
            answer = wire.answer("POST")
            assert (answer.status, answer.body) == (200, b"hi")


def test_what_is_refused_says_what_to_do(server: Server, proxy: int) -> None:
    for port in (server.port, proxy):
        for target in (b"/caf\xe9", b"/a b"):
            with Wire(port) as wire:
                wire.send(b"GET " + target + b" HTTP/1.1\r\n" + END)
                assert "percent-encode" in wire.answer().json()["detail"]
