from __future__ import annotations

from heliograph.channels.engines.plan import ChannelState, StoredKey, StoredState, plan_appends
from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES, MAX_SEGMENT_MESSAGES
from heliograph.channels.errors import KeyReused, TooManyChannels
from heliograph.channels.message import MAX_MESSAGE, Append, Kind, new_append
from heliograph.channels.records import Appended


def world(**changes: object) -> StoredState:
    values: dict[str, object] = {"epoch": "new", "room": 10, "now": 100.0, "channels": {}, "keys": {}}
    return StoredState(**(values | changes))  # type: ignore[arg-type]


def text(channel: str, data: str, key: str | None = None) -> Append:
    return new_append(channel, Kind.TEXT, data.encode(), key=key)


def test_channels_are_interleaved_and_each_has_its_own_offsets() -> None:
    done = plan_appends(
        [text("a", "1"), text("b", "2"), text("a", "3")], world(channels={"a": ChannelState("old", 7, 50.0)})
    )
    assert done.outcomes == [Appended("old", 8, 100.0), Appended("new", 1, 100.0), Appended("old", 9, 100.0)]
    assert done.changed == {"a": ChannelState("old", 9, 100.0), "b": ChannelState("new", 1, 100.0)}
    assert done.new == {"b"}
    assert [(s.channel, s.first, s.last) for s in done.segments] == [("a", 8, 9), ("b", 1, 1)]


def test_times_never_go_back() -> None:
    done = plan_appends([text("a", "1")], world(channels={"a": ChannelState("old", 7, 500.0)}))
    assert done.outcomes == [Appended("old", 8, 500.0)]


def test_a_key_that_was_used_gives_its_answer_or_an_error() -> None:
    first = text("a", "1", "k")
    assert first.key is not None
    kept = {("a", first.key.id): StoredKey(first.key.body, Appended("e", 3, 9.0))}
    done = plan_appends([first, text("a", "2", "k"), text("b", "1", "k")], world(keys=kept))
    assert done.outcomes[0] == Appended("e", 3, 9.0, repeated=True)
    assert isinstance(done.outcomes[1], KeyReused)
    assert done.outcomes[2] == Appended("new", 1, 100.0)
    assert list(done.changed) == ["b"]


def test_nothing_is_made_beyond_the_room() -> None:
    done = plan_appends([text("a", "1"), text("b", "1"), text("a", "2")], world(room=1))
    assert isinstance(done.outcomes[1], TooManyChannels)
    assert done.outcomes[2] == Appended("new", 2, 100.0)
    assert list(done.changed) == ["a"]


def test_segments_are_cut_at_their_bounds() -> None:
    small = plan_appends([text("a", "x")] * (2 * MAX_SEGMENT_MESSAGES + 1), world()).segments
    assert [len(s.messages) for s in small] == [MAX_SEGMENT_MESSAGES, MAX_SEGMENT_MESSAGES, 1]
    assert [(s.first, s.last) for s in small] == [(1, 256), (257, 512), (513, 513)]
    large = plan_appends([new_append("a", Kind.BYTES, b"x" * MAX_MESSAGE)] * 9, world()).segments
    assert [len(s.messages) for s in large] == [4, 4, 1]
    assert all(sum(len(data) for _, data in s.messages) <= MAX_SEGMENT_BYTES for s in large)
