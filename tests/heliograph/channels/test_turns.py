"""Long answers let others have turns on the event loop, by the processor time between turns: a busy machine does not change it."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from flask import Flask

from heliograph.channels.engines.memory.engine import MemoryLog
from heliograph.channels.message import Append, Kind, new_append
from heliograph.channels.presence import SubscriberInfo
from heliograph.channels.records import ChannelInfo, Limits
from heliograph.channels.transports import http
from heliograph.channels.transports.documents import list_document
from heliograph.channels.transports.rendering import message_json
from heliograph.channels.transports.tokens import Grant

#: Seconds that one turn may take.
LONGEST = 0.02

CHANNELS = 5_000


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Iterator[None]:
    """Which takes its time in proportion to all that other tests left."""
    gc.disable()
    yield
    gc.enable()


def longest_turn(work: Callable[[], object]) -> float:
    longest, last, greenlet = 0.0, time.thread_time(), gevent.spawn(work)
    while not greenlet.dead:
        gevent.sleep(0)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    greenlet.get()
    return longest


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    found = MemoryLog(Limits(max_channels=CHANNELS))
    outcomes = found.append_many([new_append(f"channel-{n:05}", Kind.TEXT, b"x") for n in range(CHANNELS)])
    assert len(outcomes) == CHANNELS
    return found


@pytest.mark.parametrize(
    "globs",
    [
        tuple(f"*a{number}?*b*" for number in range(100)),
        ("*c" * 120, *(f"{n}*c" * 60 for n in range(98)), "channel-0199?"),
        tuple(f"nothing-{number}" for number in range(100)),
        ("*",),
    ],
    ids=["of pieces", "hostile", "of names", "all"],
)
def test_a_long_list_of_channels_for_a_token_of_many_globs(log: MemoryLog, globs: tuple[str, ...]) -> None:
    grant = Grant("w", None, (), globs)
    found: list[ChannelInfo] = []

    def work() -> None:
        found.extend(http.allowed_channels(log, grant, http.ChannelsQuery(limit=1000, after="", prefix="")))

    assert longest_turn(work) < LONGEST
    expected = [f"channel-{n:05}" for n in range(CHANNELS) if grant.may_subscribe(f"channel-{n:05}")]
    assert [info.name for info in found] == expected


@pytest.mark.parametrize("text", ["\x01", "\u2028", "x", '"'])
def test_a_page_of_history_as_large_as_pages_are(text: str) -> None:
    log, documents = MemoryLog(Limits()), []
    data = (text * 65_536).encode()[:65_535].decode(errors="ignore").encode()
    for _ in range(100):
        log.append(Append("a", Kind.TEXT, data))

    def work() -> None:
        with Flask(__name__).app_context():
            messages = log.read("a", None).messages
            documents.append(list_document('{"messages": [', map(message_json, messages)))

    assert longest_turn(work) < LONGEST
    (document,) = documents
    body = document.get_data()
    assert document.headers["Content-Length"] == str(len(body))
    assert [len(message["data"]) for message in json.loads(body)["messages"]] == [len(data.decode())] * 64


def test_presence_of_a_thousand_on_each_of_two_instances() -> None:
    log = MemoryLog(Limits())
    log.presence.announce(
        {"a": [SubscriberInfo(f"{n:016x}", 1e9 + n, "websocket", "web1") for n in range(1000)]}
    )

    def work() -> None:
        present = log.presence.present("a")
        rows = (json.dumps(http.subscriber_row(each)) for each in 2 * present.subscribers)
        list_document("[", rows)

    assert longest_turn(work) < LONGEST


def test_a_list_of_nothing_is_json() -> None:
    with Flask(__name__).app_context():
        document = list_document('{"channels": [', [])
    assert json.loads(document.get_data()) == {"channels": []}
