"""How much is read at once while relaying."""

from __future__ import annotations

from heliograph_proxy.readsize import LEAST, MOST, MOST_FRAMES, ReadSize


def test_reads_grow_while_they_are_filled_and_taken_at_once() -> None:
    read, sizes = ReadSize(), []
    for _ in range(4):
        sizes.append(read.size)
        read.relayed(read.size, at_once=True)
    assert sizes == [LEAST, LEAST * 4, MOST, MOST]


def test_reads_stay_small_where_the_ends_of_frames_are_looked_for() -> None:
    read = ReadSize(MOST_FRAMES)
    for _ in range(4):
        read.relayed(read.size, at_once=True)
    assert read.size == MOST_FRAMES == MOST // 4


def test_a_sink_that_does_not_keep_up_holds_little() -> None:
    read = ReadSize()
    for _ in range(3):
        read.relayed(read.size, at_once=True)
    read.relayed(read.size, at_once=False)
    assert read.size == LEAST


def test_reads_shrink_again_when_little_comes_and_not_when_it_is_half() -> None:
    read = ReadSize()
    for _ in range(3):
        read.relayed(read.size, at_once=True)
    read.relayed(MOST // 2, at_once=True)
    assert read.size == MOST
    for _ in range(5):
        read.relayed(100, at_once=True)
    assert read.size == LEAST
