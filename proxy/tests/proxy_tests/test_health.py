"""Active checks and passive ejection, over real connections."""

from __future__ import annotations

import gevent
import pytest
from heliograph_proxy.balancing.health import says_unready

from proxy_tests.backends import CLOSE, Backend, Peer, Received, close_early, silent
from proxy_tests.conftest import Proxy, StartProxy, until
from proxy_tests.reloading import LONG, Reloading

FAST = {"interval": 0.05, "timeout": 0.2}


def test_a_backend_goes_down_after_fall_checks_and_up_after_rise(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, health={**FAST, "rise": 2, "fall": 3})
    one = proxy.backends[0]
    assert one.healthy
    backend.health = "500 Oh"
    until(lambda: not one.healthy, "the backend to go down")
    assert one.last_check is not None
    assert (one.last_check.passed, one.last_check.detail) == (False, "status 500")
    assert proxy.get().status == 503
    backend.health = "200 OK"
    until(lambda: one.healthy, "the backend to come up")
    assert proxy.get().status == 200


def test_a_check_is_a_full_request_with_a_host(start_proxy: StartProxy, backend: Backend) -> None:
    backend.health = None
    proxy = start_proxy(backend, health={"path": "/up", "host": "app.example"})
    assert proxy.backends[0].healthy
    assert backend.requests[0].line == b"GET /up HTTP/1.1"
    assert backend.requests[0].field("Host") == ["app.example"]


@pytest.mark.parametrize("script", [silent, close_early])
def test_a_backend_that_accepts_but_does_not_answer_is_down(
    start_proxy: StartProxy, backend: Backend, script: object
) -> None:
    backend.health = None
    backend.script = script  # type: ignore[assignment]
    assert not start_proxy(backend, health={"timeout": 0.1}).backends[0].healthy


def test_a_backend_that_says_it_is_stopping_gets_nothing_new_at_once(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend, health={**FAST, "fall": 1000})
    backend.health = None

    def stopping(peer: Peer, request: Received) -> object:
        peer.answer(b'{"status": "stopping"}', "503 Service Unavailable")
        return CLOSE

    backend.script = stopping
    until(lambda: not proxy.backends[0].healthy, "the stopping backend to be left alone")
    assert proxy.backends[0].last_check is not None
    assert proxy.backends[0].last_check.detail == "the instance is stopping"


def test_a_backend_that_was_never_up_is_looked_at_more_often(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.health = "500 Oh"
    proxy = start_proxy(backend, health={"interval": 600.0})
    assert not proxy.backends[0].healthy
    backend.health = "200 OK"
    until(lambda: proxy.backends[0].healthy, "the first good check")


@pytest.mark.parametrize(
    ("path", "status", "well"),
    [
        ("", "404 Not Found", True),
        ("", "302 Found", True),
        ("", "500 Oh", False),
        ("", "503 Busy", False),
        ("/up", "302 Found", True),
        ("/up", "404 Not Found", False),
        ("/up", "500 Oh", False),
    ],
)
def test_an_application_needs_no_health_check_but_may_have_one(
    start_proxy: StartProxy, backend: Backend, path: str, status: str, well: bool
) -> None:
    backend.health = None
    backend.script = lambda peer, request: peer.answer(status=status)
    assert start_proxy(backend, health={"path": path, "fall": 1}).backends[0].healthy is well
    assert backend.requests[0].line == f"GET {path or '/-/health'} HTTP/1.1".encode()
    assert backend.requests[0].field("Host") == ["localhost"]


class Readiness:
    """Answers checks with what the test says, and requests with their target."""

    def __init__(self, backend: Backend) -> None:
        self.body = b'{"status": "ok", "ready": true}'
        self.requests = 0
        backend.health = None
        backend.script = self

    def __call__(self, peer: Peer, request: Received) -> None:
        if b"heliograph-proxy" in request.head.split(b"User-Agent: ")[-1]:
            peer.answer(self.body)
        else:
            self.requests += 1
            peer.answer()


def unready(proxy: Proxy, *names: str) -> None:
    until(
        lambda: [one.name for one in proxy.backends if not one.ready] == list(names), f"{names} to be unready"
    )


def test_a_backend_that_is_not_ready_is_used_only_while_no_other_is(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    first, second = Readiness(backend), Readiness(another)
    sticky = {"cookie": "at", "secret": "s" * 32}
    proxy = start_proxy(backend, another, health=FAST, sticky=sticky)
    cookie = next(
        answer.field("Set-Cookie") or "" for answer in (proxy.get() for _ in range(9)) if first.requests
    ).split(";")[0]
    first.body = b'{"ready": false}'
    unready(proxy, "b1")
    before = first.requests
    for _ in range(4):
        assert proxy.get(Cookie=cookie).status == 200
    assert first.requests == before
    # The session has a new backend, as when the old one is down.
    assert proxy.get(Cookie=cookie).field("Set-Cookie")
    second.body = b'{"ready": false}'
    unready(proxy, "b1", "b2")
    for _ in range(4):
        assert proxy.get().status == 200
    assert first.requests > before
    assert proxy.backends[0].healthy
    first.body = b"no JSON"
    unready(proxy, "b2")


def test_a_ready_backup_comes_before_one_that_is_not_ready(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    first, second = Readiness(backend), Readiness(another)
    first.body = b'{"ready": false}'
    spare = {"name": "b2", "address": f"127.0.0.1:{another.port}", "backup": True}
    proxy = start_proxy({"name": "b1", "address": f"127.0.0.1:{backend.port}"}, spare, health=FAST)
    unready(proxy, "b1")
    assert proxy.get().status == 200
    assert (first.requests, second.requests) == (0, 1)


def test_a_retry_may_go_to_a_backend_that_is_not_ready(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    Readiness(backend).body = b'{"ready": false}'
    proxy = start_proxy(backend, another, health=FAST)
    unready(proxy, "b1")
    another.script = close_early
    assert proxy.get().status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 60000,
        b'{"ready": 0}',
        b'{"ready": "false"}',
        b'{"ready":' + b"9" * 60000,
        b"\xff",
    ],
)
def test_what_an_answer_says_otherwise_makes_nothing_unready(body: bytes) -> None:
    assert not says_unready(body)


def test_an_endless_answer_ends_with_the_check(start_proxy: StartProxy, backend: Backend) -> None:
    backend.health = None

    def endless(peer: Peer, request: Received) -> object:
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n{")
        while True:
            peer.send(b" " * 65536)

    backend.script = endless
    one = start_proxy(backend).backends[0]
    assert (one.healthy, one.ready) == (True, True)


def fail(proxy: Proxy, times: int) -> None:
    for _ in range(times):
        assert proxy.get().status == 502


def test_failures_in_a_row_eject_for_a_while(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = close_early
    settings = {"eject_failures": 3, "eject_time": 0.3}
    proxy = start_proxy(backend, another, health=settings, retry={"attempts": 1})
    statuses = [proxy.get().status for _ in range(20)]
    assert statuses.count(502) == 3
    assert len(backend.requests) == 3
    until(lambda: proxy.get().status == 502, "the ejected backend to be tried again")


def test_a_success_in_between_ends_the_row(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another, health={"eject_failures": 2}, retry={"attempts": 1})

    def every_other(peer: Peer, request: Received) -> object:
        if len(backend.requests) % 2:
            peer.answer()
            return None
        peer.send(b"HTTP/1.1 2")  # an end without a byte would be taken for a stale connection
        return CLOSE

    backend.script = every_other
    for _ in range(20):
        proxy.get()
    assert len(backend.requests) == 10


def test_the_last_backend_is_never_ejected(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = close_early
    proxy = start_proxy(backend, health={"eject_failures": 1})
    fail(proxy, 10)
    assert len(backend.requests) == 10


def test_a_backup_gets_requests_only_while_nobody_else_can(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    tables = [
        {"name": "main", "address": f"127.0.0.1:{backend.port}"},
        {"name": "spare", "address": f"127.0.0.1:{another.port}", "backup": True},
    ]
    proxy = start_proxy(*tables, health=FAST)
    for _ in range(5):
        assert proxy.get().status == 200
    assert another.requests == []
    backend.health = "500 Oh"
    until(lambda: not proxy.backends[0].healthy, "the main backend to go down")
    assert proxy.get().status == 200
    assert len(another.requests) == 1


def test_checks_hold_nothing_open(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, health=FAST)
    before = len(proxy.runtime.sweeper)
    gevent.sleep(0.3)
    assert len(proxy.runtime.sweeper) <= before + 1


def test_reloads_at_the_same_time_leave_one_check_for_each_backend(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    one = Reloading(start_proxy, backend, another)
    one.start()
    for server in (backend, another):
        server.health, server.script = None, silent
    gevent.joinall(
        [
            gevent.spawn(one.reload, health={"interval": LONG + number, "timeout": LONG})
            for number in range(1, 4)
        ],
        raise_error=True,
    )
    for server in (backend, another):
        until(lambda server=server: server.requests, "a check")  # type: ignore[misc]
        until(lambda server=server: len(server._open) == 1, "the other checks to end")  # type: ignore[misc]


def test_a_backend_that_leaves_during_a_reload_is_checked_no_more(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    one = Reloading(start_proxy, backend, another)
    proxy = one.start()
    for server in (backend, another):
        server.health, server.script = None, silent
    reloading = gevent.spawn(one.reload, health={"interval": LONG + 1, "timeout": LONG})
    removing = gevent.spawn(proxy.server.control.remove, "b2")
    gevent.joinall([reloading], raise_error=True)
    gevent.joinall([removing], raise_error=True)
    until(lambda: backend.requests and not another._open, "only the check of the backend that stays")
