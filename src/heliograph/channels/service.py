"""The channels of one application: its hub, its settings, its metrics."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from heliograph.channels.engines import open_log
from heliograph.channels.errors import ChannelError, LogUnavailable
from heliograph.channels.hook import AuthorizeHook
from heliograph.channels.live.disconnects import Disconnects
from heliograph.channels.live.hub import Hub
from heliograph.channels.live.stream_tickets import StreamTickets
from heliograph.channels.log_metrics import LogMetrics
from heliograph.channels.message import Append
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.records import Appended, Done, Limits, Outcome
from heliograph.request.homeloop import HomeLoop
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


class ChannelService:
    """Created before a fork; nothing is opened before its first use."""

    def __init__(
        self,
        settings: Settings,
        registry: CollectorRegistry,
        hook: AuthorizeHook | None = None,
        loop: HomeLoop | None = None,
    ) -> None:
        """`hook`: what the application says of who may use its channels; `loop`: that of the application."""
        options = settings[ChannelsOptions]
        self.hook = hook or AuthorizeHook()
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
        self._log_metrics = LogMetrics(self.hub.log)
        registry.register(self._log_metrics)
        self.hub.log.trim_watch.on_failure = self._metrics.trim_failures.inc
        self.stream_tickets = StreamTickets(self.hub)
        self.disconnects = Disconnects(self.hub)
        #: Where everything of these channels runs.
        self.loop = loop or HomeLoop()

    def publish(self, append: Append) -> Appended:
        """Raises ChannelError."""
        with self._log_metrics.appending(1):
            outcome = self.hub.log.append(append)
        self._count(append, outcome)
        return outcome

    def publish_many(self, appends: Sequence[Append]) -> list[Outcome]:
        """In this order; the error of each that failed is its outcome."""
        with self._log_metrics.appending(len(appends)):
            outcomes = self.hub.log.append_many(appends)
        for append, outcome in zip(appends, outcomes, strict=True):
            self._count(append, outcome)
        return outcomes

    def stop(self) -> None:
        """Shutdown has begun: let streams end."""
        if self.loop.begun:
            self.loop.call(self.hub.stop)

    def close(self) -> None:
        """The last call: withdraw the presence of this instance, and close the log."""
        if self.loop.begun:
            self.loop.call(self.hub.close)

    def submit(self, append: Append, done: Done) -> None:
        """Publish without waiting, see `log.Log.submit`."""

        begun = self._log_metrics.begin()

        def counted(outcome: Outcome) -> None:
            self._log_metrics.end(begun)
            self._count(append, outcome)
            done(outcome)

        self.hub.log.submit(append, counted)

    def _count(self, append: Append, outcome: Outcome) -> None:
        if isinstance(outcome, LogUnavailable):
            self._log_metrics.errors += 1
        elif not isinstance(outcome, ChannelError) and not outcome.repeated:
            self._metrics.published.inc()
            self._log_metrics.bytes += len(append.data)
