"""A reload changes every key of the file, or says that it cannot: backends, their health, the log and the rest.

Limits and times are in test_reload_limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from time import monotonic

import pytest
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import SECTIONS, BackendSettings, ProxySettings

from proxy_tests import test_reload_limits
from proxy_tests.backends import Backend, Peer, Received, silent, websocket_echo
from proxy_tests.conftest import StartProxy, until
from proxy_tests.processes import free_ports
from proxy_tests.reloading import LONG, Reloading, broken
from proxy_tests.test_admin import ask
from proxy_tests.test_queue import Gate
from proxy_tests.test_shares import HANDSHAKE
from proxy_tests.test_tunnel import open_tunnel

Case = Callable[[Reloading], None]


def listen(one: Reloading) -> None:
    one.start()
    [port] = free_ports(1)
    with pytest.raises(SettingsError, match="listen: cannot change while running; it needs a restart"):
        one.reload(listen=f"127.0.0.1:{port}")


def admin(one: Reloading) -> None:
    one.start()
    [port] = free_ports(1)
    with pytest.raises(SettingsError, match="admin: cannot change while running; it needs a restart"):
        one.reload(admin=f"127.0.0.1:{port}")


def admin_token(one: Reloading) -> None:
    proxy = one.start()
    assert ask(proxy, "GET", "/status").status == 200
    one.reload(admin_token="t" * 32)
    assert ask(proxy, "GET", "/status").status == 401


def private(one: Reloading) -> None:
    proxy = one.start()
    assert proxy.get("/secret").status == 200
    one.reload(private=["/secret"])
    assert proxy.get("/secret").status == 404


def strategy(one: Reloading) -> None:
    proxy = one.start()
    one.reload(strategy="ip_hash")
    for _ in range(4):
        assert proxy.get().status == 200
    assert {len(one.backend.requests), len(one.another.requests)} == {0, 4}


def trusted(one: Reloading) -> None:
    proxy = one.start(trusted=["127.0.0.1"])
    request = b"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 10.0.0.7\r\n\r\n"
    with proxy.client() as client:
        assert client.ask(request).status == 200
        one.reload(trusted=[])
        assert client.ask(request).status == 200
    assert [record["client"] for record in proxy.records(2)] == ["10.0.0.7", "127.0.0.1"]


def name(one: Reloading) -> None:
    proxy = one.start(count=1)
    one.reload({"name": "renamed"})
    assert [backend.name for backend in proxy.backends] == ["renamed"]
    assert proxy.get().status == 200


def address(one: Reloading) -> None:
    proxy = one.start(count=1)
    one.reload({"address": f"127.0.0.1:{one.another.port}"})
    assert proxy.get().status == 200
    assert len(one.another.requests) == 1


def weight(one: Reloading) -> None:
    proxy = one.start()
    one.reload({"weight": 3})
    for _ in range(8):
        assert proxy.get().status == 200
    assert (len(one.backend.requests), len(one.another.requests)) == (6, 2)


def max_connections(one: Reloading) -> None:
    gate = Gate(one.backend)
    proxy = one.start(count=1)
    one.reload({"max_connections": 1})
    with proxy.client() as first, proxy.client() as second:
        for client in (first, second):
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: len(proxy.balancer.queue) == 1, "the second request to wait")
        one.reload({"max_connections": 2})
        until(lambda: not proxy.balancer.queue, "the new slot to be taken")
        gate.open.set()
        assert first.response().status == second.response().status == 200


def max_tunnels(one: Reloading) -> None:
    one.backend.script = websocket_echo
    proxy = one.start(count=1)
    with open_tunnel(proxy):
        one.reload({"max_tunnels": 1})
        with proxy.client() as second:
            second.send(f"{HANDSHAKE}\r\n".encode())
            until(lambda: len(proxy.balancer.queue) == 1, "the second tunnel to wait")
            one.reload({"max_tunnels": 2})
            assert second.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def backup(one: Reloading) -> None:
    proxy = one.start()
    one.reload({"backup": True})
    for _ in range(4):
        assert proxy.get().status == 200
    assert (len(one.backend.requests), len(one.another.requests)) == (0, 4)


def probed(one: Reloading, line: bytes, host: str) -> bool:
    return any((request.line, request.field("Host")) == (line, [host]) for request in one.backend.requests)


def path(one: Reloading) -> None:
    one.backend.health = None
    one.start(count=1, health={"interval": LONG})
    one.reload(health={"path": "/mine"})
    until(lambda: probed(one, b"GET /mine HTTP/1.1", "localhost"), "a check of the new path")


def host(one: Reloading) -> None:
    one.backend.health = None
    one.start(count=1, health={"interval": LONG})
    one.reload(health={"host": "app.example"})
    until(lambda: probed(one, b"GET /-/health HTTP/1.1", "app.example"), "a check with the new host")


def interval(one: Reloading) -> None:
    proxy = one.start(count=1, health={"interval": LONG})
    one.reload(health={"interval": 0.02})
    for _ in range(3):
        before = proxy.backends[0].last_check
        until(lambda before=before: proxy.backends[0].last_check is not before, "checks to go on")  # type: ignore[misc]


def timeout(one: Reloading) -> None:
    proxy = one.start(count=1, health={"interval": 0.02, "timeout": LONG})
    one.backend.health, one.backend.script = None, silent
    until(lambda: one.backend.requests, "a check that hangs")
    one.reload(health={"timeout": 0.1, "fall": 1})
    until(lambda: not proxy.backends[0].healthy, "the check to end")


def rise(one: Reloading) -> None:
    one.backend.health = "500 Oh"
    proxy = one.start(count=1, health={"interval": 0.02, "rise": 1000})
    backend = proxy.backends[0]
    one.backend.health = "200 OK"
    until(lambda: backend.healthy, "the first good check, which decides alone")
    one.backend.health = "500 Oh"
    until(lambda: not backend.healthy, "the backend to go down")
    one.backend.health = "200 OK"
    one.reload(health={"rise": 1})
    until(lambda: backend.healthy, "the backend to come up")


def fall(one: Reloading) -> None:
    proxy = one.start(count=1, health={"interval": 0.02, "fall": 100_000})
    one.backend.health = "500 Oh"
    one.reload(health={"fall": 2})
    until(lambda: not proxy.backends[0].healthy, "the backend to go down")


def eject_failures(one: Reloading) -> None:
    proxy = one.start(retry={"attempts": 1}, health={"eject_failures": 1000, "eject_time": LONG})
    one.backend.script = broken
    one.reload(health={"eject_failures": 1})
    assert sorted(proxy.get().status for _ in range(4)) == [200, 200, 200, 502]


def eject_time(one: Reloading) -> None:
    proxy = one.start(retry={"attempts": 1}, health={"eject_failures": 1, "eject_time": LONG})
    one.backend.script = broken
    assert sorted(proxy.get().status for _ in range(4)) == [200, 200, 200, 502]
    assert not proxy.backends[0].available(monotonic())
    one.reload(health={"eject_time": 0.01})
    until(lambda: proxy.backends[0].available(monotonic()), "the ejection to end")


def slow_start(one: Reloading) -> None:
    health = {"interval": 0.02, "rise": 1, "fall": 1, "slow_start": LONG}
    proxy = one.start(health=health)
    backend = proxy.backends[0]
    for status in ("500 Oh", "200 OK"):
        one.backend.health = status
        until(lambda status=status: backend.healthy is (status == "200 OK"), f"a check with {status}")  # type: ignore[misc]
    assert backend.effective_weight(monotonic()) < 0.5
    one.reload(health={"slow_start": 0.0})
    assert backend.effective_weight(monotonic()) == 1.0


def below(one: Reloading) -> None:
    one.backend.health = "404 Not Found"
    proxy = one.start(count=1, health={"interval": 0.02, "path": "/-/health", "fall": 1, "rise": 1})
    until(lambda: not proxy.backends[0].healthy, "a check that takes 404 for a failure")
    one.reload(health={"below": 500})
    until(lambda: proxy.backends[0].healthy, "a check that takes 404 for well")


def pool_idle(one: Reloading) -> None:
    proxy = one.start(count=1, pool={"idle": LONG})
    assert proxy.get().status == 200
    assert proxy.kept() == 1
    one.reload(pool={"idle": 0.05})
    until(lambda: proxy.kept() == 0, "the idle connection to be closed")


def pool_max(one: Reloading) -> None:
    gate = Gate(one.backend)
    proxy = one.start(count=1, pool={"idle": LONG})
    with proxy.client() as first, proxy.client() as second:
        for client in (first, second):
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: len(gate.order) == 2, "both requests")
        gate.open.set()
        assert first.response().status == second.response().status == 200
    until(lambda: proxy.kept() == 2, "both connections to be kept")
    one.reload(pool={"max": 1})
    assert proxy.kept() == 1


def attempts(one: Reloading) -> None:
    proxy = one.start(retry={"attempts": 1})
    one.backend.script = broken
    assert sorted(proxy.get().status for _ in range(2)) == [200, 502]
    one.reload(retry={"attempts": 2})
    assert [proxy.get().status for _ in range(2)] == [200, 200]


def deadline(one: Reloading) -> None:
    proxy = one.start()
    one.backend.script = broken
    one.reload(retry={"deadline": 1e-9})
    assert sorted(proxy.get().status for _ in range(2)) == [200, 502]


def budget(one: Reloading) -> None:
    proxy = one.start()
    one.backend.script = broken
    one.reload(retry={"budget": 0.0})
    assert sorted(proxy.get().status for _ in range(2)) == [200, 502]


STICKY = {"cookie": "at", "secret": "a" * 32}


def cookie(one: Reloading) -> None:
    proxy = one.start()
    assert proxy.get().field("Set-Cookie") is None
    one.reload(sticky=STICKY)
    assert str(proxy.get().field("Set-Cookie")).startswith("at=")


def secret(one: Reloading) -> None:
    proxy = one.start(count=1, sticky=STICKY)
    given = str(proxy.get().field("Set-Cookie")).split(";")[0]
    assert proxy.get(Cookie=given).field("Set-Cookie") is None
    one.reload(sticky={"secret": "b" * 32})
    assert proxy.get(Cookie=given).field("Set-Cookie")


def ttl(one: Reloading) -> None:
    proxy = one.start(sticky=STICKY)
    one.reload(sticky={"ttl": 77})
    assert "Max-Age=77" in str(proxy.get().field("Set-Cookie"))


def sticky_path(one: Reloading) -> None:
    proxy = one.start(sticky=STICKY)
    one.reload(sticky={"path": "/chat/"})
    assert proxy.get("/else").field("Set-Cookie") is None
    assert proxy.get("/chat/x").field("Set-Cookie")


def access(one: Reloading) -> None:
    proxy = one.start()
    other = proxy.log.parent / "other.log"
    one.reload(log={"access": str(other)})
    assert proxy.get("/there").status == 200
    until(lambda: other.exists() and b"/there" in other.read_bytes(), "a line in the new file")


def log_format(one: Reloading) -> None:
    proxy = one.start()
    one.reload(log={"format": "combined"})
    assert proxy.get("/combined").status == 200
    until(lambda: b'"GET /combined HTTP/1.1" 200' in proxy.log.read_bytes(), "a line of the other format")


CASES: dict[str, Case] = {
    **{case.__name__: case for case in (listen, admin, admin_token, private, strategy, trusted)},
    **{f"backend.{case.__name__}": case for case in (name, address, weight)},
    **{f"backend.{case.__name__}": case for case in (max_connections, max_tunnels, backup)},
    **{f"health.{case.__name__}": case for case in (path, host, interval, timeout, rise, fall)},
    **{f"health.{case.__name__}": case for case in (eject_failures, eject_time, slow_start, below)},
    "pool.idle": pool_idle,
    "pool.max": pool_max,
    **{f"retry.{case.__name__}": case for case in (attempts, deadline, budget)},
    **{f"sticky.{case.__name__}": case for case in (cookie, secret, ttl)},
    "sticky.path": sticky_path,
    "log.access": access,
    "log.format": log_format,
}

#: All keys of the file, from the settings themselves: a new one needs a case here.
KEYS = [
    *(one.name for one in fields(ProxySettings) if "check" in one.metadata),
    *(f"backend.{one.name}" for one in fields(BackendSettings)),
    *(f"{section}.{one.name}" for section, kind in SECTIONS.items() for one in fields(kind)),
]


@pytest.mark.parametrize("key", KEYS)
def test_a_reload_changes_each_key(
    start_proxy: StartProxy, backend: Backend, another: Backend, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("heliograph_proxy.waits.SWEEP_SECONDS", 0.02)
    monkeypatch.setattr("heliograph_proxy.server.MAINTENANCE_SECONDS", 0.02)
    monkeypatch.setattr("heliograph_proxy.accesslog.BATCH_SECONDS", 0.01)
    cases = {**CASES, **test_reload_limits.CASES}
    cases[key](Reloading(start_proxy, backend, another))


def test_a_backend_on_its_way_out_comes_back(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    one = Reloading(start_proxy, backend, another)
    backend.script = websocket_echo
    proxy = one.start(count=1)
    with open_tunnel(proxy):
        assert ask(proxy, "DELETE", "/backends/b1", Content_Type="application/json").status == 204
        assert proxy.get().status == 503
        one.reload()
        backend.script = answered
        assert proxy.get().status == 200
    until(proxy.idle, "the tunnel to end")
    assert proxy.get().status == 200
    status = json.loads(ask(proxy, "GET", "/status").body)
    assert [(found["name"], found["state"]) for found in status["backends"]] == [("b1", "ready")]


def answered(peer: Peer, request: Received) -> None:
    peer.answer()
