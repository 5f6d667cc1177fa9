"""A subscription: an iterator over the events of its channels, in order for each channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from heliograph_client.addresses import Service
from heliograph_client.backoff import Backoff
from heliograph_client.content import Content
from heliograph_client.credentials import Credentials
from heliograph_client.cursor import Start
from heliograph_client.errors import Closed, Uncertain
from heliograph_client.events import Event, Published
from heliograph_client.follower import ChannelFollower
from heliograph_client.inbox import Inbox

#: Channels of one subscription. Each has one connection with two or three threads.
MAX_CHANNELS = 100

#: Seconds for a connection to publish over, and for the acknowledgement.
PUBLISHING = 30.0


class Subscription:
    """Close it, or use it as a context manager. One thread may iterate; any thread may publish."""

    def __init__(
        self,
        service: Service,
        credentials: Credentials,
        starts: Mapping[str, Start],
        chance: Callable[[], float],
    ) -> None:
        if not 1 <= len(starts) <= MAX_CHANNELS:
            raise ValueError(f"Subscribe to 1 to {MAX_CHANNELS} channels.")
        for channel, start in starts.items():
            service.websocket(channel, start, None)  # raises BadName here, not later in a thread
        self._inbox = Inbox()
        self._cursors: dict[str, str] = {}
        self._followers = {
            channel: ChannelFollower(service, credentials, channel, start, self._inbox, Backoff(chance))
            for channel, start in starts.items()
        }
        for follower in self._followers.values():
            follower.start()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Event:
        """Raises Refused when a channel may not be subscribed to."""
        try:
            return self.receive()
        except Closed:
            raise StopIteration from None

    def receive(self, timeout: float | None = None) -> Event:
        """The next event. Raises TimeoutError, Closed, Refused."""
        event = self._inbox.take(timeout)
        if event.cursor is not None:
            self._cursors[event.channel] = str(event.cursor)
        return event

    @property
    def cursors(self) -> dict[str, str]:
        """By channel, the cursor behind the last event that was received here. For `after` of a later subscription."""
        return dict(self._cursors)

    def publish(self, data: Any, channel: str | None = None, timeout: float = PUBLISHING) -> Published:
        """Publish, and wait until it is stored. Not repeated: raises Uncertain if the connection ends before the answer.

        Raises Unreachable if nothing was sent, Refused, Closed; ValueError for what cannot be published. `channel` may be left
        out if there is only one.
        """
        future = self.submit(data, channel, timeout)
        try:
            return future.result(timeout)
        except TimeoutError:
            raise Uncertain(f"There was no acknowledgement for {timeout:g} s.") from None

    def submit(self, data: Any, channel: str | None = None, timeout: float = PUBLISHING) -> Future[Published]:
        """The same without waiting for the answer: many may be pending. They are stored in their order."""
        content = Content(data)
        return self._follower(channel).submit(content, timeout)

    def close(self) -> None:
        self._inbox.close()
        for follower in self._followers.values():
            follower.ask_to_end()
        for follower in self._followers.values():
            follower.wait_for_end()

    def _follower(self, channel: str | None) -> ChannelFollower:
        if channel is None and len(self._followers) == 1:
            return next(iter(self._followers.values()))
        if channel not in self._followers:
            raise ValueError(f"{channel} is not among the channels of this subscription.")
        return self._followers[channel]
