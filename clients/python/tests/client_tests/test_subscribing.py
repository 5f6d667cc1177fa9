"""The Python client against a tiny server that behaves as each test wants: what it accepts, what it bounds, when it reconnects."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any

import pytest
from heliograph_client import (
    Client,
    ClientError,
    Credentials,
    Event,
    Lost,
    Message,
    Refused,
    State,
    Status,
    Subscription,
    Uncertain,
    Unreachable,
)
from heliograph_client.backoff import FIRST, LONGEST, STABLE, Backoff
from heliograph_client.inbox import MAX_EVENTS
from heliograph_client.protocol import MAX_FRAME

from client_tests.tiny import EPOCH, Tiny, Visit, closing, message, mute, saying, tiny_with

PATIENCE = 20.0


def at_once() -> float:
    return 0.0


@pytest.fixture
def tiny() -> Iterator[Tiny]:
    with tiny_with("a", "b", "c") as server:
        yield server


def taken(subscription: Subscription) -> Iterator[Event]:
    while True:
        yield subscription.receive(PATIENCE)


def take(subscription: Subscription, count: int) -> list[Any]:
    """The data of the next messages, and Lost events as they are; offsets must go on without a hole, but for those."""
    found: list[Any] = []
    last: Message | Lost | None = None
    for event in taken(subscription):
        if isinstance(event, State):
            continue
        if isinstance(event, Message) and last is not None:
            assert event.offset == last.cursor.offset + 1
        last = event
        found.append(event.data if isinstance(event, Message) else event)
        if len(found) == count:
            return found
    raise AssertionError


def waiting(subscription: Subscription) -> State:
    return next(e for e in taken(subscription) if isinstance(e, State) and e.status is Status.WAITING)


def test_waits_are_drawn_from_a_range_that_doubles_to_a_bound() -> None:
    backoff, chance = Backoff(random.Random(7).random), random.Random(7)
    bounds = [FIRST, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST, LONGEST]
    assert [backoff.wait() for _ in bounds] == [chance.random() * bound for bound in bounds]
    backoff.lasted(STABLE - 0.1)
    assert backoff.wait() == chance.random() * LONGEST
    backoff.lasted(STABLE)
    assert backoff.wait() == chance.random() * FIRST


def test_a_server_that_names_a_time_is_left_alone_for_it() -> None:
    assert Backoff(at_once).wait(3.0) == 3.0
    assert Backoff(at_once).wait(86400.0) == LONGEST


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 3005, 3008])
def test_whatever_ends_a_connection_the_next_one_goes_on_behind_the_last_message(
    tiny: Tiny, code: int
) -> None:
    tiny.visits += [closing(code, 1), closing(code, 1)]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c", after="earliest") as events:
        assert take(events, 3) == ["a", "b", "c"]
    assert tiny.asked == ["earliest", f"{EPOCH}:1", f"{EPOCH}:2"]


def test_a_live_subscription_has_a_cursor_before_its_first_message(tiny: Tiny) -> None:
    tiny.visits += [closing(1012, 0)]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c") as events:
        waiting(events)
        tiny.publish("d")
        assert take(events, 1) == ["d"]
        assert events.cursors == {"c": f"{EPOCH}:4"}
    assert tiny.asked == [None, f"{EPOCH}:3"]


HOSTILE: list[tuple[Visit, str]] = [
    (saying("{"), "not JSON"),
    (saying("[" * 100_000), "not JSON"),
    (saying('{"type": NaN}'), "not JSON"),
    (saying("[]"), "no JSON object"),
    (saying(b"{}"), "binary"),
    (saying(message(1, "x")), "Offset 1 came where 4 was next"),
    (saying(message(3, "x")), "Offset 3 came where 4 was next"),
    (saying(message(5, "x")), "Offset 5 came where 4 was next"),
    (saying(message(4, "x").replace("4", "true")), "Offset True"),
    (saying(message(4, "x").replace('"c"', '"other"')), "other"),
    (saying(message(4, "x").replace('"data"', '"date"')), "no data"),
    (saying('{"type": "lost", "epoch": 5, "offset": 1}'), "no epoch"),
    (saying('{"type": "lost", "epoch": "a b", "offset": 1}'), "no epoch"),
    (saying('{"type": "lost", "epoch": "a", "offset": -1}'), "no epoch and offset"),
    (saying('{"type": "lost", "epoch": "a", "offset": 1e9}'), "no epoch and offset"),
    (saying("x" * (MAX_FRAME + 1)), "1009"),
    (saying(message(4, "x"), first=False), "The server began with"),
    (saying('{"type": "error", "problem": {"detail": "disk full"}}', first=False), "disk full"),
    (saying('{"type": "error", "ref": null, "problem": {"detail": "gone"}}'), "gone"),
    (saying('{"type": "subscribed", "channel": "c", "epoch": "e", "offset": 3}', first=False), "resumed"),
    (
        saying(
            '{"type": "subscribed", "channel": "c", "epoch": "e", "offset": 3, "recovered": true}',
            first=False,
        ),
        "another epoch",
    ),
]


@pytest.mark.parametrize(("visit", "reason"), HOSTILE, ids=[reason for _, reason in HOSTILE])
def test_what_a_server_must_not_say_is_named_and_nothing_is_lost_by_it(
    tiny: Tiny, visit: Visit, reason: str
) -> None:
    tiny.visits += [visit]
    with (
        Client(tiny.url, chance=at_once) as client,
        client.subscribe("c", after=f"{EPOCH}:3") as events,
    ):
        state = waiting(events)
        assert reason in state.reason
        assert len(state.reason) < 1000
        tiny.publish("d", "e")
        assert take(events, 2) == ["d", "e"]


def test_a_type_that_is_not_known_is_passed_over(tiny: Tiny) -> None:
    tiny.visits += [saying('{"type": "weather"}', message(4, "d"))]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c", after=f"{EPOCH}:3") as events:
        assert take(events, 1) == ["d"]


def test_a_number_of_any_length_arrives(tiny: Tiny) -> None:
    digits = "7" * 5000
    tiny.visits += [saying(message(4, 0).replace('"data": 0', f'"data": {digits}'))]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c", after=f"{EPOCH}:3") as events:
        assert str(take(events, 1)[0]) == digits


@pytest.mark.parametrize("after", ["elsewhere:2", f"{EPOCH}:99"])
def test_a_cursor_that_cannot_be_resumed_gives_one_notice_before_anything_else(
    tiny: Tiny, after: str
) -> None:
    with Client(tiny.url) as client, client.subscribe("c", after=after) as events:
        first = events.receive(PATIENCE)
        assert isinstance(first, State)
        assert str(first.cursor) == after
        lost, state = events.receive(PATIENCE), events.receive(PATIENCE)
        assert isinstance(lost, Lost)
        assert isinstance(state, State)
        assert str(lost.cursor) == str(state.cursor) == events.cursors["c"] == f"{EPOCH}:3"
        tiny.publish("d")
        assert take(events, 1) == ["d"]


def test_history_lost_while_connected_is_said_and_the_stream_goes_on(tiny: Tiny) -> None:
    lost = '{"type": "lost", "epoch": "new", "offset": 7}'
    tiny.visits += [saying(lost, message(8, "h"))]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c") as events:
        notice, data = take(events, 2)
        assert (str(notice.cursor), data) == ("new:7", "h")


def test_a_server_that_is_busy_or_away_is_waited_for(tiny: Tiny) -> None:
    tiny.visits += [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY, HTTPStatus.TOO_MANY_REQUESTS]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c", after="earliest") as events:
        assert "503 No: not now" in waiting(events).reason
        assert take(events, 3) == ["a", "b", "c"]


@pytest.mark.parametrize("status", [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN])
def test_a_refusal_that_would_come_again_ends_the_subscription(tiny: Tiny, status: HTTPStatus) -> None:
    tiny.visits += [closing(1012, 2), status]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c", after="earliest") as events:
        assert take(events, 2) == ["a", "b"]
        with pytest.raises(Refused, match=f"{status}.*not now") as caught:
            take(events, 1)
        assert (caught.value.status, caught.value.problem["title"]) == (status, "No")


def test_each_connection_gets_a_token_and_a_ticket_of_its_own(tiny: Tiny) -> None:
    tiny.visits += [closing(3005, 1), HTTPStatus.UNAUTHORIZED, closing(3005, 1)]
    tokens, tickets = iter("tuvwxyz"), iter("123456")
    credentials = Credentials(lambda: next(tokens), lambda: next(tickets))
    with Client(tiny.url, credentials, chance=at_once) as client:
        assert take(client.subscribe("c", after="earliest"), 3) == ["a", "b", "c"]
    sent = [(r.headers["Authorization"], r.path.partition("ticket=")[2]) for r in tiny.requests]
    assert sent == [("Bearer t", "1"), ("Bearer u", "2"), ("Bearer v", "3"), ("Bearer w", "4")]


def test_a_token_refused_twice_in_a_row_is_wrong(tiny: Tiny) -> None:
    tiny.visits += [HTTPStatus.UNAUTHORIZED] * 2
    with (
        Client(tiny.url, Credentials(lambda: "t"), chance=at_once) as client,
        pytest.raises(Refused, match="401"),
    ):
        take(client.subscribe("c"), 1)


def test_a_program_that_does_not_read_holds_a_bounded_number_of_events() -> None:
    count = 3 * MAX_EVENTS
    with tiny_with(*range(count)) as tiny, Client(tiny.url) as client:
        events = client.subscribe("c", after="earliest")
        deadline = time.monotonic() + PATIENCE
        while not events._inbox._full():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(events._inbox._items) == MAX_EVENTS
        assert take(events, count) == list(range(count))


def test_acknowledgements_reach_a_program_that_publishes_and_reads_later(tiny: Tiny) -> None:
    count = 2 * MAX_EVENTS
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c") as events:
        futures = [events.submit({"n": n}) for n in range(count)]
        assert [f.result(PATIENCE).offset for f in futures] == list(range(4, count + 4))
        assert take(events, count) == [{"n": n} for n in range(count)]


def test_what_was_not_acknowledged_is_uncertain(tiny: Tiny) -> None:
    tiny.visits += [mute]
    with Client(tiny.url, chance=at_once) as client, client.subscribe("c") as events:
        with pytest.raises(Uncertain):
            events.publish("d")
        assert events.publish("d").offset == 4


def test_without_a_connection_nothing_is_published() -> None:
    with socket.socket() as bound:  # bound, but not listening
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with Client(url) as client, client.subscribe("c") as events:
            with pytest.raises(Unreachable):
                events.publish("d", timeout=0.2)
            with pytest.raises(Unreachable):
                client.publish("c", "d", timeout=0.2)
            assert "refused" in waiting(events).reason


def test_closing_waits_for_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Client(f"http://127.0.0.1:{silent.getsockname()[1]}") as client:
            events = client.subscribe("c")
            assert isinstance(events.receive(PATIENCE), State)
            began = time.monotonic()
        assert time.monotonic() - began < 5
        assert list(events) == []


def test_closing_ends_an_iteration_in_another_thread(tiny: Tiny) -> None:
    with Client(tiny.url) as client:
        events = client.subscribe("c")
        seen: list[Event] = []
        reader = threading.Thread(target=lambda: seen.extend(events))
        reader.start()
        while not tiny.asked:
            time.sleep(0.01)
    reader.join(PATIENCE)
    assert not reader.is_alive()


@pytest.mark.parametrize(
    ("url", "channel", "after"),
    [
        ("ftp://x", "c", None),
        ("http://", "c", None),
        ("http://user:secret@x", "c", None),
        ("http://x?token=secret", "c", None),
        ("http://x:99999", "c", None),
        ("http://x", "a/b", None),
        ("http://x", "c", "yesterday"),
        ("http://x", "c", "e:-1"),
    ],
)
def test_wrong_arguments_are_refused_at_once(url: str, channel: str, after: str | None) -> None:
    with pytest.raises((ValueError, ClientError)) as caught:
        Client(url).subscribe(channel, after=after)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("data", ["x" * 65537, "\ud800", float("nan"), object(), {1: {2}}])
def test_what_cannot_be_published_is_refused_before_it_is_sent(tiny: Tiny, data: Any) -> None:
    with Client(tiny.url) as client, client.subscribe("c") as events:
        with pytest.raises((ValueError, TypeError)):
            events.publish(data)
        with pytest.raises((ValueError, TypeError)):
            client.publish("c", data)


def test_bytes_come_back_as_bytes(tiny: Tiny) -> None:
    with Client(tiny.url) as client, client.subscribe("c") as events:
        events.publish(b"\x00\xff")
        found = next(e for e in islice(taken(events), 10) if isinstance(e, Message))
        assert (found.content(), found.data) == (b"\x00\xff", {"base64": "AP8="})
        assert json.dumps(tiny.messages[-1]) == '{"base64": "AP8="}'
