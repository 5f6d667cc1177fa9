"""One stream at a time for each ticket of an EventSource, over all instances.

A browser that lost its stream opens it again before the server knows that the old one is gone, often at another instance. So each
use of a ticket is a message on a channel of our own, which every instance with such streams follows: the channel's order says
which use is the last one, and all others end. A message is the ticket's id and the use's, as text.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from gevent.lock import BoundedSemaphore

from heliograph.channels.live.events import Batch, Event, Form, Lost
from heliograph.channels.live.hub import Hub
from heliograph.channels.live.start import From
from heliograph.channels.message import Append, Kind
from heliograph.channels.names import TICKETS


@dataclass(eq=False, slots=True)
class _Use:
    """A stream. `offset` is that of its message, once that is known; `later` the highest of other uses of its ticket until then."""

    id: str
    end: Callable[[], None]
    offset: int | None = None
    later: int = 0

    def on_other(self, offset: int) -> None:
        self.later = max(self.later, offset)
        if self.offset is not None and self.later > self.offset:
            self.end()


class StreamTickets:
    """Of one process. Follows the channel from the first use of a ticket on."""

    form: Form

    def __init__(self, hub: Hub) -> None:
        self.form = _lines
        self._hub = hub
        self._uses: dict[str, list[_Use]] = {}
        self._opening = BoundedSemaphore()
        self._following = False

    @contextmanager
    def using(self, ticket: str, end: Callable[[], None]) -> Iterator[None]:
        """A stream that is the only one of its ticket: earlier ones end, and `end` is called when there is a later one.

        Raises ChannelError.
        """
        self._follow()
        use = _Use(secrets.token_hex(8), end)
        self._uses.setdefault(ticket, []).append(use)
        try:
            message = Append(TICKETS, Kind.TEXT, f"{ticket} {use.id}".encode())
            use.offset = self._hub.log.append(message).offset
            use.on_other(0)
            yield
        finally:
            self._uses[ticket].remove(use)
            if not self._uses[ticket]:
                del self._uses[ticket]

    def _follow(self) -> None:
        with self._opening:
            if self._following:
                return
            with ExitStack() as stack:
                events = stack.enter_context(self._hub.subscribed(TICKETS, None, self, From.NOW))
                for event in events:
                    self._take(event)
                self._hub.on_stop(stack.pop_all().close)
            self._following = True

    def _take(self, event: Event) -> None:
        if isinstance(event, Lost):
            self.report_loss(event)
        else:
            self.offer(event.made(self.form))

    # What a subscriber has.

    def offer(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            offset, ticket, id = line.split(" ")
            for use in tuple(self._uses.get(ticket, ())):
                if use.id != id:
                    use.on_other(int(offset))

    def report_loss(self, event: Lost) -> None:
        """Which uses came later is not known any more: all streams end, and their clients come back."""
        for uses in tuple(self._uses.values()):
            for use in tuple(uses):
                use.end()


def _lines(event: Event) -> bytes:
    if not isinstance(event, Batch):
        return b""
    return b"".join(b"%d %b\n" % (message.offset, message.data) for message in event.messages)
