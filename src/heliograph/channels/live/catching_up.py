"""How a subscriber gets from its cursor to the live stream, without a gap and without a repetition.

    keep what is passed on from now on  ->  learn the top  ->  pages of the history after the cursor  ->  the rest of what was kept

The last step and joining the live stream are one: nothing can come in between.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.events import Event, Lost, Subscribed
from heliograph.channels.live.pages import Pages, Replay
from heliograph.channels.live.start import From, Start
from heliograph.channels.live.subscriber import Subscriber
from heliograph.channels.live.subscribers import Subscribers


def catch_up(subscribers: Subscribers, subscriber: Subscriber, start: Start, pages: Pages) -> Iterator[Event]:
    """The events for `subscriber`, first that it is subscribed; at the end it has joined `subscribers`. Raises LogUnavailable.

    The caller sends each event before it asks for the next one, and may wait for its peer to take it.
    """
    with subscribers.keeping_recent():
        subscribers.synchronize()
        if isinstance(start, Cursor) and start == subscribers.position:
            position, recovered, replay = subscribers.position, True, None
        elif start is From.NOW:
            position, recovered, replay = subscribers.position, None, None
        else:
            replay = pages.read(subscribers.channel, None if start is From.EARLIEST else start)
            position, recovered, replay = _resumed(subscribers, start, replay)
        yield Subscribed(subscribers.channel, position, recovered)
        if replay is not None:
            yield from replay.batches
            position = replay.end
        while not subscribers.join(subscriber, position):
            position = yield from _next_page(subscribers, position, pages)


def _resumed(
    subscribers: Subscribers, start: Start, replay: Replay
) -> tuple[Cursor, bool | None, Replay | None]:
    """Where the stream begins, whether that is the requested start, and what is replayed."""
    if not replay.page.recovered:
        return subscribers.position, False, None
    return start if isinstance(start, Cursor) else replay.start, True, replay


def _next_page(subscribers: Subscribers, position: Cursor, pages: Pages) -> Generator[Event, None, Cursor]:
    """One page on the way to the live stream; returns the position after it."""
    if position.offset >= subscribers.position.offset:
        subscribers.synchronize()  # the history was faster than the notifications
        return position
    replay = pages.read(subscribers.channel, position)
    if not replay.page.recovered:
        subscribers.synchronize()
        top = subscribers.position
        yield Lost(subscribers.channel, top)
        return top
    yield from replay.batches
    return replay.end
