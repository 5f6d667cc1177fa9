"""The news on their way from the file to the event loop. In the worker's thread, except for `_hear`."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.channels.engines.mailbox import Mailbox
from heliograph.channels.engines.sqlite.session import Session
from heliograph.channels.engines.sqlite.store import Committed
from heliograph.channels.log import News

#: Bytes of news that are on their way to the event loop. While it is behind, the rest stays in the log.
MAX_UNREAD = 8 << 20

#: Seconds between looks at the file by ourselves, should a datagram be lost or not be possible.
POLL = 0.25


class Feed:
    """`listener` is called on the event loop; `ring` wakes the worker."""

    def __init__(self, mailbox: Mailbox, listener: Callable[[News], None], ring: Callable[[], None]) -> None:
        self.followed: set[str] = set()
        self._mailbox, self._listener, self._ring = mailbox, listener, ring
        self._sent = self._heard = 0  # bytes of news: each number is written by one thread only
        self._behind = False
        self._poll_at = 0.0

    def follow(self, session: Session | None, channel: str, wanted: bool) -> None:
        """What is committed after this gives news; done even while the file cannot be opened."""
        if wanted and session is not None:
            if not self.followed:
                session.look(())  # nobody cared for what came so far
            session.reading.follow((channel,))
        elif session is not None:
            session.reading.unfollow(channel)
        (self.followed.add if wanted else self.followed.discard)(channel)

    def opened(self, session: Session) -> None:
        """The file was opened: whoever follows a channel has to look where it is now."""
        self._tell(session.hints(self.followed))

    def committed(self, session: Session, committed: Committed) -> None:
        """We committed something. Its news go out at once, unless those of others come first or the loop is behind."""
        if not self.followed:
            return
        news = None if self._loaded() else session.own_news(committed, self.followed)
        if news is None:
            self._behind = True
        else:
            self._tell(news)

    def rung(self) -> None:
        """Another instance says that there is something."""
        self._behind = True

    def step(self, session: Session, now: float) -> bool:
        """Look for what others committed, if there is a reason to. True if there was."""
        if not self.followed:
            return False
        if now >= self._poll_at:
            self._poll_at = now + POLL
            self._behind = session.changed() or self._behind
        if not self._behind or self._loaded():
            return False
        news, self._behind = session.look(self.followed)
        self._tell(news)
        return True

    def wait(self, now: float) -> float:
        """Seconds until the next look by ourselves."""
        return max(0.0, self._poll_at - now) if self.followed else 60.0

    def _loaded(self) -> bool:
        """Whether the event loop has not heard all of what it was sent. What comes now can be read later."""
        return self._sent - self._heard > MAX_UNREAD

    def _tell(self, news: list[News]) -> None:
        if news:
            size = sum(len(message.data) for item in news for message in item.messages) + len(news)
            self._sent += size
            self._mailbox.send(self._hear, news, size)

    def _hear(self, news: list[News], size: int) -> None:
        """On the event loop."""
        self._heard += size
        for item in news:
            self._listener(item)
        if self._behind:
            self._ring()
