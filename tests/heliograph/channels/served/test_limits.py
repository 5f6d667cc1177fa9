"""What one client may take of the channels, and that it takes it from nobody else: behind proxies, direct, under each server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.heliograph.channels.served.talking import (
    PATIENCE,
    SECRET,
    Talk,
    bearer,
    events_ticket,
    new_channel,
    post,
    refused,
    streaming,
    talking,
    token,
    wait_for_count,
)
from tests.serving import Server, gunicorn

RATE = 5

#: A tenth of HELIOGRAPH_MAX_CHANNELS here.
SHARE = 4


def stock(port: int) -> list[str]:
    """Gunicorn's own worker, without a configuration of ours."""
    words = gunicorn(port)
    return [*words[: words.index("-c")], "-k", "gevent", *words[words.index("-c") + 2 :]]


@contextmanager
def limited(folder: Path, command: Any = gunicorn, **settings: str) -> Iterator[Server]:
    environment = {
        "HELIOGRAPH_CHANNELS": "memory://",
        "HELIOGRAPH_RATE": str(RATE),
        "HELIOGRAPH_MAX_CHANNELS": str(10 * SHARE + 3),
        **settings,
    }
    with Server(folder, environment, command) as server:
        yield server.started()
        assert "Traceback" not in server.output


@pytest.fixture(scope="module", params=[gunicorn, stock])
def ours_and_stock(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with limited(tmp_path_factory.mktemp("limited"), request.param) as server:
        yield server


def client(number: int) -> dict[str, str]:
    """The headers of a client behind a trusted proxy."""
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def is_rate(granted: int, begun: float) -> bool:
    """Whether a client was granted at least and at most what the rate allows since then."""
    return RATE <= granted <= RATE * (1 + time.monotonic() - begun) + 1


def statuses(answers: list[requests.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def answers_over(sockets: list[Talk], count: int) -> list[str]:
    """Of so many messages on each of some WebSockets, in turn."""
    for number in range(count):
        for talk in sockets:
            talk.publish(number)
    return [talk.answer()["type"] for _ in range(count) for talk in sockets]


def test_clients_that_share_a_proxys_connection_have_a_rate_each(ours_and_stock: Server) -> None:
    url = f"{ours_and_stock.url}/channels/shared"
    begun = time.monotonic()
    with requests.Session() as session:
        loud = [session.post(url, b"x", headers=client(1), timeout=PATIENCE) for _ in range(4 * RATE)]
        quiet = session.post(url, b"x", headers=client(2), timeout=PATIENCE)
    assert statuses(loud)[:RATE] == [201] * RATE
    assert is_rate(statuses(loud).count(201), begun)
    denied = next(answer for answer in loud if not answer.ok)
    problem = refused(denied, 429, "too-many-requests")
    assert (problem["limit"], denied.headers["Retry-After"]) == (RATE, "1")
    assert quiet.status_code == 201


def test_a_client_has_one_rate_however_many_connections_it_has(ours_and_stock: Server) -> None:
    begun = time.monotonic()
    found = [post(ours_and_stock, "shared", "x", **client(3)) for _ in range(4 * RATE)]
    assert is_rate(statuses(found).count(201), begun)


def test_websockets_and_requests_of_a_client_share_its_rate(ours_and_stock: Server) -> None:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(talking(ours_and_stock, "shared", headers=client(4)))[1] for _ in range(5)
        ]
        begun = time.monotonic()
        answers = answers_over(sockets, 4)
        assert is_rate(answers.count("published"), begun)
        assert post(ours_and_stock, "shared", "x", **client(4)).status_code == 429
        assert post(ours_and_stock, "shared", "x", **client(5)).status_code == 201


def test_a_closed_event_stream_leaves_at_once(ours_and_stock: Server) -> None:
    with streaming(ours_and_stock, "left", **client(6)):
        wait_for_count(ours_and_stock, "left", 1)
    wait_for_count(ours_and_stock, "left", 0, patience=5)


def test_a_slow_event_stream_is_cut(tmp_path: Path) -> None:
    with limited(tmp_path, stock, HELIOGRAPH_RATE="0") as server, server.connect() as wire:
        wire.socket.setsockopt(1, 8, 4096)  # SOL_SOCKET, SO_RCVBUF
        wire.send(b"GET /channels/slow/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for_count(server, "slow", 1)
        with requests.Session() as session:
            for _ in range(130):
                answer = session.post(f"{server.url}/channels/slow", b"x" * 65_000, timeout=PATIENCE)
                assert answer.status_code == 201
        wait_for_count(server, "slow", 0, patience=10)


def test_a_client_makes_a_tenth_of_all_channels_by_publishing(ours_and_stock: Server) -> None:
    names = [new_channel() for _ in range(SHARE + 1)]
    found = [post(ours_and_stock, name, "x", **client(11)) for name in names]
    assert statuses(found) == [201] * SHARE + [429]
    problem = refused(found[-1], 429, "too-many-channels")
    assert problem["limit"] == SHARE
    assert "A client may make" in problem["detail"]
    assert "HELIOGRAPH_MAX_CHANNELS" in problem["detail"]
    assert post(ours_and_stock, names[0], "x", **client(12)).status_code == 201
    assert post(ours_and_stock, names[-1], "x", **client(12)).status_code == 201
    # Somebody else made it now.
    assert post(ours_and_stock, names[-1], "x", **client(12)).status_code == 201


def test_a_client_makes_a_tenth_of_all_channels_however_it_makes_them(ours_and_stock: Server) -> None:
    server, own = ours_and_stock, client(13)
    with ExitStack() as stack:
        stack.enter_context(talking(server, new_channel(), headers=own))
        stack.enter_context(streaming(server, new_channel(), **own))
        url = f"{server.websocket_url}/events?channel={new_channel()}"
        stack.enter_context(connect(url, additional_headers=own))
        pushed = {"channel": new_channel(), "message": 1}
        assert requests.post(f"{server.url}/push", json=pushed, headers=own, timeout=PATIENCE).ok
        for path in (f"/ws/channels/{new_channel()}", f"/events?channel={new_channel()}"):
            with pytest.raises(InvalidStatus) as caught:
                connect(server.websocket_url + path, additional_headers=own)
            assert caught.value.response.status_code == 429
        refused(
            requests.get(f"{server.url}/channels/{new_channel()}/events", headers=own, timeout=PATIENCE),
            429,
            "too-many-channels",
        )
        pushed = {"channel": new_channel(), "message": 1}
        answer = requests.post(f"{server.url}/push", json=pushed, headers=own, timeout=PATIENCE)
        refused(answer, 429, "too-many-channels")
        refused(post(server, new_channel(), "x", **own), 429, "too-many-channels")


def test_a_channel_that_others_made_costs_nothing(ours_and_stock: Server) -> None:
    server = ours_and_stock
    names = [new_channel() for _ in range(SHARE)]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(talking(server, name, headers=client(14)))
        assert [post(server, name, "x", **client(15)).status_code for name in names] == [201] * SHARE
        assert post(server, new_channel(), "x", **client(15)).status_code == 201


def test_what_was_refused_makes_no_channel(ours_and_stock: Server) -> None:
    server = ours_and_stock
    for _ in range(SHARE + 1):
        assert post(server, new_channel(), "x" * 65_537, **client(16)).status_code == 413
    assert post(server, new_channel(), "x", **client(16)).status_code == 201


def test_the_subject_of_a_token_is_the_client(tmp_path: Path) -> None:
    with limited(tmp_path, HELIOGRAPH_AUTH_SECRET=SECRET) as server:
        walter, used = bearer(token(sub="walter")), events_ticket(server, token(sub="walter"), "a")
        begun = time.monotonic()
        found = [post(server, "a", "x", **walter, **client(n)) for n in range(4 * RATE)]
        assert is_rate(statuses(found).count(201), begun)
        url = f"{server.url}/channels/a/events?ticket={used}"
        with requests.get(url, stream=True, timeout=PATIENCE) as stream:
            assert stream.status_code == 200, "its own rate of publishing is another one"
        assert post(server, "a", "x", **bearer(token(sub="donny"))).status_code == 201
        used = events_ticket(server, token(sub="bunny"), "a")
        uses = [f"{server.url}/channels/a/events?ticket={used}"] * (4 * RATE)
        begun = time.monotonic()
        with requests.Session() as session:
            streams = [session.get(url, stream=True, timeout=PATIENCE) for url in uses]
            assert is_rate(statuses(streams).count(200), begun)
        names = [new_channel() for _ in range(SHARE)]
        for name in names:
            assert post(server, name, "x", **bearer(token(sub="maude"))).status_code == 201
        refused(
            post(server, new_channel(), "x", **bearer(token(sub="maude")), **client(9)),
            429,
            "too-many-channels",
        )
        assert server.logged(path=f"/channels/{names[0]}")["subject"] == "maude"
