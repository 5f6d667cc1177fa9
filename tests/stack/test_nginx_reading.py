"""How nginx reads what requests say of themselves: forwarding headers of balancers in front of it, upgrades, what it logs."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator

import pytest
from proxy_tests.processes import Process, free_port, until

from tests.stack import upstream
from tests.stack.checkout import open_to_everyone
from tests.stack.front import NGINX, Nginx, configured
from tests.stack.upstream import PATIENCE, Exchange, Upstream

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

#: Another address of this machine than the one that other clients have.
BALANCER = "127.0.0.2"

FORWARDED = (
    b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http, HTTPS\r\nX-Forwarded-Host: x, shop.example:8443\r\n"
    b"X-Forwarded-Prefix: /shop\r\nX-Request-Id: of.the-balancer_1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n"
    b"X-Forwarded-Port: 1\r\n"
)


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx that believes one balancer."""
    folder = tmp_path_factory.mktemp("balanced")
    open_to_everyone(folder)
    upstream, port = Upstream(), free_port()
    trusted = (f"{BALANCER}/32", f"{BALANCER}/32", "2001:db8::/32")
    command = configured(folder, port, upstream.port, trusted)
    with Process(command, folder / "output").wait_for_port(port):
        yield Nginx(port, upstream, folder)
    upstream.close()


def test_the_upstream_of_these_tests_reads_a_connection_that_was_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "PATIENCE", 0.02)
    server = Upstream()
    try:
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
            for _ in range(2):
                client.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.recv(1)
                client.settimeout(PATIENCE)
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    finally:
        server.close()


def seen_by(nginx: Nginx, head: bytes, source: str) -> Exchange:
    nginx.upstream.reset()
    nginx.raw(b"GET /echo HTTP/1.1\r\nHost: localhost:81\r\nConnection: close\r\n" + head + b"\r\n", source)
    return nginx.upstream.next()


def test_a_balancer_that_is_set_is_believed(balanced: Nginx) -> None:
    seen = seen_by(balanced, FORWARDED, BALANCER)
    assert seen.values("X-Forwarded-For") == [f"203.0.113.7, {BALANCER}"]
    assert [value.lower() for value in seen.values("X-Forwarded-Proto")] == ["https"]
    assert seen.values("X-Forwarded-Host") == ["shop.example:8443"]
    assert seen.values("X-Forwarded-Prefix") == ["/shop"]
    assert seen.values("X-Request-Id") == ["of.the-balancer_1"]
    for name in ("Forwarded", "X-Real-IP", "X-Forwarded-Port"):
        assert seen.values(name) == []


@pytest.mark.parametrize("head", [FORWARDED, b""])
def test_what_others_say_is_replaced_by_what_was_seen(balanced: Nginx, head: bytes) -> None:
    seen = seen_by(balanced, head, "127.0.0.1")
    assert seen.values("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.values("X-Forwarded-Proto") == ["http"]
    assert seen.values("X-Forwarded-Host") == ["localhost:81"]
    assert seen.values("X-Forwarded-Prefix") == seen.values("Forwarded") == []
    assert seen.values("X-Request-Id") != ["of.the-balancer_1"]


def test_what_a_balancer_leaves_out_is_what_was_seen(balanced: Nginx) -> None:
    bad = b"X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b\r\nX-Request-Id: a b\r\n"
    for head in (b"", bad):
        seen = seen_by(balanced, head, BALANCER)
        assert seen.values("X-Forwarded-For") == [BALANCER]
        assert seen.values("X-Forwarded-Proto") == ["http"]
        assert seen.values("X-Forwarded-Host") == ["localhost:81"]
        [request_id] = seen.values("X-Request-Id")
        assert len(request_id) == 32


UPGRADES = [
    (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", True),
    (b"Connection: keep-alive, UPGRADE\r\nUpgrade: h2c, WebSocket\r\n", True),
    (b"Connection: upgrade\r\nUpgrade: websocket ,\th2c\r\n", True),
    (b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", True),
    (b"Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", True),
    (b"Connection: keep-alive\r\nUpgrade: websocket2\r\n", False),
    (b"Connection: Upgrade\r\nUpgrade: nowebsocket, h2c\r\n", False),
]


@pytest.mark.parametrize(("head", "asks"), UPGRADES)
def test_lists_of_upgrades_are_read_in_any_case(nginx: Nginx, head: bytes, asks: bool) -> None:
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" if asks else b""
    with socket.create_connection(("127.0.0.1", nginx.port), PATIENCE) as client:
        client.sendall(b"GET /ws/echo HTTP/1.1\r\nHost: x\r\n" + head + key + b"\r\n")
        seen = nginx.upstream.next()
    assert seen.values("Upgrade") == (["websocket"] if asks else [])
    assert seen.values("Connection") == (["upgrade"] if asks else [])


def test_an_upgrade_of_http_1_0_is_none(nginx: Nginx) -> None:
    nginx.raw(b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert nginx.upstream.next().values("Upgrade") == []


@pytest.mark.parametrize("version", [b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0"])
def test_other_versions_are_refused_as_by_the_layers_behind(nginx: Nginx, version: bytes) -> None:
    status, _, body = nginx.raw(b"GET / " + version + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, json.loads(body)["type"]) == (505, "/problems/http-version-not-supported")
    assert nginx.upstream.seen.empty()


TARGETS = [
    (b"/events?channel=a&ticket=SECRET", "/events?channel=a&ticket=***"),
    (b"/x?token=SECRET&after=1:2", "/x?token=***&after=1:2"),
    (b"/x?a=1&ACCESS_TOKEN=SECRET&b=2", "/x?a=1&ACCESS_TOKEN=***&b=2"),
    (b"/x?%74icket=SECRET", "/x?%74icket=***"),
    (b"/x?a=1&ticket=SECRET&b=2&token=SECRET", "/x?a=1&ticket=***"),
    (b"/x?ticket=SECRET?ticket=SECRET", "/x?ticket=***"),
    (b"/tickets?csrf_token=a&name=ticket", "/tickets?csrf_token=a&name=ticket"),
    ("/café?x=ü".encode(), "/café?x=ü"),
    (b"/caf\xe9", "(not UTF-8)"),
]


@pytest.mark.parametrize(("target", "logged"), TARGETS)
def test_the_log_shows_no_secret_and_is_always_json(nginx: Nginx, target: bytes, logged: str) -> None:
    log = nginx.folder / "var/nginx-access.log"
    host = f"{secrets.token_hex(8)}.example"
    others = b'User-Agent: "\\\t\xff\r\nReferer: http://x/?ticket=SECRET\r\nConnection: close\r\n'
    nginx.raw(b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, host.encode(), others))
    [line] = until(
        lambda: [line for line in log.read_bytes().splitlines() if host.encode() in line], "a line in the log"
    )
    assert b"SECRET" not in line
    assert json.loads(line.decode())["uri"] == logged


def test_errors_of_tunnels_and_events_do_not_show_the_request_line(nginx: Nginx) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.connection.close()

    nginx.upstream.handler = cut
    for path in (b"/ws/echo", b"/events", b"/channels/a/events"):
        status, _, _ = nginx.raw(
            b"GET " + path + b"?ticket=SECRET HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert status == 502
    assert "SECRET" not in (nginx.folder / "output").read_text()


@pytest.mark.parametrize("expectation", [b"100-continue", b"100-Continue", b"  100-CONTINUE "])
def test_a_client_that_waits_for_100_gets_it(nginx: Nginx, expectation: bytes) -> None:
    def echo(exchange: Exchange) -> None:
        exchange.answer(body=exchange.read(2))

    nginx.upstream.handler = echo
    with nginx.connect() as client:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\nExpect:"
        client.sendall(head + expectation + b"\r\n\r\n")
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hi")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.endswith(b"\r\n\r\nhi")
    assert nginx.upstream.next().values("Expect") == []


def test_options_for_the_whole_server_are_no_request_for_nginx(nginx: Nginx) -> None:
    """nginx reads no `*`; proxy and instance answer it."""
    status, _, body = nginx.raw(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, json.loads(body)["status"]) == (400, 400)
    assert "percent-encoded" in json.loads(body)["detail"]
