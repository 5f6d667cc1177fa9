"""Slots at the admin listener: silent connections, streams and slow readers keep no operator out."""

from __future__ import annotations

import gc
import json
import socket
from contextlib import ExitStack

import pytest
from heliograph_proxy.admin.connectionslots import KEPT, MOST, ConnectionSlots, most_slots
from heliograph_proxy.admin.listener import Visitor

from proxy_tests.backends import Backend
from proxy_tests.conftest import Client, Proxy, StartProxy, until

STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
TOKEN = b"Authorization: Bearer secret\r\n"
EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n%b\r\n"


@pytest.fixture
def small(start_proxy: StartProxy, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> StartProxy:
    """Proxies with 20 slots, 4 of which no stream gets, that hardly wait after a refusal."""
    monkeypatch.setattr("heliograph_proxy.admin.connectionslots.MOST", 20)
    monkeypatch.setattr("heliograph_proxy.admin.connectionslots.KEPT", 4)
    monkeypatch.setattr("heliograph_proxy.admin.listener.LINGER_SECONDS", 0.1)

    def start(*_: object, **settings: object) -> Proxy:
        return start_proxy(backend, **settings)

    return start


def slots(proxy: Proxy) -> int:
    return len(proxy.server._admin._slots)


def silent(proxy: Proxy, stack: ExitStack, count: int, data: bytes = b"") -> list[Client]:
    before = slots(proxy)
    clients = [stack.enter_context(proxy.admin()) for _ in range(count)]
    for client in clients:
        client.send(data)
    until(lambda: slots(proxy) >= min(before + count, 20), "the connections to have their slots")
    return clients


def status(proxy: Proxy, fields: bytes = b"") -> int:
    """What an operator gets."""
    with proxy.admin() as client:
        return client.ask(STATUS % fields).status


@pytest.mark.parametrize("token", ["", "secret"])
@pytest.mark.parametrize("said", [b"", b"GET /status HTTP/1.1\r\nHost: loc"])
def test_silent_connections_do_not_keep_an_operator_out(small: StartProxy, token: str, said: bytes) -> None:
    proxy = small(admin_token=token)
    with ExitStack() as stack:
        waiting = silent(proxy, stack, 60, said)
        for _ in range(3):
            assert status(proxy, TOKEN if token else b"") == 200
        # The oldest had to go, with words and without a reset.
        assert waiting[0].response().problem()["status"] == 503
        assert slots(proxy) <= 20


def test_connections_that_lost_their_slots_are_bounded_and_leave_nothing(
    small: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.admin.listener.LINGER_SECONDS", 600.0)
    monkeypatch.setattr("heliograph_proxy.admin.listener.MAX_REFUSING", 5)
    proxy = small()
    serving = proxy.server._admin._greenlets
    with ExitStack() as stack:
        silent(proxy, stack, 60)
        assert status(proxy) == 200
        until(lambda: len(serving) <= 20 + 5, "the other connections to be closed")
    until(lambda: not serving, "the connections to end")
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, Visitor)]


def test_without_the_token_neither_pages_nor_heads_keep_its_holders_out(small: StartProxy) -> None:
    proxy = small(admin_token="secret")
    with ExitStack() as stack:
        page = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        silent(proxy, stack, 30, page + b"x" * 10)
        assert status(proxy, TOKEN) == 200


@pytest.mark.parametrize("token", ["", "secret"])
def test_streams_leave_slots_for_requests(small: StartProxy, token: str) -> None:
    proxy = small(admin_token=token)
    sent = TOKEN if token else b""
    with ExitStack() as stack:
        watching = silent(proxy, stack, 16, EVENTS % sent)
        for client in watching:
            assert b" 200 " in client.read_until(b"\r\n\r\n")
        with proxy.admin() as client:
            assert client.ask(EVENTS % sent).problem()["status"] == 503
        assert status(proxy, sent) == 200
        silent(proxy, stack, 40)
        assert status(proxy, sent) == 200


def test_a_reader_that_takes_a_little_now_and_then_is_let_go(
    small: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.admin.listener.ANSWER_SECONDS", 0.3)
    monkeypatch.setattr("heliograph_proxy.admin.views.EVENT_SECONDS", 0.0)
    proxy = small()
    with proxy.admin() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(EVENTS % b"")
        client.read_until(b"\r\n\r\n")

        def gone() -> bool:
            client.sock.recv(1)
            return not slots(proxy)

        until(gone, "its slot to be free")


def test_a_silent_connection_ends_with_the_deadline_of_a_head(small: StartProxy) -> None:
    proxy = small(timeouts={"head": 0.2})
    with proxy.admin() as client:
        assert client.response().problem()["status"] == 408
        assert client.ended()


@pytest.mark.parametrize(("descriptors", "most"), [(64, 32), (1024, 128), (65536, MOST)])
def test_there_are_fewer_slots_where_descriptors_are_few(descriptors: int, most: int) -> None:
    assert most_slots(descriptors) == most > KEPT


def test_when_all_are_proven_a_new_one_has_to_go() -> None:
    all_slots: ConnectionSlots[int] = ConnectionSlots(3, 1)
    for number in range(3):
        assert all_slots.enter(number) is None
    for number in (2, 0):
        all_slots.prove(number)
    assert all_slots.enter(3) == 1
    all_slots.prove(3)
    assert all_slots.enter(4) == 4
    assert [all_slots.stream(number) for number in (0, 2, 3)] == [True, True, False]
    all_slots.leave(0)
    assert (all_slots.enter(5), all_slots.stream(3)) == (None, True)


def test_writes_are_logged_with_who_and_what(small: StartProxy, capfd: pytest.CaptureFixture[str]) -> None:
    proxy = small(admin_token="secret")
    body = b'{"weight": 3}'
    head = (
        b"PUT /backends/b1/weight HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'User-Agent: a "b" \xff\r\nContent-Length: %d\r\n%b\r\n'
    )
    for token in (TOKEN, b"", b"Authorization: Bearer wrong\r\n"):
        with proxy.admin() as client:
            client.send(head % (len(body), token) + body)
            client.read_until(b"\r\n\r\n")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    found = [line for line in lines if line["event"] == "admin-write"]
    same = {"client": "127.0.0.1", "method": "PUT", "target": "/backends/b1/weight"}
    assert all(same.items() <= line.items() for line in found)
    assert [(line["status"], line["token"]) for line in found] == [(200, True), (401, False), (401, True)]
    assert (found[0]["body"], found[0]["user_agent"]) == ('{"weight": 3}', 'a "b" \xff')
    assert "secret" not in json.dumps(found)
