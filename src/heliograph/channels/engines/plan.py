"""What a group of appends leads to: offsets, segments to store, answers. Pure.

A store reads what it has about the channels and keys of the group (`StoredState`), inside its transaction; `plan_appends` decides;
the store writes. So all engines that commit in groups give the same answers.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES, MAX_SEGMENT_MESSAGES
from heliograph.channels.errors import ChannelError, KeyReused, TooManyChannels
from heliograph.channels.message import Append, Kind, StoredMessage
from heliograph.channels.names import TICKETS
from heliograph.channels.records import Appended, Notification, Outcome


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is stored of a channel: its epoch, the highest offset given out, and the time of that message."""

    epoch: str
    top: int
    time: float


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What an idempotency key was used for."""

    body: bytes
    answer: Appended


@dataclass(frozen=True)
class StoredState:
    """What the store knows. `epoch` is that of channels that do not exist yet, `room` how many of them may be created.

    `segment_bytes` is how long a segment may become.
    """

    epoch: str
    room: int
    now: float
    channels: Mapping[str, ChannelState]
    keys: Mapping[tuple[str, bytes], StoredKey]
    segment_bytes: int = MAX_SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class Segment:
    channel: str
    first: int
    time: float
    messages: list[tuple[Kind, bytes]]
    size: int  # bytes of the messages

    @property
    def last(self) -> int:
        return self.first + len(self.messages) - 1


@dataclass
class AppendPlan:
    """`changed` are the channels as they will be; `new` of them did not exist. `outcomes` are in the order of the appends."""

    outcomes: list[Outcome] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    changed: dict[str, ChannelState] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    keys: dict[tuple[str, bytes], StoredKey] = field(default_factory=dict)

    def added(self) -> dict[str, int]:
        """Bytes of messages that each channel gets."""
        found = dict.fromkeys(self.changed, 0)
        for segment in self.segments:
            found[segment.channel] += segment.size
        return found

    def notifications(self, followed: Container[str] | None = None) -> list[Notification]:
        """What followers are told of a group that was committed, less the channels that are not in `followed`."""
        return [
            Notification(
                segment.channel,
                self.changed[segment.channel].epoch,
                segment.last,
                tuple(
                    StoredMessage(segment.first + index, segment.time, kind, data)
                    for index, (kind, data) in enumerate(segment.messages)
                ),
            )
            for segment in self.segments
            if followed is None or segment.channel in followed
        ]


def plan_appends(appends: Sequence[Append], world: StoredState) -> AppendPlan:
    return _Planner(world).run(appends)


class _Planner:
    def __init__(self, world: StoredState) -> None:
        self._world = world
        self._plan = AppendPlan()
        self._waiting: dict[str, list[Append]] = {}

    def run(self, appends: Sequence[Append]) -> AppendPlan:
        done = self._plan
        for append in appends:
            try:
                done.outcomes.append(self._repeated(append) or self._accept(append))
            except ChannelError as exc:
                done.outcomes.append(exc)
        for name, accepted in self._waiting.items():
            channel = done.changed[name]
            first = channel.top - len(accepted) + 1
            done.segments += _segments(name, first, channel.time, accepted, self._world.segment_bytes)
        return done

    def _repeated(self, append: Append) -> Appended | None:
        """The earlier answer of the append's key. Raises KeyReused."""
        if append.key is None:
            return None
        name = (append.channel, append.key.id)
        kept = self._plan.keys.get(name) or self._world.keys.get(name)
        if kept is None:
            return None
        if kept.body != append.key.body:
            raise KeyReused("This idempotency key was used with another body; nothing was published.")
        return Appended(kept.answer.epoch, kept.answer.offset, kept.answer.time, repeated=True)

    def _accept(self, append: Append) -> Appended:
        done, world = self._plan, self._world
        before = done.changed.get(append.channel) or world.channels.get(append.channel)
        if before is None:
            if append.channel != TICKETS and len(done.new) - (TICKETS in done.new) >= world.room:
                raise TooManyChannels(
                    "As many channels as HELIOGRAPH_MAX_CHANNELS allows are kept, and none of them has ended."
                )
            done.new.add(append.channel)
            before = ChannelState(world.epoch, 0, 0.0)
        # The clock may go back; the times of a channel do not, so that age trims from the front only.
        after = ChannelState(before.epoch, before.top + 1, max(before.time, world.now))
        done.changed[append.channel] = after
        self._waiting.setdefault(append.channel, []).append(append)
        answer = Appended(after.epoch, after.top, after.time)
        if append.key is not None:
            done.keys[append.channel, append.key.id] = StoredKey(append.key.body, answer)
        return answer


def _segments(
    channel: str, first: int, time: float, appends: Sequence[Append], max_bytes: int
) -> Iterator[Segment]:
    """Cut at the bounds of a segment; a single message never exceeds them."""
    messages: list[tuple[Kind, bytes]] = []
    size = 0
    for append in appends:
        if messages and (len(messages) == MAX_SEGMENT_MESSAGES or size + len(append.data) > max_bytes):
            yield Segment(channel, first, time, messages, size)
            first, messages, size = first + len(messages), [], 0
        messages.append((append.kind, append.data))
        size += len(append.data)
    yield Segment(channel, first, time, messages, size)
