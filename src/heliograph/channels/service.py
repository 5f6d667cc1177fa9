"""The channels of one application: its hub, its settings, what is counted."""

from __future__ import annotations

import time
from weakref import WeakKeyDictionary

from flask import current_app, request
from prometheus_client import CollectorRegistry, Counter, Gauge

from heliograph.channels.engines import open_log
from heliograph.channels.errors import ChannelError
from heliograph.channels.live.hub import Hub
from heliograph.channels.log import Appended, Done, Limits, Outcome
from heliograph.channels.message import Append
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.transports.rates import Bucket
from heliograph.problems import TooManyRequests
from heliograph.request.environ import client_socket
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.settings import Settings

EXTENSION = "heliograph.channels"


class Counters:
    """What is counted of the channels, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._subscribers = Gauge(
            "heliograph_channels_subscribers",
            "Subscribers of channels at this instance",
            ("transport",),
            registry=registry,
        )
        self.published = Counter(
            "heliograph_channels_published", "Messages published at this instance", registry=registry
        )
        self._delivered = Counter(
            "heliograph_channels_delivered",
            "Messages passed on to subscribers, each counted for each of them",
            registry=registry,
        )
        self._lost = Counter(
            "heliograph_channels_lost",
            "Notices to connected subscribers that history was lost",
            registry=registry,
        )

    def subscribers(self, transport: str, change: int) -> None:
        self._subscribers.labels(transport).inc(change)

    def delivered(self, messages: int) -> None:
        self._delivered.inc(messages)

    def lost(self, subscribers: int) -> None:
        self._lost.inc(subscribers)


class Channels:
    """Made before a fork; nothing is opened before it is used."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        options = settings[ChannelsOptions]
        self._counters = Counters(registry)
        limits = Limits(options.history_size, options.history_ttl, options.max_channels)
        self.secret, self.rate = settings[AccessOptions].auth_secret, options.rate
        self.location = options.channels
        self.hub = Hub(
            open_log(options.channels, limits),
            settings[RequestOptions].instance,
            options.max_channels,
            self._counters,
        )
        # By the socket of a connection, for as long as that lives.
        self._buckets: WeakKeyDictionary[object, Bucket] = WeakKeyDictionary()

    def bucket(self) -> Bucket:
        """That of a new connection."""
        return Bucket(self.rate, time.monotonic())

    def check_rate(self) -> None:
        """Raises TooManyRequests when the connection of the current request has published too often."""
        connection = client_socket(request.environ)
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
            self._counters.published.inc()


def channels_of_app() -> Channels:
    """Those of the current Flask application."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Channels)
    return found
