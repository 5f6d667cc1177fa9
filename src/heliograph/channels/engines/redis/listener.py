"""The one connection for notifications: messages of followed channels, and this process's own probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gevent.event import Event
from gevent.lock import BoundedSemaphore

from heliograph.channels.engines.redis.connection import FAILURES, RawConnection, RedisConnection
from heliograph.channels.message import Kind, StoredMessage
from heliograph.channels.records import Notification

#: Channels in one SUBSCRIBE.
_BATCH = 512

#: Seconds to wait until a subscription is confirmed. If it takes longer, the connection is about to be replaced.
_PATIENCE = 5.0


class RedisListener(RedisConnection):
    """`on_notification` gets the notifications, `on_probe` the text of a probe.

    `on_resubscribed` is called whenever all subscriptions are confirmed again.

    Those are called in the greenlet that reads; only `on_resubscribed` may wait.
    """

    def __init__(
        self,
        url: str,
        prefix: str,
        probe: str,
        on_notification: Callable[[Notification], None],
        on_probe: Callable[[bytes], None],
    ) -> None:
        self._prefix, self._probe = prefix.encode(), probe.encode()
        self._on_notification, self._on_probe = on_notification, on_probe
        self.followed: dict[str, Event] = {}
        self.on_resubscribed: Callable[[], None] = lambda: None
        self._subscriptions_pending = 0
        self._writing = BoundedSemaphore()
        super().__init__(url)

    def follow(self, channel: str) -> None:
        subscribed = self.followed.setdefault(channel, Event())
        if self.connection is not None:
            self._send(self.connection, "SUBSCRIBE", [self._name(channel)])
            subscribed.wait(_PATIENCE)

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
        self._subscriptions_pending = len(names)
        while self._subscriptions_pending:
            self._handle(connection.read_response())

    def _use(self, connection: RawConnection) -> None:
        # What was followed while the subscriptions were sent.
        for channel, subscribed in list(self.followed.items()):
            if not subscribed.is_set():
                self._send(connection, "SUBSCRIBE", [self._name(channel)])
        self.on_resubscribed()
        while True:
            self._handle(connection.read_response())

    def _handle(self, answer: Sequence[bytes]) -> None:
        kind, name, content = answer[0], answer[1], answer[2]
        if kind == b"subscribe":
            self._subscriptions_pending = max(0, self._subscriptions_pending - 1)
            subscribed = self.followed.get(name.removeprefix(self._prefix).decode())
            if subscribed is not None:
                subscribed.set()
        elif kind == b"message" and name == self._probe:
            self._on_probe(content)
        elif kind == b"message":
            self._on_notification(_parse_notification(name.removeprefix(self._prefix).decode(), content))

    def _on_disconnected(self) -> None:
        super()._on_disconnected()
        for subscribed in self.followed.values():
            subscribed.clear()


def _parse_notification(channel: str, content: bytes) -> Notification:
    """As the script published it: epoch, offset, kind, time in microseconds, data."""
    epoch, offset, kind, stamp, data = content.split(b" ", 4)
    message = StoredMessage(int(offset), int(stamp) / 1e6, Kind(int(kind)), data)
    return Notification(channel, epoch.decode(), message.offset, (message,))
