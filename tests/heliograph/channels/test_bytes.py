"""The bounds in bytes, on every engine, the servers being real ones."""

from __future__ import annotations

from heliograph.channels.cursor import Cursor
from heliograph.channels.log import Log
from heliograph.channels.message import Kind, new_append
from heliograph.channels.records import Appended, Limits
from tests.heliograph.channels.followers import Follower, eventually, opened, publish
from tests.heliograph.channels.patched import patched

KIB = 1024


def fill(log: Log, channel: str, count: int, size: int = KIB) -> Appended:
    """So many messages in one group, and then one alone. The answer to the last one."""
    log.append_many([new_append(channel, Kind.BYTES, b"x" * size)] * (count - 1))
    return log.append(new_append(channel, Kind.BYTES, b"x" * size))


def kept(log: Log, channel: str) -> list[int]:
    """The offsets of the history."""
    page = log.read(channel, None)
    assert page.recovered
    return [message.offset for message in page.messages]


def total(log: Log) -> int:
    """Bytes of all histories."""
    return sum(len(message.data) for info in log.channels() for message in log.read(info.name, None).messages)


@patched
def test_history_is_bounded_by_bytes_to_the_message(url: str) -> None:
    with opened(url, Limits(history_bytes=10 * KIB), count=2) as (log, other):
        epoch = fill(log, "a", 25).epoch
        for reader in (log, other):
            assert kept(reader, "a") == list(range(16, 26))
            assert len(reader.read("a", Cursor(epoch, 15)).messages) == 10
            for offset in (0, 1, 14):
                page = reader.read("a", Cursor(epoch, offset))
                assert (page.recovered, page.messages, page.top) == (False, (), 25)
            assert reader.read("a", Cursor(epoch, 25)).recovered
        fill(other, "a", 5, 100)
        assert kept(log, "a") == list(range(17, 31)), "9 KiB and 500 bytes"
        for _ in range(40):
            publish(log, "x" * 1000)
        assert kept(other, "a") == list(range(61, 71))


@patched
def test_the_newest_message_stays_however_long_it_is(url: str) -> None:
    with opened(url, Limits(history_bytes=100)) as (log,):
        for size in (1, 50_000, 60_000):
            last = log.append(new_append("a", Kind.BYTES, b"x" * size))
        assert kept(log, "a") == [3]
        assert log.read("a", Cursor(last.epoch, 2)).recovered
        assert not log.read("a", Cursor(last.epoch, 1)).recovered
        publish(log, "y" * 60)
        publish(log, "y" * 40)
        assert kept(log, "a") == [4, 5]


@patched
def test_the_oldest_of_the_largest_go_when_the_whole_log_is_too_large(url: str) -> None:
    limits = Limits(log_bytes=200 * KIB, check_interval=0.2)
    with opened(url, limits, count=2) as (log, other):
        epochs = {name: fill(log, name, 5).epoch for name in ("small", "tiny")}
        epochs["large"] = fill(log, "large", 150).epoch
        epochs["other"] = fill(other, "other", 150).epoch
        eventually(lambda: total(other) <= 220 * KIB, "the bound")
        assert kept(log, "small") == kept(log, "tiny") == [1, 2, 3, 4, 5]
        sizes = {}
        for name in ("large", "other"):
            offsets = kept(log, name)
            sizes[name] = len(offsets)
            assert offsets == list(range(offsets[0], 151)), "a hole"
            page = log.read(name, Cursor(epochs[name], offsets[0] - 2))
            assert (page.recovered, page.messages) == (False, ())
            assert log.read(name, Cursor(epochs[name], offsets[0] - 1)).recovered
            assert log.tops([name])[name] == Cursor(epochs[name], 150)
        assert min(sizes.values()) > 50, "only what is too much goes"
        assert abs(sizes["large"] - sizes["other"]) < 40, "both are cut alike"
        assert publish(log, "x", "large").offset == 151


@patched
def test_the_bound_of_the_log_holds_while_messages_come(url: str) -> None:
    limits = Limits(log_bytes=300 * KIB, check_interval=0.2)
    with opened(url, limits, count=2) as (log, other):
        follower = Follower(log, "c3")
        for n in range(60):
            fill((log, other)[n % 2], f"c{n % 7}", 20)
        eventually(lambda: total(log) <= 330 * KIB, "the bound")
        assert total(log) > 100 * KIB
        for info in log.channels():
            offsets = kept(log, info.name)
            assert offsets == list(range(info.top - len(offsets) + 1, info.top + 1)), "a hole"
        follower.until(9 * 20)
        assert follower.lost == 0, "who is connected misses nothing"
        follower.stop()


@patched
def test_messages_without_data_count_for_the_whole_log(url: str) -> None:
    with opened(url, Limits(log_bytes=64_000, check_interval=0.2)) as (log,):
        for n in range(3):
            log.append_many([new_append(f"c{n}", Kind.BYTES, b"")] * 1000)
        eventually(lambda: sum(len(kept(log, f"c{n}")) for n in range(3)) <= 1100, "the bound")


@patched
def test_sums_survive_a_restart_and_limits_may_change(url: str) -> None:
    if url == "memory://":
        return  # ends with its process
    with opened(url) as (log,):
        epoch = fill(log, "a", 100).epoch
        fill(log, "b", 100)
    with opened(url, Limits(history_bytes=20 * KIB)) as (log,):
        assert kept(log, "a") == list(range(81, 101))
        assert not log.read("a", Cursor(epoch, 79)).recovered
    with opened(url, Limits(log_bytes=40 * KIB, check_interval=0.2)) as (log,):
        eventually(lambda: total(log) <= 44 * KIB, "the bound")
        assert publish(log, "x").offset == 101
