"""Changes while the proxy runs: states, weights, backends that come and go, new configurations."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest

from proxy_tests.backends import Backend, websocket_echo
from proxy_tests.conftest import Proxy, Response, StartProxy, until
from proxy_tests.test_admin import ask
from proxy_tests.test_tunnel import open_tunnel


def test_draining_gives_nothing_new_and_ready_gives_again(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another)
    answer = ask(proxy, "PUT", "/backends/b1/state", {"state": "drain"})
    assert (answer.status, json.loads(answer.body)["state"]) == (200, "drain")
    for _ in range(4):
        assert proxy.get().status == 200
    assert backend.requests == []
    ask(proxy, "PUT", "/backends/b1/state", {"state": "ready"})
    for _ in range(4):
        assert proxy.get().status == 200
    assert len(backend.requests) == 2


def test_what_is_in_flight_survives_draining(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = websocket_echo
    proxy = start_proxy(backend)
    with open_tunnel(proxy) as client:
        assert ask(proxy, "PUT", "/backends/b1/state", {"state": "maint"}).status == 200
        client.send(b"still here")
        assert client.read(10) == b"still here"


def test_maint_ends_the_checks(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, health={"interval": 0.02})
    ask(proxy, "PUT", "/backends/b1/state", {"state": "maint"})
    gevent.sleep(0.05)
    check = proxy.backends[0].last_check
    gevent.sleep(0.1)
    assert proxy.backends[0].last_check is check


def test_a_weight_of_zero_gives_a_backend_nothing_new(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another)
    assert json.loads(ask(proxy, "PUT", "/backends/b1/weight", {"weight": 0}).body)["weight"] == 0
    assert {proxy.get().status for _ in range(4)} == {200}
    assert (len(backend.requests), len(another.requests)) == (0, 4)


def test_the_weight_changes_the_shares(start_proxy: StartProxy, backend: Backend, another: Backend) -> None:
    proxy = start_proxy(backend, another)
    assert json.loads(ask(proxy, "PUT", "/backends/b1/weight", {"weight": 3}).body)["weight"] == 3
    for _ in range(8):
        assert proxy.get().status == 200
    assert (len(backend.requests), len(another.requests)) == (6, 2)


def test_backends_come_and_go(start_proxy: StartProxy, backend: Backend, another: Backend) -> None:
    proxy = start_proxy(backend)
    new = {"name": "b2", "address": f"127.0.0.1:{another.port}", "weight": 2}
    answer = ask(proxy, "POST", "/backends", new)
    assert (answer.status, json.loads(answer.body)["name"]) == (201, "b2")
    assert ask(proxy, "POST", "/backends", new).problem()["status"] == 409
    assert ask(proxy, "POST", "/backends", {"name": "b3"}).problem()["status"] == 400
    for _ in range(3):
        assert proxy.get().status == 200
    assert (len(backend.requests), len(another.requests)) == (1, 2)
    assert ask(proxy, "DELETE", "/backends/b2", Content_Type="application/json").status == 204
    assert [one.name for one in proxy.backends] == ["b1"]
    assert ask(proxy, "DELETE", "/backends/b2", Content_Type="application/json").status == 404


def test_a_backend_leaves_with_its_last_request(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = websocket_echo
    proxy = start_proxy(backend, another)
    with open_tunnel(proxy) as client:
        assert ask(proxy, "DELETE", "/backends/b1", Content_Type="application/json").status == 204
        assert [one.state.value for one in proxy.backends] == ["drain", "ready"]
        client.send(b"x")
        assert client.read(1) == b"x"
    until(lambda: [one.name for one in proxy.backends] == ["b2"], "the backend to leave")


def reload(proxy: Proxy, backends: list[dict[str, Any]], extra: str = "") -> Response:
    tables = "".join(
        "[[backend]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in one.items())
        for one in backends
    )
    top = f'listen = "127.0.0.1:{proxy.port}"\nadmin = "127.0.0.1:{proxy.admin_port}"\n'
    (proxy.log.parent / "proxy.toml").write_text(f'{top}{extra}\n{tables}[log]\naccess = "{proxy.log}"\n')
    return ask(proxy, "POST", "/reload", Content_Type="application/json")


def test_a_reload_replaces_backends_and_keeps_what_was_set_at_run_time(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend)
    stays = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "weight": 5}
    ask(proxy, "POST", "/backends", {"name": "added", "address": f"127.0.0.1:{another.port}"})
    ask(proxy, "PUT", "/backends/b1/weight", {"weight": 7})
    ask(proxy, "PUT", "/backends/b1/state", {"state": "drain"})
    kept = proxy.backends[0]
    new = {"name": "b2", "address": f"127.0.0.1:{another.port}"}
    answer = reload(proxy, [stays, new])
    assert answer.status == 200
    assert [one.name for one in proxy.backends] == ["b1", "b2"]
    assert proxy.backends[0] is kept
    assert (kept.weight, kept.state.value) == (7, "drain")
    assert proxy.get().status == 200
    assert len(another.requests) == 1


def test_a_reload_cuts_nothing(start_proxy: StartProxy, backend: Backend, another: Backend) -> None:
    backend.script = websocket_echo
    proxy = start_proxy(backend)
    with open_tunnel(proxy) as client:
        assert reload(proxy, [{"name": "b2", "address": f"127.0.0.1:{another.port}"}]).status == 200
        client.send(b"x")
        assert client.read(1) == b"x"
        assert proxy.get("/new").body == b"/new"
    until(
        lambda: [one.name for one in proxy.backends] == ["b2"],
        "the old backend to leave",
    )


def test_a_backend_that_moves_is_another_one(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend)
    assert reload(proxy, [{"name": "b1", "address": f"127.0.0.1:{another.port}"}]).status == 200
    assert proxy.get().status == 200
    assert (len(backend.requests), len(another.requests)) == (0, 1)


@pytest.mark.parametrize("extra", ["unknown = 1", 'strategy = "best"', "this is no TOML"])
def test_a_file_with_an_error_changes_nothing(start_proxy: StartProxy, backend: Backend, extra: str) -> None:
    proxy = start_proxy(backend)
    settings = proxy.runtime.settings
    stays = {"name": "b1", "address": f"127.0.0.1:{backend.port}"}
    problem = reload(proxy, [stays], extra).problem()
    assert problem["status"] == 400
    assert "proxy.toml" in problem["detail"]
    assert proxy.runtime.settings is settings
    assert proxy.get().status == 200


def test_a_reload_that_moves_the_listener_is_refused(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    proxy.port, before = 1, proxy.port
    detail = reload(proxy, [{"name": "b1", "address": f"127.0.0.1:{backend.port}"}]).problem()["detail"]
    proxy.port = before
    assert "restart" in detail


def test_new_limits_hold_for_connections_that_are_open(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(b"GET /long-enough HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        stays = {"name": "b1", "address": f"127.0.0.1:{backend.port}"}
        assert reload(proxy, [stays, {**stays, "name": "b2"}], "").status == 200
        (proxy.log.parent / "proxy.toml").write_text(
            (proxy.log.parent / "proxy.toml").read_text() + "[limits]\nrequest_line = 20\n"
        )
        assert ask(proxy, "POST", "/reload", Content_Type="application/json").status == 200
        assert client.ask(b"GET /long-enough HTTP/1.1\r\nHost: a\r\n\r\n").status == 414
