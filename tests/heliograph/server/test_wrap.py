"""What every request meets and every answer has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from heliograph_proxy.errors import CLIENT_LEFT
from werkzeug.test import create_environ, run_wsgi_app

from heliograph.request.environ import EXCHANGE
from heliograph.server.hosting import hosted
from heliograph.server.state import ServerState
from heliograph.server.wrap import WsgiWrapper
from heliograph.websocket.options import WebSocketOptions
from tests.serving import CLOSE, HOST, Answer, Server, problem


def shown(server: Server, *headers: str, host: str = "localhost") -> Answer:
    fields = "".join(f"{header}\r\n" for header in (f"Host: {host}", "Connection: close", *headers))
    return server.raw(f"GET /echo/request HTTP/1.1\r\n{fields}\r\n".encode())


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/echo", "/docs", "/static/docs.js", "/"])
def test_every_answer_has_a_new_request_id_and_nosniff(server: Server, path: str) -> None:
    first, second = server.get(path), server.get(path)
    for answer in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "<html" not in answer.body.decode().lower() or path in ("/docs", "/")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_trusted_proxy_says_who_asks_and_how(server: Server) -> None:
    answer = shown(
        server,
        "X-Forwarded-For: 6.6.6.6, 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: localhost:444",
        "X-Request-Id: from.the-proxy_1",
    )
    seen = answer.json()
    assert (seen["remote_addr"], seen["scheme"], seen["host"]) == ("1.2.3.4", "https", "localhost:444")
    assert answer.headers["x-request-id"] == "from.the-proxy_1"
    assert server.logged(request_id="from.the-proxy_1")["client"] == "1.2.3.4"


def test_nobody_else_is_believed(small: Server) -> None:
    answer = shown(
        small,
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "X-Request-Id: mine",
    )
    seen = answer.json()
    assert (seen["remote_addr"], seen["scheme"], seen["host"]) == ("127.0.0.1", "http", "localhost")
    assert answer.headers["x-request-id"] != "mine"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "é", "", "a;b"])
def test_a_malformed_request_id_is_replaced(server: Server, given: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", shown(server, f"X-Request-Id: {given}").headers["x-request-id"])


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]", "heliograph.example", "a.wild.example"]
)
def test_known_hosts_are_answered(small: Server, host: str) -> None:
    assert shown(small, host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "wild.example", "localhost.evil.example", "xheliograph.example"]
)
def test_other_hosts_are_misdirected(small: Server, host: str) -> None:
    assert problem(shown(small, host=host), 421, "unknown-host")["host"] == host


def test_a_forwarded_host_must_be_known_too(server: Server) -> None:
    problem(shown(server, "X-Forwarded-Host: evil.example"), 421, "unknown-host")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "user@localhost", "localhost:99999", "a,b", "<script>"])
def test_a_malformed_host_is_refused(server: Server, host: str) -> None:
    problem(shown(server, host=host), 400, "bad-host")


def test_a_request_has_exactly_one_host(server: Server) -> None:
    problem(server.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), 400, "bad-host")
    problem(server.raw(b"GET / HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"), 400, "bad-host")


def test_a_probe_in_http_1_0_needs_no_host(server: Server) -> None:
    answer = server.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_refused_requests_are_logged_with_their_id(small: Server) -> None:
    answer = shown(small, host="evil.example")
    line = small.logged(request_id=answer.headers["x-request-id"])
    assert (line["status"], line["path"], line["instance"]) == (421, "/echo/request", "small1")


def test_the_lines_of_a_request_have_its_trace(server: Server) -> None:
    trace, path = "0af7651916cd43dd8448eb211c80319c", b"GET /healthz HTTP/1.1\r\n"
    with server.connect() as wire:  # both by one greenlet
        for name, given in (
            (b"traced", f"00-{trace}-b7ad6b7169203331-00".encode()),
            (b"untraced", b"nonsense"),
        ):
            wire.send(path + HOST + b"X-Request-Id: %b\r\ntraceparent: %b\r\n\r\n" % (name, given))
            assert wire.answer().status == 200
    server.logged(request_id="traced", trace_id=trace)
    assert "trace_id" not in server.logged(request_id="untraced")


def test_the_access_log_says_what_was_asked_and_answered(server: Server) -> None:
    answer = server.raw(
        b"PUT /echo?q=%22 HTTP/1.1\r\nUser-Agent: curl/8\r\nContent-Length: 5\r\n" + CLOSE + b"\r\nhello"
    )
    line = server.logged(request_id=answer.headers["x-request-id"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert 0 <= line.pop("seconds") < 20
    assert line == {
        "request_id": answer.headers["x-request-id"],
        "instance": "test1",
        "client": "127.0.0.1",
        "method": "PUT",
        "path": "/echo",
        "query": "q=%22",
        "status": 200,
        "bytes": 5,
        "complete": True,
        "agent": "curl/8",
    }


@pytest.mark.parametrize(
    "path",
    ["/a%0Ab%0D", "/%00", "/%22,%22status%22:200", "/%E2%80%A8%C2%85", "/%1b[31m", "/%C2%9B31m", "/%ff%fe"],
)
def test_a_hostile_path_stays_within_one_line_of_the_log(server: Server, path: str) -> None:
    answer = server.get(path)
    problem(answer, 404, "not-found")
    server.logged(request_id=answer.headers["x-request-id"])
    [line] = [line for line in server.output.splitlines() if answer.headers["x-request-id"] in line]
    assert json.loads(line)["status"] == 404
    assert line.isprintable()


def test_an_invented_method_is_cut_in_the_log(server: Server) -> None:
    answer = server.raw(b"X" * 3000 + b" /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n")
    problem(answer, 405, "method-not-allowed")
    assert len(server.logged(request_id=answer.headers["x-request-id"])["method"]) == 32


def test_nothing_is_left_of_an_answer_that_another_one_replaced() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "1"), ("Content-Type", "text/plain")])
        start_response("500 Internal Server Error", [], (OSError, OSError(), None))
        yield b"longer than that"
        yield b"not sent any more"

    environ = create_environ(base_url="http://localhost")
    pieces = hosted(lambda: application)(environ, lambda *_: None)
    next(pieces)
    pieces.close()
    assert environ[EXCHANGE].status == CLIENT_LEFT


def test_the_outermost_layer_bounds_the_websockets_of_a_server() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    layers = [hosted(lambda: application) for _ in range(2)]
    for number, layer in enumerate(layers, 1):
        layer.limit_websockets(WebSocketOptions.read({"HELIOGRAPH_WS_MAX_MESSAGE": f"{number}KiB"}))
    server = ServerState()
    for part in layers[1], layers[0], layers[1]:
        asked = {"Upgrade": "websocket", "Connection": "upgrade"}
        environ = create_environ(base_url="http://localhost", headers=asked) | server.environ()
        run_wsgi_app(WsgiWrapper.around(part, layers), environ)
        assert server.connections.max_message == 1024
