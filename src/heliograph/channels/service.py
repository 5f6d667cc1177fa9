"""The channels of one application: its hub, its settings, what is counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from flask import request

from heliograph.channels.engines import open_log
from heliograph.channels.errors import ChannelError
from heliograph.channels.live.hub import Hub
from heliograph.channels.location import parse_location
from heliograph.channels.log import Appended, Done, Limits, Outcome
from heliograph.channels.message import Append
from heliograph.channels.transports.rates import Bucket
from heliograph.problems import TooManyRequests
from heliograph.request.metrics import Metrics
from heliograph.settings import Settings


@dataclass(frozen=True)
class Counts:
    """What `audience.Audience` counts."""

    metrics: Metrics

    def subscribers(self, transport: str, change: int) -> None:
        self.metrics.subscribers.labels(transport).inc(change)

    def delivered(self, messages: int) -> None:
        self.metrics.delivered.inc(messages)

    def lost(self, members: int) -> None:
        self.metrics.lost.inc(members)


class Channels:
    """Made before a fork; nothing is opened before it is used."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        limits = Limits(settings.history_size, settings.history_ttl, settings.max_channels)
        self.secret, self.rate = settings.auth_secret, settings.rate
        self.location = parse_location(settings.channels)
        self.hub = Hub(
            open_log(settings.channels, limits), settings.instance, settings.max_channels, Counts(metrics)
        )
        self._metrics = metrics
        # By the socket of a connection, for as long as that lives.
        self._buckets: WeakKeyDictionary[object, Bucket] = WeakKeyDictionary()

    def bucket(self) -> Bucket:
        """That of a new connection."""
        return Bucket(self.rate, time.monotonic())

    def check_rate(self) -> None:
        """Raises TooManyRequests when the connection of the current request has published too often."""
        connection = request.environ.get("gunicorn.sock") or request.environ.get("werkzeug.socket")
        if connection is None:  # a server that keeps its sockets to itself
            return
        bucket = self._buckets.get(connection)
        if bucket is None:
            bucket = self._buckets[connection] = self.bucket()
        if not bucket.take(time.monotonic()):
            raise self.too_often()

    def too_often(self) -> TooManyRequests:
        return TooManyRequests(
            f"A connection may publish {self.rate} messages a second (HELIOGRAPH_RATE).", limit=self.rate
        )

    def publish(self, append: Append) -> Appended:
        """Raises ChannelError."""
        outcome = self.hub.log.append(append)
        self._count(outcome)
        return outcome

    def submit(self, append: Append, done: Done) -> None:
        """Publish without waiting, see `log.Log.submit`."""

        def counted(outcome: Outcome) -> None:
            self._count(outcome)
            done(outcome)

        self.hub.log.submit(append, counted)

    def _count(self, outcome: Outcome) -> None:
        if not isinstance(outcome, ChannelError) and not outcome.repeated:
            self._metrics.published.inc()
