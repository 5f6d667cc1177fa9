"""The one connection for notifications: what is published on the channels that are followed, and our own probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gevent.event import Event
from gevent.lock import BoundedSemaphore

from heliograph.channels.engines.redis.connection import FAILURES, Connecting, RawConnection
from heliograph.channels.log import News
from heliograph.channels.message import Kind, Message

#: Channels in one SUBSCRIBE.
_BATCH = 512

#: Seconds to wait for a subscription to count. Should it take longer, the connection is about to be made anew.
_PATIENCE = 5.0


class Ear(Connecting):
    """`heard` gets the news, `probed` the text of a probe; `back` is called whenever all subscriptions count again.

    Those are called in the greenlet that reads; only `back` may wait.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        probe: str,
        heard: Callable[[News], None],
        probed: Callable[[bytes], None],
    ) -> None:
        self._prefix, self._probe = prefix.encode(), probe.encode()
        self._heard, self._probed = heard, probed
        self.followed: dict[str, Event] = {}
        self.back: Callable[[], None] = lambda: None
        self._awaited = 0
        self._writing = BoundedSemaphore()
        super().__init__(url)

    def follow(self, channel: str) -> None:
        counts = self.followed.setdefault(channel, Event())
        if self.connection is not None:
            self._send(self.connection, "SUBSCRIBE", [self._name(channel)])
            counts.wait(_PATIENCE)

    def unfollow(self, channel: str) -> None:
        self.followed.pop(channel, None)
        if self.connection is not None:
            self._send(self.connection, "UNSUBSCRIBE", [self._name(channel)])

    def _name(self, channel: str) -> bytes:
        return self._prefix + channel.encode()

    def _send(self, connection: RawConnection, command: str, names: Sequence[bytes]) -> None:
        try:
            with self._writing:
                connection.send_packed_command(connection.pack_command(command, *names), check_health=False)
        except FAILURES as exc:
            self.reset(str(exc))

    def _prepare(self, connection: RawConnection) -> None:
        names = [self._probe, *(self._name(channel) for channel in self.followed)]
        for start in range(0, len(names), _BATCH):
            self._send(connection, "SUBSCRIBE", names[start : start + _BATCH])
        self._awaited = len(names)
        while self._awaited:
            self._take(connection.read_response())

    def _serve(self, connection: RawConnection) -> None:
        # What was followed while the subscriptions were sent.
        for channel, counts in list(self.followed.items()):
            if not counts.is_set():
                self._send(connection, "SUBSCRIBE", [self._name(channel)])
        self.back()
        while True:
            self._take(connection.read_response())

    def _take(self, answer: Sequence[bytes]) -> None:
        kind, name, content = answer[0], answer[1], answer[2]
        if kind == b"subscribe":
            self._awaited = max(0, self._awaited - 1)
            counts = self.followed.get(name.removeprefix(self._prefix).decode())
            if counts is not None:
                counts.set()
        elif kind == b"message" and name == self._probe:
            self._probed(content)
        elif kind == b"message":
            self._heard(_news(name.removeprefix(self._prefix).decode(), content))

    def _lost(self) -> None:
        super()._lost()
        for counts in self.followed.values():
            counts.clear()


def _news(channel: str, content: bytes) -> News:
    """As the script published it: epoch, offset, kind, time in microseconds, data."""
    epoch, offset, kind, stamp, data = content.split(b" ", 4)
    message = Message(int(offset), int(stamp) / 1e6, Kind(int(kind)), data)
    return News(channel, epoch.decode(), message.offset, (message,))
