"""The command line's side of the admin listener: what it sends, and one line for whatever comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest
from heliograph_proxy.admin.remote import AdminRefused, ask, table
from heliograph_proxy.settings import ProxySettings, parse

from proxy_tests.backends import Backend, Peer, Received, saying
from proxy_tests.processes import free_port


def settings(admin: str, **more: str) -> ProxySettings:
    return parse({"backend": [{"name": "a", "address": "127.0.0.1:1"}], "admin": admin, **more})


def beside(*arguments: Any) -> Any:
    """What `ask` returns, or a Refused; in a native thread, so that the backend can answer meanwhile."""

    def asked() -> Any:
        try:
            return ask(*arguments)
        except AdminRefused as refused:
            return refused

    return gevent.get_hub().threadpool.apply(asked)


def answering(document: Any, status: str = "200 OK") -> Callable[[Peer, Received], None]:
    return lambda peer, request: peer.answer(json.dumps(document).encode(), status)


def test_a_question_has_no_body_and_a_command_is_json_with_the_token(backend: Backend) -> None:
    backend.script = answering({"fine": True})
    proxy = settings(f"127.0.0.1:{backend.port}", admin_token="secret")
    assert beside(proxy, "GET", "/status") == {"fine": True}
    assert beside(proxy, "PUT", "/backends/a/weight", {"weight": 3}) == {"fine": True}
    question, command = backend.requests
    assert (question.line, question.body, question.field("Content-Type")) == (
        b"GET /status HTTP/1.1",
        b"",
        [],
    )
    assert (command.line, json.loads(command.body)) == (b"PUT /backends/a/weight HTTP/1.1", {"weight": 3})
    assert command.field("Content-Type") == ["application/json"]
    assert [one.field("Authorization") for one in backend.requests] == [["Bearer secret"]] * 2


def test_a_unix_socket_is_asked_too(tmp_path: Path) -> None:
    with Backend(answering([1]), path=tmp_path / "admin.sock") as backend:
        assert beside(settings(f"unix:{tmp_path}/admin.sock"), "GET", "/status") == [1]
        assert backend.requests[0].field("Host") == ["localhost"]


def test_an_answer_without_a_body_is_nothing(backend: Backend) -> None:
    backend.script = saying(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert beside(settings(f"127.0.0.1:{backend.port}"), "DELETE", "/backends/a") is None


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        ("404 Not Found", b'{"detail": "there is no backend"}', "there is no backend"),
        # Another service has the port.
        ("404 Not Found", b"", "404"),
        ("404 Not Found", b"[]", "404"),
        ("500 Oh", b"{}", "500"),
        ("404 Not Found", b"<html>", "no proxy answers on"),
        ("200 OK", b"\xff", "no proxy answers on"),
    ],
)
def test_a_refusal_is_one_line(backend: Backend, status: str, body: bytes, line: str) -> None:
    backend.script = lambda peer, request: peer.answer(body, status)
    assert refused(settings(f"127.0.0.1:{backend.port}")).startswith(line)


@pytest.mark.parametrize(
    "raw", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_something_else_on_the_port_is_one_line(backend: Backend, raw: bytes) -> None:
    backend.script = saying(raw, close=True)
    assert refused(settings(f"127.0.0.1:{backend.port}")).startswith("no proxy answers on 127.0.0.1:")


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    for admin in (f"127.0.0.1:{free_port()}", f"unix:{tmp_path}/nobody"):
        assert refused(settings(admin)).startswith(f"no proxy answers on {admin}: ")


def refused(proxy: ProxySettings) -> str:
    refusal = beside(proxy, "GET", "/status")
    assert isinstance(refusal, AdminRefused)
    assert "\n" not in str(refusal)
    return str(refusal)


def test_the_status_is_a_table_for_people() -> None:
    one = {"name": "web1", "address": "127.0.0.1:8100", "state": "ready", "healthy": True, "weight": 1, "active": 2,
           "queued": 3, "tunnels": 4, "requests": 5, "failures": 6, "retries": 7, "response_time": 0.0123,
           "generation": 2}  # fmt: skip
    two = {**one, "name": "a-longer-name", "healthy": False, "state": "drain"}
    status = {"strategy": "ip_hash", "uptime": 61.5, "connections": 8, "requests": 9, "backends": [one, two]}
    summary, head, *rows = table(status).splitlines()
    assert summary == "strategy ip_hash, up 62 s, 8 connections, 9 requests"
    assert [row.split() for row in rows] == [
        ["web1", "127.0.0.1:8100", "ready", "up", *"1234567", "12.3"],
        ["a-longer-name", "127.0.0.1:8100", "drain", "down", *"1234567", "12.3"],
    ]
    assert {row.index("127.0.0.1") for row in rows} == {head.index("address")}
    # Which process, where an older one still has clients.
    status["backends"] = [one, {**one, "generation": 1}]
    _, *rows = table(status).splitlines()
    assert [row.split()[-1] for row in rows] == ["generation", "2", "1"]
