from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.engines.segment import pack, unpack
from heliograph.channels.message import Kind

MESSAGES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=40)), min_size=1, max_size=8)


@given(MESSAGES, st.integers(0, 12))
def test_what_was_packed_comes_back_after_an_offset(messages: list[tuple[Kind, bytes]], after: int) -> None:
    found = unpack(3, 1.5, pack(messages), after)
    wanted = [(offset, *message) for offset, message in enumerate(messages, 3) if offset > after]
    assert [(m.offset, m.kind, m.data) for m in found] == wanted
    assert {m.time for m in found} <= {1.5}


@given(MESSAGES, st.data())
def test_a_segment_that_was_cut_is_noticed(messages: list[tuple[Kind, bytes]], data: st.DataObject) -> None:
    packed = pack(messages)
    cut = data.draw(st.integers(1, len(packed) - 1))
    whole = {len(pack(messages[:count])) for count in range(len(messages))}
    if cut not in whole:
        with pytest.raises(ValueError, match="segment"):
            unpack(1, 0, packed[:cut])


@given(st.binary(max_size=60))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    try:
        found = unpack(1, 0, data)
    except ValueError:
        return
    assert pack((m.kind, m.data) for m in found) == data
