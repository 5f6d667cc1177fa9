"""What the transports find in the current Flask application: its channels, and how often its connections may publish."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from flask import current_app, request

from heliograph.channels.service import Channels
from heliograph.channels.transports.rates import TokenBucket
from heliograph.problems import TooManyRequests
from heliograph.request.environ import client_socket

#: In `Flask.extensions`: the channels of the application, and its publish limits.
EXTENSION, _LIMITS = "heliograph.channels", "heliograph.publish_limits"


class PublishLimits:
    """How often one connection may publish: `rate` messages a second; 0: no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        # By the socket of a connection, for as long as that lives.
        self._buckets: WeakKeyDictionary[object, TokenBucket] = WeakKeyDictionary()

    def bucket(self) -> TokenBucket:
        """The bucket of a new connection."""
        return TokenBucket(self._rate, time.monotonic())

    def require_rate(self) -> None:
        """Raises TooManyRequests when the connection of the current request has published too often."""
        connection = client_socket(request.environ)
        if connection is None:  # this server does not show its sockets
            return
        bucket = self._buckets.get(connection)
        if bucket is None:
            bucket = self._buckets[connection] = self.bucket()
        if not bucket.take(time.monotonic()):
            raise self.too_often()

    def too_often(self) -> TooManyRequests:
        return TooManyRequests(
            f"A connection may publish {self._rate} messages a second (HELIOGRAPH_RATE).", limit=self._rate
        )


def current_channels() -> Channels:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Channels)
    return found


def current_limits() -> PublishLimits:
    """Made at the first request that publishes."""
    found = current_app.extensions.get(_LIMITS)
    if found is None:
        found = current_app.extensions[_LIMITS] = PublishLimits(current_channels().rate)
    assert isinstance(found, PublishLimits)
    return found
