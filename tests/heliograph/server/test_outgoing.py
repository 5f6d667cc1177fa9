"""The end of an answer, whatever an application gives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, Process, free_ports, until

from tests.heliograph.server.test_hosting import foreign
from tests.serving import HOST, Server, Wire

NEXT = b"GET /seen HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("foreign"), command=foreign) as server:
        server.wait_for_port(server.port)
        yield server


def get(path: str, method: str = "GET", version: str = "1.1", fields: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/{version}\r\n".encode() + HOST + fields + b"\r\n"


def all_of(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Head and rest of what comes until the connection ends."""
    data = bytearray()
    with Wire(port) as wire:
        wire.send(request)
        with contextlib.suppress(ConnectionResetError):  # a cut may be seen as one, too
            while piece := wire.socket.recv(65536):
                data += piece
    head, _, rest = bytes(data).partition(b"\r\n\r\n")
    return head, rest


@pytest.mark.parametrize("path", ["/short", "/short-list", "/nothing", "/written-short", "/file", "/breaks"])
def test_an_answer_shorter_than_its_length_ends_the_connection(host: Server, path: str) -> None:
    head, body = all_of(host.port, get(path))
    assert b"Content-Length: " in head
    assert len(body) < 10


def test_a_stream_that_breaks_off_has_no_last_chunk(host: Server) -> None:
    _, body = all_of(host.port, get("/breaks-stream"))
    assert body == b"5\r\n12345\r\n"


@pytest.mark.parametrize(
    ("path", "body"), [("/long", b"12345"), ("/written", b"abcdef"), ("/stream", b"one two")]
)
def test_the_connection_goes_on_after_a_whole_answer(host: Server, path: str, body: bytes) -> None:
    """Also where the application gave more than it announced: that is never sent."""
    with host.connect() as wire:
        wire.send(get(path) + NEXT)
        assert wire.answer().body == body
        assert wire.answer().json()["PATH_INFO"] == "/seen"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/empty-204", "GET", 204),
        ("/long-204", "GET", 204),
        ("/length-304", "GET", 304),
        ("/long", "HEAD", 200),
        ("/stream", "HEAD", 200),
        ("/written", "HEAD", 200),
        ("/short", "HEAD", 200),
        ("/empty-204", "HEAD", 204),
    ],
)
def test_an_answer_without_a_body_has_none(host: Server, path: str, method: str, status: int) -> None:
    with host.connect() as wire:
        wire.send(get(path, method) + NEXT)
        answer = wire.answer(method)
        assert (answer.status, answer.body) == (status, b"")
        assert "transfer-encoding" not in answer.headers
        if status == 204:
            assert "content-length" not in answer.headers
        assert wire.answer().json()["PATH_INFO"] == "/seen"


def test_to_http_1_0_a_stream_ends_with_the_connection(host: Server) -> None:
    head, body = all_of(host.port, get("/stream", version="1.0", fields=b"Connection: keep-alive\r\n"))
    assert body == b"one two"
    assert b"connection: close" in head.lower()
    assert b"keep-alive" not in head.lower()
    assert b"transfer-encoding" not in head.lower()


def test_http_1_0_is_kept_alive_where_the_length_is_known(host: Server) -> None:
    with host.connect() as wire:
        for _ in range(2):
            wire.send(get("/written", version="1.0", fields=b"Connection: keep-alive\r\n"))
            answer = wire.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


def test_an_answer_that_is_cut_is_seen_as_cut_through_the_proxy(host: Server, tmp_path: Path) -> None:
    port, admin = free_ports(2)
    (tmp_path / "proxy.toml").write_text(
        f'listen = "127.0.0.1:{port}"\nadmin = "127.0.0.1:{admin}"\n[health]\npath = "/seen"\n'
        f'[[backend]]\nname = "web"\naddress = "127.0.0.1:{host.port}"\n[log]\naccess = ""\n'
    )
    command = [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(tmp_path / "proxy.toml")]
    with Process(command, tmp_path / "output").wait_for_port(port):
        until(lambda: b" 200 " in all_of(port, get("/seen", fields=b"Connection: close\r\n"))[0], "a backend")
        for path in ("/short", "/breaks"):
            head, body = all_of(port, get(path))
            assert b"content-length: 10" in head.lower()
            assert body == b"12345"
        _, body = all_of(port, get("/breaks-stream"))
        assert not body.endswith(b"0\r\n\r\n")


CUT = {
    "length": b"POST /body HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhalf",
    "chunks": b"POST /body HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhal",
    "between chunks": b"POST /body HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.mark.parametrize("name", CUT)
def test_an_upload_that_is_cut_is_400_without_a_traceback(host: Server, name: str) -> None:
    start = len(host.output)
    with host.connect() as wire:
        wire.send(CUT[name])
        wire.socket.shutdown(1)
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert wire.rest() == b""
    request_id = answer.headers["x-request-id"]
    assert host.logged(request_id=request_id, path="/body")["status"] == 400
    assert not [
        line for line in host.log_lines(start) if line["request_id"] == request_id and "traceback" in line
    ]


def test_a_client_that_waits_for_100_and_is_not_told_is_not_waited_for(host: Server) -> None:
    fields = b"Expect: 100-continue\r\nContent-Length: 5\r\n"
    head, body = all_of(host.port, get("/unread", "POST", fields=fields))
    assert b"not read" in body
    assert b"connection: close" in head.lower()
