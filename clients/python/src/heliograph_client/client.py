"""The entry point: one service and the credentials for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from heliograph_client.addresses import Service
from heliograph_client.content import Content
from heliograph_client.credentials import Credentials
from heliograph_client.cursor import Start, parse_start
from heliograph_client.events import Published
from heliograph_client.publishing import HttpPublisher
from heliograph_client.subscription import PUBLISHING, Subscription


class Client:
    """`url` is the service's, such as http://127.0.0.1:8080. Used as a context it closes its subscriptions.

    `chance` gives numbers from 0 to 1 for the waits between attempts. Raises ValueError for a bad URL.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._service, self._credentials, self._chance = Service(url), credentials or Credentials(), chance
        self._poster = HttpPublisher(self._service, self._credentials, chance)
        self._subscriptions: list[Subscription] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subscribe(self, *channels: str, after: str | Mapping[str, str] | None = None) -> Subscription:
        """`after`: a cursor, "earliest", or None for what comes from now on; or one of these for each channel by its name.

        Never waits. Raises BadName, BadCursor, ValueError.
        """
        starts: dict[str, Start] = {}
        for channel in channels:
            starts[channel] = parse_start(after if isinstance(after, str | None) else after.get(channel))
        subscription = Subscription(self._service, self._credentials, starts, self._chance)
        self._subscriptions.append(subscription)
        return subscription

    def publish(
        self, channel: str, data: Any, *, key: str | None = None, timeout: float = PUBLISHING
    ) -> Published:
        """Publish once, by HTTP, repeating as long as there is no answer and `timeout` seconds are not over.

        `data`: a text, bytes, or what JSON can say. `key`: an idempotency key; one is made for each call. Raises Uncertain
        (with the key to try again with), Unreachable, Refused, Violation; ValueError and TypeError for what cannot be published.
        """
        return self._poster.publish(channel, Content(data), key, timeout)

    def ticket(self, timeout: float = PUBLISHING) -> str:
        """For one WebSocket or event stream of another program with the same rights, such as a browser. Valid for 30 s."""
        return self._poster.ticket(timeout)

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions.clear()
