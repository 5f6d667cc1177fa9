"""The channels of one application: its hub, its settings, its metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from heliograph.channels.engines import open_log
from heliograph.channels.errors import ChannelError
from heliograph.channels.live.hub import Hub
from heliograph.channels.live.stream_tickets import StreamTickets
from heliograph.channels.message import Append
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.records import Appended, Done, Limits, Outcome
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.settings import Settings


class ChannelMetrics:
    """The counts of the channels, for Prometheus."""

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
        self.trim_failures = Counter(
            "heliograph_channels_trim_failures",
            "Steps of trimming histories that failed at this instance, on Redis and PostgreSQL",
            registry=registry,
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
    """Created before a fork; nothing is opened before its first use."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        options = settings[ChannelsOptions]
        self._metrics = ChannelMetrics(registry)
        self.limits = Limits(
            options.history_size,
            options.history_ttl,
            options.history_bytes,
            options.log_bytes,
            options.max_channels,
        )
        self.access, self.rate = settings[AccessOptions], options.rate
        self.location, self.default_channel = options.channels, options.default_channel
        self.hub = Hub(
            open_log(options.channels, self.limits),
            settings[RequestOptions].instance,
            options.max_channels,
            self._metrics,
        )
        self.hub.log.trim_watch.on_failure = self._metrics.trim_failures.inc
        self.stream_tickets = StreamTickets(self.hub)

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
