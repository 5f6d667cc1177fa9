"""Pages that are shared by all who catch up at once: the log is read a few times, and everybody gets what follows on its cursor."""

from __future__ import annotations

import random

import gevent

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.memory.engine import MemoryLog
from heliograph.channels.live.pages import Pages, Replay
from heliograph.channels.records import Limits, Page
from tests.heliograph.channels.followers import publish
from tests.heliograph.channels.patched import patched


class Counted(MemoryLog):
    """Counts what is read, and takes its time, as a server does."""

    reads, longest = 0, 1000

    def read(self, channel: str, after: Cursor | None, limit: int = 1000) -> Page:
        self.reads += 1
        gevent.sleep(0.02)
        return super().read(channel, after, min(limit, self.longest))


def filled(count: int) -> tuple[Counted, Pages, str]:
    log = Counted(Limits())
    epoch = [publish(log, str(number)).epoch for number in range(1, count + 1)][-1]
    return log, Pages(log), epoch


def offsets(replay: Replay) -> list[int]:
    return [message.offset for batch in replay.batches for message in batch.messages]


@patched
def test_many_who_come_back_from_different_places_share_a_few_pages() -> None:
    log, pages, epoch = filled(1500)
    chance = random.Random(1)
    starts = [Cursor(epoch, chance.randrange(1000)) for _ in range(300)]
    reading = [gevent.spawn(pages.read, "a", start) for start in starts]
    gevent.joinall(reading, raise_error=True)
    for start, greenlet in zip(starts, reading, strict=True):
        replay = greenlet.get()
        found = offsets(replay)
        assert found == list(range(start.offset + 1, found[-1] + 1))
        assert [message.offset for message in replay.page.messages] == found
        assert replay.end.offset == found[-1]
    assert log.reads < 30
    first, second = (pages.read("a", Cursor(epoch, offset)) for offset in (500, 501))
    assert first.batches[-1] is second.batches[-1], "what is the same is encoded once"


@patched
def test_pages_that_bytes_keep_short_are_shared_too() -> None:
    """There are ten of them. In any order some are read that overlap."""
    chance = random.Random(1)
    for order, most in ((sorted, 20), (lambda offsets: chance.sample(offsets, len(offsets)), 40)):
        log, pages, epoch = filled(200)
        log.longest = 20
        starts = [Cursor(epoch, offset) for offset in order(range(200))]
        reading = [gevent.spawn(pages.read, "a", start) for start in starts]
        gevent.joinall(reading, raise_error=True)
        for start, greenlet in zip(starts, reading, strict=True):
            assert offsets(greenlet.get())[0] == start.offset + 1
        assert log.reads <= most, log.reads


@patched
def test_the_same_page_is_read_once_while_it_is_read_and_for_a_moment_after() -> None:
    log, pages, epoch = filled(10)
    for start in (Cursor(epoch, 5), None):
        log.reads = 0
        gevent.joinall([gevent.spawn(pages.read, "a", start) for _ in range(5)], raise_error=True)
        pages.read("a", start)
        assert log.reads == 1


@patched
def test_what_is_not_in_a_page_is_read() -> None:
    log, pages, epoch = filled(10)
    pages.read("a", Cursor(epoch, 5))
    publish(log, "11")
    publish(log, "other", "b")
    assert offsets(pages.read("a", Cursor(epoch, 4))) == list(range(5, 12))
    assert offsets(pages.read("a", Cursor(epoch, 10))) == [11]
    assert offsets(pages.read("b", Cursor(epoch, 0))) == [1]
    assert not pages.read("a", Cursor("another", 7)).page.recovered
    assert not pages.read("a", Cursor(epoch, 12)).page.recovered
    log.reads = 0
    gevent.joinall([gevent.spawn(pages.read, "a", Cursor("another", 7)) for _ in range(5)], raise_error=True)
    assert log.reads == 1


@patched
def test_what_two_ways_lead_to_is_kept_and_counted_once() -> None:
    """One reader waits for a page that then turns out not to have its cursor, and meanwhile another one has read that."""
    log = Counted(Limits(history_size=10))
    epoch = [publish(log, str(number)).epoch for number in range(20)][-1]
    pages = Pages(log)
    starts = (15, 5, 15)  # what follows on 5 was trimmed
    reading = [gevent.spawn(pages.read, "a", Cursor(epoch, start)) for start in starts]
    gevent.joinall(reading, raise_error=True)
    assert [len(offsets(one.get())) for one in reading] == [5, 0, 5]
    assert pages._size == sum(replay.size for replay in pages._order.values())
    assert log.reads == 2
