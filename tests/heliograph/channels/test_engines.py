"""What every engine has to do: each test runs on each of them, the servers being real ones."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import gevent
import psycopg
import pytest
from gevent.event import Event

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import open_log
from heliograph.channels.errors import (
    KeyReused,
    LocationError,
    LogOverloaded,
    LogUnavailable,
    TooManyChannels,
)
from heliograph.channels.location import parse_location
from heliograph.channels.message import MAX_MESSAGE, Append, Kind, new_append
from heliograph.channels.names import TICKETS
from heliograph.channels.presence import SubscriberInfo
from heliograph.channels.records import (
    MAX_PAGE_BYTES,
    Appended,
    ChannelInfo,
    ChannelPage,
    Limits,
    Notification,
    Outcome,
)
from tests.heliograph.channels.followers import Follower, eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched


@patched
def test_offsets_grow_by_one_from_one(url: str) -> None:
    with opened(url) as (log,):
        answers = [publish(log, str(n)) for n in range(3)]
        assert [answer.offset for answer in answers] == [1, 2, 3]
        assert len({answer.epoch for answer in answers}) == 1
        assert publish(log, "x", "other").offset == 1
        times = [message.time for message in log.read("a", None).messages]
        assert times == sorted(times) == [answer.time for answer in answers]


@patched
def test_a_channel_that_nobody_used_has_top_0_and_an_epoch(url: str) -> None:
    with opened(url) as (log,):
        top = log.tops(["a"])["a"]
        assert top.epoch
        assert top.offset == 0
        page = log.read("a", None)
        assert (page.epoch, page.top, page.recovered, page.messages) == (top.epoch, 0, True, ())
        assert log.read("a", top).recovered
        assert log.channels() == []
        assert publish(log, "first").epoch == top.epoch
        assert texts(log.read("a", top).messages) == ["first"]


@patched
def test_messages_come_back_as_they_were(url: str) -> None:
    sent = [
        (Kind.JSON, b'{"a": [1, 2.50, null]}'),
        (Kind.TEXT, "Grüße, 世界 \u2028\r\n".encode()),
        (Kind.TEXT, b""),
        (Kind.BYTES, bytes(range(256))),
        (Kind.BYTES, b"\0"),
        (Kind.BYTES, b"x" * MAX_MESSAGE),
    ]
    with opened(url) as (log,):
        log.append_many([new_append("a", kind, data) for kind, data in sent])
        assert [(m.kind, m.data) for m in log.read("a", None).messages] == sent


@patched
def test_reading_goes_on_after_a_cursor(url: str) -> None:
    with opened(url) as (log,):
        epoch = log.append_many([new_append("a", Kind.TEXT, str(n).encode()) for n in range(1, 601)])[0]
        assert isinstance(epoch, Appended)
        page = log.read("a", Cursor(epoch.epoch, 250), 100)
        assert (page.top, page.recovered) == (600, True)
        assert texts(page.messages) == [str(n) for n in range(251, 351)]
        assert [m.offset for m in page.messages] == list(range(251, 351))
        page = log.read("a", Cursor(epoch.epoch, 600))
        assert (page.recovered, page.messages) == (True, ())
        assert len(log.read("a", None).messages) == 600


@patched
def test_a_cursor_of_another_epoch_or_from_the_future_is_not_recovered(url: str) -> None:
    with opened(url) as (log,):
        last = publish(log, "one")
        for cursor in (
            Cursor("other", 0),
            Cursor("other", 1),
            Cursor(last.epoch, 2),
            Cursor(last.epoch, 1 << 62),
        ):
            page = log.read("a", cursor)
            assert (page.epoch, page.top, page.recovered, page.messages) == (last.epoch, 1, False, ())
        assert not log.read("unused", Cursor(last.epoch, 5)).recovered


@patched
def test_history_is_bounded_by_size(url: str) -> None:
    with opened(url, Limits(history_size=10)) as (log,):
        for n in range(1, 26):
            epoch = publish(log, str(n)).epoch
        assert texts(log.read("a", None).messages) == [str(n) for n in range(16, 26)]
        assert texts(log.read("a", Cursor(epoch, 15)).messages) == [str(n) for n in range(16, 26)]
        assert not log.read("a", Cursor(epoch, 14)).recovered


@patched
def test_history_is_bounded_by_age(url: str) -> None:
    with opened(url, Limits(history_ttl=0.5)) as (log,):
        epoch = publish(log, "old").epoch
        eventually(lambda: not log.read("a", None).messages, "the end of a message")
        assert log.read("a", Cursor(epoch, 1)).recovered, "nothing is missing after the top"
        assert not log.read("a", Cursor(epoch, 0)).recovered
        assert publish(log, "new").offset == 2
        assert texts(log.read("a", None).messages) == ["new"]
        assert texts(log.read("a", Cursor(epoch, 1)).messages) == ["new"]
        assert not log.read("a", Cursor(epoch, 0)).recovered


@patched
def test_a_page_is_bounded_by_bytes(url: str) -> None:
    with opened(url) as (log,):
        log.append_many([new_append("a", Kind.BYTES, bytes([n]) * MAX_MESSAGE) for n in range(100)])
        cursor, found = log.tops(["a"])["a"], []
        cursor = Cursor(cursor.epoch, 0)
        while cursor.offset < 100:
            page = log.read("a", cursor)
            assert page.recovered
            assert 0 < sum(len(m.data) for m in page.messages) <= MAX_PAGE_BYTES
            found += [m.data[0] for m in page.messages]
            cursor = Cursor(page.epoch, page.messages[-1].offset)
        assert found == list(range(100))


@patched
def test_the_same_key_and_body_publish_once(url: str) -> None:
    with opened(url, count=2) as (log, other):
        first = publish(log, "pay", key="k1")
        again = publish(other, "pay", key="k1")
        assert again == Appended(first.epoch, first.offset, first.time, repeated=True)
        with pytest.raises(KeyReused):
            publish(other, "pay twice", key="k1")
        assert publish(log, "pay", "elsewhere", key="k1").repeated is False
        foreign = log.append(new_append("a", Kind.TEXT, b"pay", key="k1", subject="somebody"))
        assert foreign.offset == 2
        with pytest.raises(KeyReused):
            log.append(new_append("a", Kind.BYTES, b"pay", key="k1"))
        assert log.tops(["a"])["a"].offset == 2


@patched
def test_a_key_counts_within_one_group_too(url: str) -> None:
    with opened(url) as (log,):
        bodies = (b"one", b"one", b"two", b"three")
        outcomes = log.append_many([new_append("a", Kind.TEXT, b, key="k") for b in bodies])
        assert isinstance(outcomes[0], Appended)
        assert isinstance(outcomes[1], Appended)
        assert outcomes[1].repeated
        assert [type(outcome) for outcome in outcomes[2:]] == [KeyReused, KeyReused]
        assert log.tops(["a"])["a"].offset == 1


@patched
def test_channels_are_limited(url: str) -> None:
    with opened(url, Limits(max_channels=3)) as (log,):
        for name in "abc":
            publish(log, "x", name)
        for n in range(50):
            with pytest.raises(TooManyChannels):
                publish(log, "x", f"d{n}")
        assert publish(log, "y", "a").offset == 2
        assert [info.name for info in log.channels()] == ["a", "b", "c"]
        assert log.tops(["d0"])["d0"].offset == 0, "reading makes no channel"
        assert log.append(Append(TICKETS, Kind.TEXT, b"x")).offset == 1


@patched
def test_channels_are_listed_by_name_a_page_at_a_time(url: str) -> None:
    names = sorted(["a", "A", "a-", "a.b", "a:c", "aa", "b", "B.1", "_", "-", "0", "Z", "z", "ab"])
    with opened(url, count=2) as (log, other):
        for name in names[::2]:
            publish(log, "x", name)
        here = {name: [SubscriberInfo("i", 1.0, "sse", "one")] for name in (*names[1::2], "a")}
        other.presence.announce(here)
        found = log.channels()
        assert [info.name for info in found] == names
        assert [info.subscribers for info in found] == [int(name in here) for name in names]
        assert [info.top for info in found] == [int(name in names[::2]) for name in names]
        for limit in (1, 3, len(names)):
            pages, after = [], ""
            while page := log.channels(ChannelPage("", after, limit)):
                assert len(page) <= limit
                pages += page
                after = page[-1].name
            assert pages == found
        assert [i.name for i in log.channels(ChannelPage("a"))] == [n for n in names if n.startswith("a")]
        assert [i.name for i in log.channels(ChannelPage("a", "a:c", 1))] == ["aa"]
        assert log.channels(ChannelPage("x")) == log.channels(ChannelPage("", "zz")) == []
        assert log.channels(ChannelPage("a", "b")) == []
        assert [i.name for i in log.channels(ChannelPage("b", "A"))] == ["b"]


@patched
def test_channels_that_ended_make_room_and_get_another_epoch(url: str) -> None:
    with opened(url, Limits(max_channels=2, history_ttl=0.2)) as (log,):
        log.append(Append(TICKETS, Kind.TEXT, b"x"))
        before = publish(log, "x", "a")
        publish(log, "x", "b")

        def made() -> bool:
            try:
                return bool(publish(log, "x", "c"))
            except TooManyChannels:
                return False

        eventually(made, "room for a channel")
        eventually(lambda: log.tops(["a"])["a"].offset == 0, "the end of a")
        assert log.tops(["a"])["a"].epoch != before.epoch
        assert not log.read("a", Cursor(before.epoch, 1)).recovered


def stored_segments(url: str) -> int:
    """Of the databases: there a channel has not ended until they are deleted."""
    statement = "SELECT count(*) FROM "
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            return int(file.execute(statement + "segments").fetchone()[0])
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            return int(connection.execute(statement + "heliograph_segments").fetchone()[0])  # type: ignore[index]
    return 0


@patched
def test_the_channel_of_the_tickets_makes_no_room_when_its_history_ended(url: str) -> None:
    with opened(url, Limits(max_channels=0, history_ttl=0.1, check_interval=0.1)) as (log,):
        log.append(Append(TICKETS, Kind.TEXT, b"x"))
        before = log.tops([TICKETS, "a"])
        eventually(lambda: not log.read(TICKETS, None).messages and not stored_segments(url), "its end")
        with pytest.raises(TooManyChannels):
            publish(log, "x", "a")
        assert log.tops([TICKETS, "a"]) == before


@patched
def test_who_follows_gets_all_messages_in_order(url: str) -> None:
    with opened(url, count=2) as (log, other):
        publish(log, "before")
        follower = Follower(log)
        for n in range(300):
            publish(other, str(n))
        assert texts(follower.until(300)) == [str(n) for n in range(300)]
        assert follower.lost == 0
        follower.stop()


@patched
def test_two_instances_see_one_order(url: str) -> None:
    with opened(url, count=2) as (log, other):
        followers = [Follower(log)] if log is other else [Follower(log), Follower(other)]
        count = 500

        def write(instance: int) -> None:
            for n in range(0, count, 25):
                batch = [new_append("a", Kind.TEXT, f"{instance}:{m}".encode()) for m in range(n, n + 25)]
                (log, other)[instance].append_many(batch)

        gevent.joinall([gevent.spawn(write, 0), gevent.spawn(write, 1)], raise_error=True)
        stored = texts(log.read("a", None).messages)
        for follower in followers:
            assert texts(follower.until(2 * count)) == stored
            assert follower.lost == 0
            follower.stop()
        for instance in "01":
            own = [text.split(":")[1] for text in stored if text[0] == instance]
            assert own == [str(n) for n in range(count)]


@patched
def test_only_followed_channels_give_news(url: str) -> None:
    with opened(url, count=2) as (log, other):
        heard: list[Notification] = []
        log.listen(heard.append)
        for name in ("a", "b", "end"):
            log.follow(name)
        log.unfollow("b")
        for name in ("b", "c", "a", "end"):
            publish(other, "x", name)
        eventually(lambda: any(news.channel == "end" and news.top for news in heard), "news")
        assert {news.channel for news in heard} == {"a", "end"}
        log.unfollow("a")
        log.unfollow("unknown")


@patched
def test_pipelined_appends_are_answered_in_order(url: str) -> None:
    with opened(url) as (log,):
        publish(log, "0")
        outcomes: list[Outcome] = []
        done = Event()

        def answered(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == 3000:
                done.set()

        for n in range(3000):
            log.submit(new_append("a", Kind.TEXT, str(n).encode()), answered)
        assert done.wait(30)
        assert [o.offset for o in outcomes if isinstance(o, Appended)] == list(range(2, 3002))
        assert texts(log.read("a", None).messages)[1:] == [str(n) for n in range(999)]


@patched
def test_too_much_at_once_is_refused_and_the_rest_is_stored(url: str) -> None:
    with opened(url) as (log,):
        publish(log, "0")
        append = new_append("a", Kind.BYTES, b"x" * 1000)
        outcomes = log.append_many([append] * 60_000)
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Appended)]
        assert all(isinstance(outcome, LogOverloaded) for outcome in refused)
        assert bool(refused) is (url != "memory://"), "memory never makes anybody wait"
        assert log.tops(["a"])["a"].offset == 60_001 - len(refused)
        assert publish(log, "after").offset == 60_002 - len(refused)


@patched
def test_presence_is_known_everywhere_and_ends_without_heartbeat(url: str) -> None:
    anna, ben = SubscriberInfo("1", 1.5, "websocket", "web1"), SubscriberInfo("2", 2.5, "sse", "web1")
    with opened(url, Limits(presence_ttl=1.0), count=2) as (log, other):
        log.presence.announce({"a": [anna], "b": [anna, ben]})
        assert other.presence.present("b").subscribers == (anna, ben)
        assert log.presence.announce({"b": [ben]})
        assert other.presence.present("a").count == 1
        assert other.presence.present("b").subscribers == (ben,)
        publish(log, "x", "a")
        epoch = log.tops(["a"])["a"].epoch
        assert other.channels() == [ChannelInfo("a", epoch, 1, 1), ChannelInfo("b", epoch, 0, 1)]
        log.presence.announce({"a": [], "b": []})
        assert other.presence.present("a").count == 0
        log.presence.announce({"a": [anna]})
        if url != "memory://":  # with one process there is nobody to miss it
            eventually(lambda: other.presence.present("a").count == 0, "the end of a silent instance")
            assert [info.subscribers for info in other.channels()] == [0]
            assert log.presence.announce({}) is False, "it has to say everything again"
            assert other.presence.present("a").count == 0
            log.presence.announce({"a": [anna]})
        assert other.presence.present("a").count == 1
        log.presence.leave()
        assert other.presence.present("a").count == 0


@patched
def test_presence_adds_up_over_instances(url: str) -> None:
    with opened(url, count=2) as (log, other):
        here, there = SubscriberInfo("1", 1, "sse", "web1"), SubscriberInfo("2", 2, "sse", "web2")
        log.presence.announce({"a": [here]})
        if log is other:
            return
        other.presence.announce({"a": [there]})
        assert log.presence.present("a").subscribers == (here, there)
        assert log.presence.present("a").count == 2
        crowd = [SubscriberInfo(str(n), n, "sse", "web1") for n in range(1500)]
        log.presence.announce({"crowd": crowd})
        present = other.presence.present("crowd")
        assert (present.count, len(present.subscribers)) == (1500, 1000)


@patched
def test_a_token_is_used_once_on_any_instance(url: str) -> None:
    with opened(url, count=2) as (log, other):
        assert log.presence.use_once("t1", 30)
        assert not other.presence.use_once("t1", 30)
        assert not log.presence.use_once("t1", 30)
        assert other.presence.use_once("t2", 0.2)
        eventually(lambda: log.presence.use_once("t2", 30), "the end of a token")


@patched
def test_an_engine_that_was_closed_says_so(url: str) -> None:
    log = open_log(parse_location(url), Limits())
    publish(log, "x")
    eventually(lambda: log.ready() == "ok", "readiness")
    log.close()
    log.close()
    assert log.ready() != "ok"
    for call in (
        lambda: publish(log, "x"),
        lambda: log.read("a", None),
        log.channels,
        lambda: log.tops(["a"]),
    ):
        with pytest.raises(LogUnavailable):
            call()


@patched
def test_what_waits_is_stored_before_it_closes(url: str) -> None:
    outcomes: list[Outcome] = []
    log = open_log(parse_location(url), Limits())
    publish(log, "0")
    for n in range(1, 101):
        log.submit(new_append("a", Kind.TEXT, str(n).encode()), outcomes.append)
    log.close()
    assert [o.offset for o in outcomes if isinstance(o, Appended)] == list(range(2, 102))
    if url != "memory://":
        with opened(url) as (log,):
            assert texts(log.read("a", None).messages) == [str(n) for n in range(101)]


@patched
def test_offsets_and_epochs_survive_a_restart_of_the_instance(url: str) -> None:
    if url == "memory://":
        return  # ends with its process
    with opened(url) as (log,):
        publish(log, "one")
        last = publish(log, "two", key="k")
    with opened(url) as (log,):
        assert log.tops(["a"])["a"] == Cursor(last.epoch, 2)
        assert texts(log.read("a", None).messages) == ["one", "two"]
        assert publish(log, "two", key="k").repeated
        assert publish(log, "three").offset == 3


def test_an_unknown_engine_is_refused_without_its_password() -> None:
    for url in ("kafka://u:secret@broker/x", "mysql://u:secret@host/x", "redis://u:secret@host/x", "secret"):
        with pytest.raises(LocationError) as caught:
            open_log(parse_location(url), Limits())
        assert "secret" not in str(caught.value)
        assert "allowed" in str(caught.value)
    for url in ("redis://u:secret@host/0?nonsense=secret", "postgresql://u:secret@host/x?nonsense=secret"):
        with pytest.raises(LocationError) as caught:
            open_log(parse_location(url), Limits())
        assert "secret" not in str(caught.value)
