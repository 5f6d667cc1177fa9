"""Room for the bodies of all clients: several that take all they can get leave some, and what waits is bounded."""

from __future__ import annotations

import gevent
import pytest
from heliograph_proxy.held import HeldBytes

from proxy_tests.backends import Backend, echo_body
from proxy_tests.conftest import Client, Proxy, StartProxy, until
from proxy_tests.reloading import LONG

MOST = 10_000_000


def fill(held: HeldBytes, *clients: str) -> dict[str, int]:
    """Each takes all that it can get, in small pieces."""
    taken = dict.fromkeys(clients, 0)
    for client in clients:
        while held.take(client, 1000):
            taken[client] += 1000
    return taken


def give_back(held: HeldBytes, taken: dict[str, int]) -> None:
    for client, size in taken.items():
        held.give(client, size)


def post(proxy: Proxy, address: str) -> Client:
    """A body of which not all comes with its head."""
    client = proxy.client()
    head = f"POST / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {address}\r\nContent-Length: 5\r\n\r\n"
    client.send(head.encode() + b"hell")
    return client


def waiting(held: HeldBytes) -> int:
    return held._count


@pytest.mark.parametrize("others", [2, 10])
def test_clients_that_take_all_they_can_get_leave_room_for_another(
    start_proxy: StartProxy, backend: Backend, clients: list[Client], others: int
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend, limits={"held_bytes": MOST}, timeouts={"queue": 0.1})
    taken = fill(proxy.runtime.held, *(f"192.0.2.{number}" for number in range(others)))
    assert max(taken.values()) == MOST // 2
    clients.append(post(proxy, "198.51.100.1"))
    until(lambda: proxy.runtime.held.total > sum(taken.values()), "room for its body")
    clients[0].send(b"o")
    assert clients[0].response().body == b"hello"
    give_back(proxy.runtime.held, taken)


def test_bodies_of_one_client_that_wait_end_no_wait_of_another(
    start_proxy: StartProxy, backend: Backend, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.held.MOST_WAITING", 3)
    backend.script = echo_body
    proxy = start_proxy(backend, limits={"held_bytes": MOST}, timeouts={"queue": LONG})
    held = proxy.runtime.held
    taken = fill(held, *(f"192.0.2.{number}" for number in range(100)))
    for number, address in enumerate(["198.51.100.1"] * 3, 1):
        clients.append(post(proxy, address))
        until(lambda number=number: waiting(held) == number, "the body to wait")  # type: ignore[misc]
    clients.append(post(proxy, "198.51.100.2"))
    assert clients[2].response().problem()["status"] == 503
    give_back(held, taken)
    for client in (clients[0], clients[1], clients[3]):
        client.send(b"o")
        assert client.response().body == b"hello"


def test_what_a_body_waits_for_is_not_given_to_one_that_came_later() -> None:
    held = HeldBytes(1000, LONG)
    assert held.take("a", 500)
    assert held.take("b", 450)
    first = gevent.spawn(held.wait, "c", 100)
    second = gevent.spawn(held.wait, "d", 20)
    until(lambda: first.started and second.started, "both to wait")
    gevent.idle()
    assert not second.ready()
    held.give("b", 450)
    assert first.get()
    assert second.get()
    assert held.total == 620


@pytest.mark.parametrize("killed", [False, True])
def test_a_body_that_waits_no_longer_lets_those_behind_it_go_on(killed: bool) -> None:
    held = HeldBytes(1000, LONG if killed else 0.05)
    assert held.take("a", 500)
    assert held.take("b", 450)
    first = gevent.spawn(held.wait, "c", 100)
    until(lambda: waiting(held) == 1, "the first to wait")
    second = gevent.spawn(held.wait, "d", 20)
    if killed:
        until(lambda: waiting(held) == 2, "both to wait")
        first.kill()
    assert second.get(timeout=5)
    assert first.value is not True
    assert (held.total, waiting(held)) == (970, 0)


def test_a_client_without_room_of_its_share_holds_up_no_other() -> None:
    held = HeldBytes(1000, LONG)
    assert held.take("a", 500)
    first = gevent.spawn(held.wait, "a", 100)
    until(lambda: waiting(held), "the first to wait")
    assert held.wait("b", 100)
    held.give("a", 100)
    assert first.get()


def test_a_body_that_holds_room_gets_more_before_others() -> None:
    held = HeldBytes(1000, LONG)
    for client, size in (("a", 500), ("b", 200), ("c", 200)):
        assert held.take(client, size)
    other = gevent.spawn(held.wait, "d", 300)
    until(lambda: waiting(held) == 1, "the other to wait")
    assert held.wait("b", 50, begun=True)
    more = gevent.spawn(held.wait, "b", 150, begun=True)
    until(lambda: waiting(held) == 2, "the body to wait")
    held.give("c", 100)
    assert more.get()
    assert not other.ready()
    held.give("a", 500)
    assert other.get()


def waiting_in_order(held: HeldBytes, clients: str, *, begun: bool) -> list[gevent.Greenlet[..., bool]]:
    """Bodies of these clients that wait for 100 bytes each."""
    spawned = []
    for client in clients:
        before = waiting(held)
        spawned.append(gevent.spawn(held.wait, client, 100, begun=begun))
        until(lambda before=before: waiting(held) > before, f"{client} to wait")  # type: ignore[misc]
    return spawned


def test_bodies_that_hold_room_get_more_in_their_order() -> None:
    held = HeldBytes(1000, LONG)
    assert held.take("a", 500)
    assert held.take("b", 500)
    others = waiting_in_order(held, "c", begun=False)
    bodies = waiting_in_order(held, "defg", begun=True)
    for room, done in ((200, 2), (200, 4)):
        held.give("a", room)
        gevent.joinall(bodies[:done], timeout=5)
        assert [one.ready() for one in bodies + others] == [True] * done + [False] * (5 - done)
    held.give("b", 100)
    assert others[0].get(timeout=5)


@pytest.mark.parametrize("begun", [False, True])
def test_one_body_too_many_ends_the_wait_of_who_would_be_served_last(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliograph_proxy.held.MOST_WAITING", 3)
    held = HeldBytes(1000, LONG)
    assert held.take("a", 500)
    assert held.take("b", 500)
    bodies = waiting_in_order(held, "cde", begun=False)
    newcomer = gevent.spawn(held.wait, "f", 100, begun=begun)
    ended = bodies.pop() if begun else newcomer
    assert ended.get(timeout=5) is False
    held.give("a", 300)
    assert all(one.get(timeout=5) for one in bodies)
    assert waiting(held) == 0


def test_nothing_to_hold_is_not_waited_for() -> None:
    held = HeldBytes(1000, LONG)
    assert held.take("a", 500)
    assert held.take("b", 500)
    (other,) = waiting_in_order(held, "c", begun=False)
    assert gevent.spawn(held.wait, "d", 0).get(timeout=5)
    other.kill()
