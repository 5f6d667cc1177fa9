"""How a subscriber gets from where it was to the live stream, without a hole and without anything twice.

    keep what is passed on from now on  ->  learn the top  ->  pages of the history after the cursor  ->  the rest of what was kept

The last step and becoming a member are one: nothing can come in between.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.events import Event, Lost, Subscribed
from heliograph.channels.live.pages import Pages, Replay
from heliograph.channels.live.position import Position
from heliograph.channels.live.start import From, Start
from heliograph.channels.live.subscriber import Member
from heliograph.channels.live.subscribers import Audience


def catch_up(audience: Audience, member: Member, start: Start, pages: Pages) -> Iterator[Event]:
    """What `member` has to be told, first that it is subscribed; at the end it is a member. Raises Unavailable.

    Whoever iterates sends each event before it asks for the next one, and may wait for its peer to take it.
    """
    with audience.keeping():
        audience.sync()
        if isinstance(start, Cursor) and start == audience.position.cursor:
            position, recovered, replay = audience.position, True, None
        elif start is From.NOW:
            position, recovered, replay = audience.position, None, None
        else:
            replay = pages.read(audience.channel, None if start is From.EARLIEST else start)
            position, recovered, replay = _resumed(audience, start, replay)
        yield Subscribed(audience.channel, position, recovered)
        if replay is not None:
            yield from replay.batches
            position = replay.end
        while not audience.admit(member, position):
            position = yield from _step(audience, position, pages)


def _resumed(audience: Audience, start: Start, replay: Replay) -> tuple[Position, bool | None, Replay | None]:
    """Where the stream begins, whether that is where it was to, and what is replayed."""
    if not replay.page.recovered:
        return audience.position, False, None
    if isinstance(start, Cursor):
        return Position(start.epoch, start.offset), True, replay
    return replay.start, True, replay


def _step(audience: Audience, position: Position, pages: Pages) -> Generator[Event, None, Position]:
    """One page on the way to the live stream; returns where it led to."""
    if position.offset >= audience.position.offset:
        audience.sync()  # the history was faster than the news
        return position
    replay = pages.read(audience.channel, position.cursor)
    if not replay.page.recovered:
        audience.sync()
        top = audience.position
        yield Lost(audience.channel, top)
        return top
    yield from replay.batches
    return replay.end
