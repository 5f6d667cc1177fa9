"""Notifications on their way from the file to the event loop. In the worker's thread, except for `_deliver`."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.channels.engines.sqlite.mailbox import Mailbox
from heliograph.channels.engines.sqlite.session import SqliteSession
from heliograph.channels.engines.sqlite.store import Committed
from heliograph.channels.records import Notification

#: Bytes of notifications that are on their way to the event loop. While it is behind, the rest stays in the log.
MAX_UNDELIVERED = 8 << 20

#: Seconds between polls of the file: a datagram may be lost or not be possible.
POLL_INTERVAL = 0.25


class Notifications:
    """`listener` is called on the event loop; `notify` wakes the worker."""

    def __init__(
        self, mailbox: Mailbox, listener: Callable[[Notification], None], notify: Callable[[], None]
    ) -> None:
        self.followed: set[str] = set()
        self._mailbox, self._listener, self._ring = mailbox, listener, notify
        self._sent_bytes = self._delivered_bytes = (
            0  # bytes of notifications: each number is written by one thread only
        )
        self._behind = False
        self._poll_at = 0.0

    def follow(self, session: SqliteSession | None, channel: str, wanted: bool) -> None:
        """Later commits give notifications, or no longer; done even while the file cannot be opened."""
        if wanted and session is not None:
            if not self.followed:
                session.poll(())  # skip what was committed before there were followers
            session.reader.follow((channel,))
        elif session is not None:
            session.reader.unfollow(channel)
        (self.followed.add if wanted else self.followed.discard)(channel)

    def opened(self, session: SqliteSession) -> None:
        """The file was opened: followers have to check where their channels are now."""
        self._send(session.hints(self.followed))

    def committed(self, session: SqliteSession, committed: Committed) -> None:
        """We committed a group. Its notifications go out at once, unless those of others come first or the loop is behind."""
        if not self.followed:
            return
        notifications = None if self._is_backlogged() else session.own_notifications(committed, self.followed)
        if notifications is None:
            self._behind = True
        else:
            self._send(notifications)

    def on_datagram(self) -> None:
        """Another instance has committed something."""
        self._behind = True

    def step(self, session: SqliteSession, now: float) -> bool:
        """Read what others committed, if there is a reason to. True if there was."""
        if not self.followed:
            return False
        if now >= self._poll_at:
            self._poll_at = now + POLL_INTERVAL
            self._behind = session.changed() or self._behind
        if not self._behind or self._is_backlogged():
            return False
        notifications, self._behind = session.poll(self.followed)
        self._send(notifications)
        return True

    def wait(self, now: float) -> float:
        """Seconds until the next poll."""
        return max(0.0, self._poll_at - now) if self.followed else 60.0

    def _is_backlogged(self) -> bool:
        """Whether too much is on its way to the event loop. What is new can be read later."""
        return self._sent_bytes - self._delivered_bytes > MAX_UNDELIVERED

    def _send(self, notifications: list[Notification]) -> None:
        if notifications:
            size = sum(len(message.data) for item in notifications for message in item.messages) + len(
                notifications
            )
            self._sent_bytes += size
            self._mailbox.send(self._deliver, notifications, size)

    def _deliver(self, notifications: list[Notification], size: int) -> None:
        """On the event loop."""
        self._delivered_bytes += size
        for item in notifications:
            self._listener(item)
        if self._behind:
            self._ring()
