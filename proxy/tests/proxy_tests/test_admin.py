"""The admin listener: who may ask, what it answers, and what its writes do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy_tests.backends import Backend, silent
from proxy_tests.conftest import Proxy, Response, StartProxy, until

KEYS = {"name", "address", "weight", "state", "healthy", "active", "tunnels", "queued", "requests", "failures", "retries",
        "response_time", "last_check", "generation"}  # fmt: skip


def ask(proxy: Proxy, method: str, path: str, body: Any = None, **fields: str) -> Response:
    document = b"" if body is None else json.dumps(body).encode()
    given = {"Host": "localhost", **({} if body is None else {"Content-Type": "application/json"}), **fields}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    size = f"Content-Length: {len(document)}\r\n" if document else ""
    with proxy.admin() as client:
        return client.ask(f"{method} {path} HTTP/1.1\r\n{lines}{size}\r\n".encode() + document, method)


def test_the_status_is_as_promised(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    assert proxy.get().status == 200
    answer = ask(proxy, "GET", "/status")
    status = json.loads(answer.body)
    assert answer.field("Content-Type") == "application/json"
    assert set(status) == {"strategy", "uptime", "connections", "requests", "backends"}
    assert (status["strategy"], status["requests"]) == ("round_robin", 1)
    [one] = status["backends"]
    assert set(one) == KEYS
    assert (one["name"], one["address"]) == ("b1", f"127.0.0.1:{backend.port}")
    assert (one["requests"], one["healthy"], one["state"], one["active"]) == (1, True, "ready", 0)
    assert one["last_check"]["passed"]


def test_events_tell_the_status_every_second(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.admin() as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
        for _ in range(2):
            event = client.read_until(b"\n\n").decode()
            data = [line.removeprefix("data: ") for line in event.splitlines() if line.startswith("data: ")]
            assert json.loads(data[0])["backends"][0]["name"] == "b1"


def test_metrics_have_histograms_by_backend_and_status(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    proxy.get()
    text = ask(proxy, "GET", "/metrics").body.decode()
    assert 'heliograph_proxy_request_duration_seconds_count{backend="b1",status="2xx"} 1.0' in text
    assert 'heliograph_proxy_backend_up{backend="b1"} 1.0' in text
    assert 'heliograph_proxy_backend_requests_total{backend="b1"} 1.0' in text
    assert "heliograph_proxy_requests_total 1.0" in text


def test_the_page_is_under_a_strict_policy(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    for path, kind in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")):
        answer = ask(proxy, "GET", path)
        assert (answer.status, (answer.field("Content-Type") or "").split(";")[0]) == (200, kind)
        assert "default-src 'none'" in (answer.field("Content-Security-Policy") or "")
        assert b"<script>" not in answer.body
        assert answer.field("X-Request-Id")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nothing", 404, None),
        ("POST", "/status", 405, "GET, HEAD"),
        ("GET", "/reload", 405, "POST"),
        ("GET", "/backends/b1", 405, "DELETE"),
    ],
)
def test_unknown_paths_and_methods_are_problems(
    start_proxy: StartProxy, backend: Backend, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = ask(start_proxy(backend), method, path)
    assert answer.problem()["status"] == status
    assert answer.field("Allow") == allow


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST:8001",
        "[::1]",
        "[::1]:8001",
        "127.0.0.1:80",
        "localhost.",
        "App.localhost:1",
        "[::ffff:127.0.0.1]",
    ],
)
def test_names_of_this_machine_are_answered(start_proxy: StartProxy, backend: Backend, host: str) -> None:
    assert ask(start_proxy(backend), "GET", "/status", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.2", "10.0.0.1:8001"])
def test_other_names_are_not(start_proxy: StartProxy, backend: Backend, host: str) -> None:
    assert ask(start_proxy(backend), "GET", "/status", Host=host).problem()["status"] == 421


def test_with_a_token_everything_but_the_page_needs_it(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, admin_token="secret")
    for path in ("/status", "/metrics", "/events", "/live"):
        answer = ask(proxy, "GET", path)
        assert (answer.problem()["status"], answer.field("WWW-Authenticate")) == (401, "Bearer")
    assert ask(proxy, "GET", "/status", Authorization="Bearer wrong").status == 401
    assert ask(proxy, "GET", "/status", Authorization="Bearer secret", Host="proxy.example").status == 200
    assert ask(proxy, "GET", "/status", Authorization="bEARER  secret", Host="proxy.example").status == 200
    assert ask(proxy, "GET", "/status", Authorization="Basic secret", Host="proxy.example").status == 401
    assert ask(proxy, "GET", "/").status == 200
    assert ask(proxy, "PUT", "/backends/b1/state", {"state": "drain"}).status == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "HTTP://localhost:80"}, 200),
        ({"Origin": "https://localhost:443"}, 200),
        ({"Origin": "http://localhost:443"}, 403),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
    ],
)
def test_writes_from_elsewhere_are_refused(
    start_proxy: StartProxy, backend: Backend, fields: dict[str, str], status: int
) -> None:
    fields = {name.replace("_", "-"): value for name, value in fields.items()}
    assert ask(start_proxy(backend), "PUT", "/backends/b1/weight", {"weight": 3}, **fields).status == status


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/backends/b1/state", {"state": "off"}, 400),
        ("/backends/b1/state", {}, 400),
        ("/backends/b1/state", ["drain"], 400),
        ("/backends/b1/weight", {"weight": -1}, 400),
        ("/backends/b1/weight", {"weight": "3"}, 400),
        ("/backends/b1/weight", {"weight": 3, "more": 1}, 400),
        ("/backends/nobody/state", {"state": "drain"}, 404),
    ],
)
def test_wrong_writes_are_problems_and_change_nothing(
    start_proxy: StartProxy, backend: Backend, path: str, body: Any, status: int
) -> None:
    proxy = start_proxy(backend)
    ask(proxy, "PUT", path, body).problem()
    assert ask(proxy, "PUT", path, body).status == status
    assert (
        proxy.backends[0].state.value,
        proxy.backends[0].weight,
    ) == ("ready", 1)


def test_a_body_that_is_no_json_or_too_long_is_a_problem(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    head = b"PUT /backends/b1/state HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with proxy.admin() as client:
        assert client.ask(head + b"Content-Length: 1\r\n\r\n{").problem()["status"] == 400
    with proxy.admin() as client:
        assert client.ask(head + b"Content-Length: 20000\r\n\r\n" + b" " * 20000).problem()["status"] == 413


def test_a_silent_asker_is_let_go(
    start_proxy: StartProxy, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.admin.listener.REQUEST_SECONDS", 0.2)
    proxy = start_proxy(backend)
    with proxy.admin() as client:
        client.send(b"GET /status HTTP/1.1\r\nHost: loc")
        assert client.response().status == 408
        assert client.ended()


def test_the_figures_of_a_busy_backend_are_visible(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = silent
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": 1}
    proxy = start_proxy(table)
    with proxy.client() as first, proxy.client() as second:
        for client in (first, second):
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: len(proxy.balancer.queue) == 1, "one in the queue")
        status = json.loads(ask(proxy, "GET", "/status").body)
        assert (status["connections"], status["backends"][0]["active"], status["backends"][0]["queued"]) == (
            2,
            1,
            1,
        )


@pytest.mark.parametrize("path", ["/", "/status", "/events", "/live"])
def test_head_has_no_body_and_streams_nothing(start_proxy: StartProxy, backend: Backend, path: str) -> None:
    proxy = start_proxy(backend)
    with proxy.admin() as client:
        client.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert client.ended()
