"""What who watches is told: the past at first, then each second; and of exchanges that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from heliograph_proxy.admin import history
from heliograph_proxy.admin.control import Control
from heliograph_proxy.admin.live import LiveStream
from heliograph_proxy.admin.views import AdminViews
from heliograph_proxy.balancing.health import Checker
from heliograph_proxy.server import build
from heliograph_proxy.settings import parse

from proxy_tests.backends import Backend, close_early, saying
from proxy_tests.conftest import Client, Proxy, StartProxy, until

#: Enough of a test's time for many samples.
FAST = 0.02

SETTINGS = parse({"backend": [{"name": "a", "address": "127.0.0.1:1"}], "log": {"access": ""}})


@pytest.fixture
def proxy(start_proxy: StartProxy, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    monkeypatch.setattr("heliograph_proxy.admin.history.SAMPLE_SECONDS", FAST)
    return start_proxy(backend)


class Watcher:
    """A connection that reads events."""

    def __init__(self, proxy: Proxy, *fields: str) -> None:
        self.client: Client = proxy.admin()
        lines = "".join(f"{field}\r\n" for field in fields)
        self.client.send(f"GET /live HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        self.head = self.client.read_until(b"\r\n\r\n")

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.sock.close()

    def next(self) -> tuple[str, Any]:
        name, data = self.client.read_until(b"\n\n").decode().removesuffix("\n\n").split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def next_of(self, wanted: str) -> Any:
        while True:
            name, data = self.next()
            if name == wanted:
                return data


def test_who_begins_to_watch_is_told_the_past_and_then_the_present(proxy: Proxy) -> None:
    until(lambda: proxy.get().status == 200 and proxy.server._live.history.number >= 2, "two steps")
    with Watcher(proxy) as watcher:
        assert b"Content-Type: text/event-stream" in watcher.head
        name, start = watcher.next()
        assert name == "start"
        assert start["fields"] == list(history.FIELDS)
        assert start["total_fields"] == list(history.TOTAL_FIELDS)
        assert start["conditions"] == ["up", "drain", "maint", "ejected", "down"]
        assert (start["step_seconds"], start["kept_steps"]) == (5.0, 120)
        for expected, fields in ((None, start["total_fields"]), ("b1", start["fields"])):
            name, past = watcher.next()
            assert (name, past["name"]) == ("past", expected)
            assert start["number"] == len(past["steps"]) >= 2
            assert sum(dict(zip(fields, step, strict=True))["rate"] for step in past["steps"]) > 0
        assert watcher.next()[0] == "now"
        step = watcher.next_of("step")
        assert step["number"] > start["number"]
        assert set(step["backends"]) == {"b1"}


def test_now_is_the_status_and_more(proxy: Proxy) -> None:
    with Watcher(proxy) as watcher:
        now = watcher.next_of("now")
        status = {"strategy", "uptime", "connections", "requests", "backends"}
        assert set(now) == status | {
            "time",
            "stopping",
            "waiting",
            "check_seconds",
            "total",
            "generation",
            "older",
        }
        [one] = watcher.next_of("now")["backends"]
        assert {"name", "address", "weight", "state", "healthy", "active", "last_check"} < set(one)
        assert (one["condition"], one["backup"], one["max_connections"]) == ("up", False, 1000)
        assert {"since", "rate", "error_rate", "failure_rate", "p50", "p99"} < set(one)
        proxy.server.control.set_state("b1", proxy.backends[0].state.DRAIN)
        until(lambda: watcher.next_of("now")["backends"][0]["condition"] == "drain", "the change")


def test_a_change_is_told_at_once(
    start_proxy: StartProxy, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.admin.history.SAMPLE_SECONDS", 600.0)
    proxy = start_proxy(backend)
    with Watcher(proxy) as watcher, proxy.admin() as client:
        assert watcher.next_of("now")["backends"][0]["weight"] == 1
        body = b'{"weight": 3}'
        head = f"PUT /backends/b1/weight HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        client.send(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        assert watcher.next_of("now")["backends"][0]["weight"] == 3


def test_all_who_watch_are_told_the_same_and_it_is_made_once() -> None:
    runtime = build(SETTINGS)
    live = LiveStream(runtime)
    console = AdminViews(runtime, Control(runtime, Checker(runtime), "x"), live)
    asked = 0

    def status() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return console.status()

    def present(watching: Iterator[bytes]) -> bytes:
        return next(event for event in watching if event.startswith(b"event: now"))

    one, other = live.events(status), live.events(status)
    assert present(one) is present(other)
    live.sample()
    assert asked == 1


def test_who_is_too_slow_for_a_step_gets_the_whole_past_again() -> None:
    live = LiveStream(build(SETTINGS))
    names: list[str] = []

    def read() -> None:
        for event in live.events(lambda: {"backends": [{}]}):
            names.append(event.split(b"\n")[0].decode().removeprefix("event: "))

    def steps(count: int) -> list[str]:
        names.clear()
        for _ in range(count * history.STEP_SAMPLES):
            live.sample()
        until(lambda: names[-1:] == ["now"], "the present")
        return list(names)

    reading = gevent.spawn(read)
    try:
        until(lambda: names[-1:] == ["now"], "the beginning")
        assert names == ["start", "past", "now"]
        assert steps(1) == ["step", "now"]
        assert steps(2) == ["start", "past", "past", "now"]
        assert steps(1) == ["step", "now"]
    finally:
        reading.kill()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), b"401"),
        (("Authorization: Bearer wrong",), b"401"),
        (("Authorization: Bearer secret",), b"200"),
    ],
)
def test_it_is_guarded_by_the_token(
    start_proxy: StartProxy, backend: Backend, fields: tuple[str, ...], status: bytes
) -> None:
    with Watcher(start_proxy(backend, admin_token="secret"), *fields) as watcher:
        assert watcher.head.split(b" ")[1] == status


def test_only_with_a_token_the_page_is_told_to_ask_for_it(start_proxy: StartProxy, backend: Backend) -> None:
    for settings, told in (({}, False), ({"admin_token": "secret"}, True)):
        with start_proxy(backend, **settings).admin() as client:
            page = client.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (b'data-token="needed"' in page.body) is told
            assert b"secret" not in page.body


def test_a_failed_exchange_is_told_with_its_id_and_why(proxy: Proxy, backend: Backend) -> None:
    answers = []
    for script, target in (
        (close_early, "/early"),
        (saying(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "/own?key=x"),
        (saying(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "/missing"),
        (saying(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "/<b>%E2%80%AE"),
    ):
        backend.script = script
        answers.append(proxy.get(target))
    with Watcher(proxy) as watcher:
        failed = watcher.next_of("failed")
        assert [(one["path"], one["status"], one["backend"]) for one in failed] == [
            ("/early", 502, "b1"),
            ("/own", 500, "b1"),
            ("/<b>%E2%80%AE", 503, "b1"),
        ]
        ids = [answer.field("X-Request-Id") for answer in answers if answer.status != 404]
        assert [one["request_id"] for one in failed] == ids
        assert failed[0]["ended"] == "bad-gateway"
        assert failed[0]["reason"] == "the backend closed the connection without an answer"
        assert failed[1]["reason"] == "the backend answered 500"
        proxy.server.control.set_state("b1", proxy.backends[0].state.MAINT)
        nobody = proxy.get("/nobody")
        [one] = watcher.next_of("failed")
        assert (one["request_id"], one["backend"], one["tries"]) == (nobody.field("X-Request-Id"), "-", 0)
        assert one["reason"] == "no backend is available"


def test_an_answer_that_is_cut_is_a_failure_and_one_that_another_try_saved_is_none(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another)
    backend.script = close_early
    assert [proxy.get("/saved").status for _ in range(2)] == [200, 200]
    assert proxy.runtime.failed.number == 0
    another.script = backend.script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True)
    with proxy.client() as client:
        client.send(b"GET /cut HTTP/1.1\r\nHost: test\r\n\r\n")
        client.read_until(b"half")
        assert client.ended()
    until(lambda: proxy.runtime.failed.number == 1, "the failure")
    [one] = proxy.runtime.failed.after(0)
    assert (one["status"], one["ended"]) == (200, "backend-cut")
    assert "cut" in one["reason"]
