"""A process that may open only few descriptors, and more clients than that."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from proxy_tests.backends import Backend, Peer, Received, websocket_echo
from proxy_tests.conftest import Client, until
from proxy_tests.test_main import Running, running
from proxy_tests.test_tunnel import upgrade

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"

#: About 12 are open before the first client comes.
DESCRIPTORS = 48
CROWD = 60

TOLD = '"event": "accept-paused"'


def well(peer: Peer, request: Received) -> Any:
    return websocket_echo(peer, request) if request.field("Upgrade") else peer.answer(b"ok")


StartLimited = Callable[[str], AbstractContextManager[Running]]


@pytest.fixture
def limited(tmp_path: Path, backend: Backend) -> StartLimited:
    backend.script = well
    return lambda extra: running(tmp_path, backend, extra, descriptors=DESCRIPTORS)


@contextmanager
def crowd(proxy: Running) -> Iterator[list[Client]]:
    """More clients than there are descriptors."""
    with ExitStack() as stack:
        clients = [stack.enter_context(proxy.client()) for _ in range(CROWD)]
        until(lambda: TOLD in proxy.process.output, "the event in the log")
        yield clients


def test_those_who_are_there_are_served_on_and_those_who_wait_when_there_is_room_again(
    limited: StartLimited,
) -> None:
    with limited("[pool]\nidle = 60.0\n") as proxy, proxy.client() as old, proxy.client() as tunnel:
        assert tunnel.ask(upgrade()).status == 101
        assert old.ask(GET).status == 200
        with crowd(proxy) as clients:
            for _ in range(20):
                tunnel.send(b"x")
                assert tunnel.read(1) == b"x"
                assert old.ask(GET).status == 200
            for client in clients:
                # The last ones wait until the first have gone.
                assert client.ask(GET).status == 200
                client.sock.close()
        assert proxy.get() == 200


def test_clients_that_come_take_no_descriptor_that_those_who_are_there_need(limited: StartLimited) -> None:
    with limited("[pool]\nidle = 0.0\n") as proxy, proxy.client() as old:
        assert old.ask(GET).status == 200
        with crowd(proxy):
            for _ in range(20):
                assert old.ask(GET).status == 200
            assert proxy.status()["backends"][0]["healthy"]


@contextmanager
def no_descriptor_left(proxy: Running) -> Iterator[None]:
    """Those that are open stay, whatever their numbers are."""
    limits = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (0, limits[1]))
    yield
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, limits)


def test_a_request_or_check_that_finds_no_descriptor_is_not_the_backends_failure(
    limited: StartLimited,
) -> None:
    with limited("[health]\ninterval = 0.05\n[pool]\nidle = 0.0\n") as proxy, proxy.client() as old:
        assert old.ask(GET).status == 200
        with no_descriptor_left(proxy):
            answers = [old.ask(GET) for _ in range(10)]
            gevent.sleep(0.5)  # for ten checks, of which nothing is to be seen
        assert [answer.problem()["status"] for answer in answers] == [503] * 10
        assert all(answer.field("Retry-After") for answer in answers)
        assert old.ask(GET).status == 200
        assert "backend-down" not in proxy.process.output
        assert proxy.status()["backends"][0]["failures"] == 0


def test_it_is_told_once_although_descriptors_come_and_go(limited: StartLimited) -> None:
    with limited("") as proxy, crowd(proxy) as clients:
        for client in clients[: CROWD // 2]:
            assert client.ask(GET).status == 200
            client.sock.close()
        assert proxy.process.output.count(TOLD) == 1
