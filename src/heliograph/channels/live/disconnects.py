"""Ending all connections of a subject, over all instances: a message on the channel of our own says that it is disconnected.

Every instance with connections of subjects follows that channel, from its earliest message on: so it knows also who was
disconnected before it began, as far as the history goes, and tickets from before that are void. A message is `-` and a digest of
the subject; those of `stream_tickets` begin with a ticket's id.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from gevent.lock import BoundedSemaphore

from heliograph.channels.live.events import Batch, Event, Form, Lost
from heliograph.channels.live.hub import Hub
from heliograph.channels.live.start import From
from heliograph.channels.message import Append, Kind
from heliograph.channels.names import TICKETS

#: Subjects whose last disconnection is remembered. Some 200 bytes each.
MAX_REMEMBERED = 20_000

_MARK = b"- "


class Disconnects:
    """Of one process. Follows the channel from the first connection of a subject on."""

    form: Form

    def __init__(self, hub: Hub) -> None:
        self.form = _lines
        self._hub = hub
        self._connected: dict[str, dict[object, Callable[[], None]]] = {}
        self._times: OrderedDict[str, float] = OrderedDict()
        self._opening = BoundedSemaphore()
        self._following = False

    def disconnect(self, subject: str) -> None:
        """Raises ChannelError."""
        self._hub.log.append(Append(TICKETS, Kind.TEXT, _MARK + _digest(subject).encode()))

    @contextmanager
    def connected(self, subject: str, end: Callable[[], None]) -> Iterator[None]:
        """A connection of a subject: `end` is called when it is disconnected. Raises ChannelError."""
        if not subject:
            yield
            return
        self._follow()
        digest, connection = _digest(subject), object()
        self._connected.setdefault(digest, {})[connection] = end
        try:
            yield
        finally:
            del self._connected[digest][connection]
            if not self._connected[digest]:
                del self._connected[digest]

    def was_disconnected(self, subject: str, since: float) -> bool:
        """Whether that is known of a subject, at this time or later. Raises ChannelError."""
        self._follow()
        return self._times.get(_digest(subject), -1.0) >= since

    def _follow(self) -> None:
        if self._following:
            return
        with self._opening:
            if self._following:
                return
            with ExitStack() as stack:
                events = stack.enter_context(self._hub.subscribed(TICKETS, None, self, From.EARLIEST))
                for event in events:
                    if not isinstance(event, Lost):  # nobody is connected yet
                        self.offer(event.made(self.form))
                self._hub.on_stop(stack.pop_all().close)
            self._following = True

    # What a subscriber has.

    def offer(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            time, digest = line.split(" ")
            self._times[digest] = float(time)
            self._times.move_to_end(digest)
            if len(self._times) > MAX_REMEMBERED:
                self._times.popitem(last=False)
            self._end(digest)

    def report_loss(self, event: Lost) -> None:
        """Who was disconnected is not known any more: all connections of subjects end, and may come back."""
        for digest in tuple(self._connected):
            self._end(digest)

    def _end(self, digest: str) -> None:
        for end in tuple(self._connected.get(digest, {}).values()):
            end()


def _digest(subject: str) -> str:
    return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _lines(event: Event) -> bytes:
    if not isinstance(event, Batch):
        return b""
    told = (message for message in event.messages if message.data.startswith(_MARK))
    return b"".join(b"%.6f %b\n" % (message.time, message.data.removeprefix(_MARK)) for message in told)
