from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.engines import quota
from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES
from heliograph.channels.records import Limits


@pytest.mark.parametrize(
    ("weights", "excess", "expected"),
    [
        ([100, 10], 20, 80),
        ([100, 90, 10], 30, 80),
        ([100, 90, 10], 11, 89),
        ([50, 50, 50], 30, 40),
        ([5, 5], 100, 0),
        ([], 5, 0),
    ],
)
def test_the_largest_are_cut_to_one_level(weights: list[int], excess: int, expected: int) -> None:
    assert quota.level(weights, excess) == expected


@given(st.lists(st.integers(0, 1000), min_size=1), st.data())
def test_the_level_takes_what_is_too_much_and_little_more(weights: list[int], data: st.DataObject) -> None:
    excess = data.draw(st.integers(0, sum(weights)))
    lost = sum(max(0, weight - quota.level(weights, excess)) for weight in weights)
    assert excess <= lost <= excess + len(weights)


def test_equal_channels_of_which_only_some_are_seen_lose_a_little_each() -> None:
    assert quota.level([1600] * quota.LARGEST, 10**9, next_largest=1600) == 1500


def test_a_segment_is_a_small_part_of_the_log() -> None:
    assert quota.segment_bytes(Limits()) == MAX_SEGMENT_BYTES
    assert quota.segment_bytes(Limits(log_bytes=512_000)) == 1000
    assert quota.segment_bytes(Limits(log_bytes=1)) == 1
