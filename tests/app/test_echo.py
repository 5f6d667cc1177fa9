"""Every row of the interface's section on echo, over a real connection."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time

import pytest

from app.echo import MAX_BYTES, MAX_SHOWN_BODY
from tests.serving import CLOSE, HOST, Answer, Server, chunked, problem


def send(server: Server, method: str, path: str, body: bytes = b"", headers: bytes = b"") -> Answer:
    head = f"{method} {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n".encode()
    return server.raw(head + headers + CLOSE + b"\r\n" + body, method)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "media", ["text/plain; charset=utf-8", "image/png", "application/x-www-form-urlencoded"]
)
def test_the_same_bytes_come_back_with_the_same_content_type(server: Server, method: str, media: str) -> None:
    body = bytes(range(256)) * 7
    answer = send(server, method, "/echo", body, f"Content-Type: {media}\r\n".encode())
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, body, media)
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["content-security-policy"] == "sandbox"


def test_without_a_content_type_it_is_bytes(server: Server) -> None:
    answer = send(server, "POST", "/echo", b"x")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_an_empty_body_comes_back_empty(server: Server) -> None:
    assert (send(server, "POST", "/echo").body, send(server, "POST", "/echo").headers["content-length"]) == (
        b"",
        "0",
    )


def test_a_chunked_body_comes_back_with_its_length(server: Server) -> None:
    request = b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n"
    answer = server.raw(request + chunked(b"Wiki", b"pedia", b" in\r\n\r\nchunks."))
    assert (answer.body, answer.headers["content-length"]) == (b"Wikipedia in\r\n\r\nchunks.", "23")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("hello", "hello"),
        ("", ""),
        ("a%20b%26c", "a b&c"),
        ("%C3%A9", "é"),
        ("a&message=b", "a"),
        ("%ff", "%FF"),
        ("\xc3\xa9", "é"),
    ],
)
def test_a_message_comes_back_as_text(server: Server, query: str, message: str) -> None:
    answer = server.raw(f"GET /echo?message={query} HTTP/1.1\r\n".encode("latin-1") + CLOSE + b"\r\n")
    assert (answer.status, answer.body.decode()) == (200, message)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-security-policy"] == "sandbox"


def test_without_a_message_there_is_a_problem(server: Server) -> None:
    assert problem(server.get("/echo"), 400, "missing-message")["option"] == "message"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "TRACE", "BREW", "PROPFIND"])
def test_a_request_of_any_method_is_shown(server: Server, method: str) -> None:
    shown = send(
        server, method, "/echo/request?a=1&b=2&a=%20", b"hi", b"X-Some: thing\r\nCookie: a=b\r\n"
    ).json()
    assert (shown["method"], shown["path"]) == (method, "/echo/request")
    assert shown["query"] == [["a", "1"], ["b", "2"], ["a", " "]]
    assert shown["body"] == {"text": "hi"}
    assert ["X-Some", "thing"] in shown["headers"]
    assert (shown["remote_addr"], shown["scheme"], shown["host"]) == ("127.0.0.1", "http", "localhost")
    assert shown["instance"] == "test1"


def test_head_of_a_request_has_no_body(server: Server) -> None:
    answer = server.raw(b"HEAD /echo/request HTTP/1.1\r\n" + CLOSE + b"\r\n", "HEAD")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "application/json")


def test_secrets_of_a_request_are_masked(server: Server) -> None:
    secrets = (
        b"Authorization: Bearer s3cret\r\nCookie: session=s3cret\r\nProxy-Authorization: Basic s3cret\r\n"
    )
    answer = send(server, "GET", "/echo/request", headers=secrets)
    assert b"s3cret" not in answer.body
    masked = [name for name, value in answer.json()["headers"] if value == "***"]
    assert sorted(masked) == ["Authorization", "Cookie", "Proxy-Authorization"]


def test_a_binary_body_is_shown_in_base64(server: Server) -> None:
    shown = send(server, "POST", "/echo/request", b"\xff\x00").json()
    assert shown["body"] == {"base64": base64.b64encode(b"\xff\x00").decode()}


def test_a_shown_body_is_bounded(server: Server) -> None:
    fits = send(server, "POST", "/echo/request", b"x" * MAX_SHOWN_BODY)
    assert len(fits.json()["body"]["text"]) == MAX_SHOWN_BODY
    over = send(server, "POST", "/echo/request", b"x" * (MAX_SHOWN_BODY + 1))
    assert problem(over, 413, "body-too-large")["limit"] == MAX_SHOWN_BODY


def test_a_path_that_is_not_utf_8_is_shown_all_the_same(server: Server) -> None:
    answer = server.raw(b"GET /echo/request?a=%ff&%FF=%c3 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert (answer.status, len(answer.json()["query"])) == (200, 2), answer


@pytest.mark.parametrize(("seconds", "slept"), [("0", 0), ("0.05", 0.05), ("00.1", 0.1)])
def test_a_delay_sleeps_that_long(server: Server, seconds: str, slept: float) -> None:
    began = time.monotonic()
    assert server.get(f"/echo/delay/{seconds}").json() == {"slept": slept}
    assert time.monotonic() - began >= slept


@pytest.mark.parametrize(
    "seconds", ["-1", "30.001", "31", "inf", "nan", "1e1", "x", "1_0", "%20", "%D9%A1", "9" * 400]
)
def test_a_delay_beyond_its_bounds_is_refused(server: Server, seconds: str) -> None:
    assert problem(server.get(f"/echo/delay/{seconds}"), 400, "bad-option")["limit"] == 30


def test_a_stream_is_sent_line_by_line(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo/stream?count=3&interval=0.4 HTTP/1.1\r\n" + CLOSE + b"\r\n")
        began, seen = time.monotonic(), b""
        while b'{"n": 1' not in seen:
            seen += wire.socket.recv(65536)
        assert time.monotonic() - began < 0.4 or b'"n": 2' not in seen
        assert time.monotonic() - began < 0.8 or b'"n": 3' not in seen
        wire.rest()
        assert time.monotonic() - began >= 0.8


def test_the_lines_of_a_stream_are_json(server: Server) -> None:
    answer = server.get("/echo/stream?count=4&interval=0.01")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-accel-buffering"] == "no"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3, 4]
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 60


def test_a_stream_has_ten_lines_by_default(server: Server) -> None:
    assert server.get("/echo/stream?interval=0.01").body.count(b"\n") == 10


@pytest.mark.parametrize(
    ("query", "option"),
    [
        ("count=0", "count"),
        ("count=10001", "count"),
        ("count=x", "count"),
        ("count=", "count"),
        ("interval=0.001", "interval"),
        ("interval=61", "interval"),
        ("interval=nan", "interval"),
        ("interval=inf", "interval"),
        ("count=1.5", "count"),
    ],
)
def test_a_stream_beyond_its_bounds_is_refused(server: Server, query: str, option: str) -> None:
    assert problem(server.get(f"/echo/stream?{query}"), 400, "bad-option")["option"] == option


def test_head_of_a_stream_leaves_the_connection_in_order(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"HEAD /echo/stream HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer("HEAD").status == 200
        wire.send(b"GET /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert wire.answer().json()["status"] == "ok"


def test_bytes_are_reproducible(server: Server) -> None:
    first = server.get("/echo/bytes/200000?seed=7")
    assert (first.status, len(first.body), first.headers["content-length"]) == (200, 200_000, "200000")
    assert first.headers["content-type"] == "application/octet-stream"
    assert server.get("/echo/bytes/200000?seed=7").body == first.body
    assert server.get("/echo/bytes/200000?seed=8").body != first.body
    assert server.get("/echo/bytes/100").body == random.Random(0).randbytes(65536)[:100]


def test_many_bytes_let_others_be_served(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo/bytes/100000000 HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert wire.socket.recv(1000)
        assert server.get("/healthz").status == 200
        assert len(hashlib.sha256(wire.rest()).digest()) == 32


@pytest.mark.parametrize("n", ["0", "1", str(MAX_BYTES)])
def test_head_of_bytes_announces_their_length(server: Server, n: str) -> None:
    answer = server.raw(f"HEAD /echo/bytes/{n} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n", "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, n, b"")


@pytest.mark.parametrize(
    "path", ["-1", "x", str(MAX_BYTES + 1), "1.0", "9" * 300, "1?seed=x", "1?seed=-1", f"1?seed={1 << 63}"]
)
def test_bytes_beyond_their_bounds_are_refused(server: Server, path: str) -> None:
    problem(server.get(f"/echo/bytes/{path}"), 400, "bad-option")


def test_a_reader_that_goes_away_ends_the_stream(server: Server) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo/bytes/5000000000 HTTP/1.1\r\nX-Request-Id: gone-reader\r\n" + HOST + b"\r\n")
        assert wire.socket.recv(1000)
        wire.reset()
    line = server.logged(request_id="gone-reader")
    assert (line["status"], line["complete"]) == (499, False)
    assert line["bytes"] < 5_000_000_000
