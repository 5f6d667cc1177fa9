"""What one client may take of the channels: publishes a second, new channels in a day, subscriptions at once, keys, tickets.

Only transports ask here. What the application publishes by its own code has no such limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from heliograph.channels.errors import LogUnavailable
from heliograph.channels.live.hub import MAX_SUBSCRIBERS
from heliograph.channels.problems import TooManyChannelsProblem
from heliograph.channels.records import KEY_TTL
from heliograph.channels.service import ChannelService
from heliograph.channels.transports.allowance import ChannelAllowance, RecentNames
from heliograph.channels.transports.rates import ClientRates
from heliograph.channels.transports.recent_counts import RecentCounts
from heliograph.channels.transports.tokens import TICKET_TTL
from heliograph.problems import TooManyRequests
from heliograph.request.shares import Shares, three_quarters

#: Names of existing channels that are remembered, and for how many seconds. A name of 128 characters takes some 300 bytes.
MAX_RECENT_NAMES, RECENT_SECONDS = 20_000, 60.0


def _share_of(total: int | None, seconds: float) -> RecentCounts | None:
    return None if total is None else RecentCounts(three_quarters(total), seconds)


class ClientLimits:
    """Of one application at this instance. A client is what `request.client` says."""

    def __init__(self, channels: ChannelService) -> None:
        limits = channels.limits
        self._hub = channels.hub
        self._rates, self._ticket_uses = ClientRates(channels.rate), ClientRates(channels.rate)
        self._allowance = ChannelAllowance(limits.max_channels)
        self._existing = RecentNames(MAX_RECENT_NAMES, min(RECENT_SECONDS, limits.history_ttl))
        self._keys = _share_of(channels.hub.log.max_keys, KEY_TTL)
        self._tickets = _share_of(channels.hub.log.presence.max_tickets, 2 * TICKET_TTL)
        self.subscriptions = Shares(three_quarters(MAX_SUBSCRIBERS))

    def require_rate(self, client: str) -> None:
        """Raises TooManyRequests when `client` has published too often."""
        rate = self._rates.rate
        if not self._rates.take(client, time.monotonic()):
            raise TooManyRequests(
                f"A client may publish {rate} messages a second (HELIOGRAPH_RATE).", limit=rate
            )

    def require_ticket_use(self, client: str) -> None:
        """Raises TooManyRequests when `client` has opened event streams by tickets too often: each is a message on the log.

        Counted apart from what it publishes, as an EventSource that gets an error does not come back.
        """
        rate = self._ticket_uses.rate
        if not self._ticket_uses.take(client, time.monotonic()):
            raise TooManyRequests(
                f"A client may open {rate} event streams a second by tickets (HELIOGRAPH_RATE).", limit=rate
            )

    def require_key(self, client: str) -> None:
        """Raises TooManyRequests when `client` used most of the idempotency keys that can be remembered."""
        if self._keys is not None and not self._keys.take(client, time.monotonic()):
            most = self._keys.most
            raise TooManyRequests(f"A client may use {most} idempotency keys in {KEY_TTL:g} s.", limit=most)

    def require_ticket(self, client: str) -> None:
        """The same for tickets."""
        if self._tickets is not None and not self._tickets.take(client, time.monotonic()):
            most = self._tickets.most
            raise TooManyRequests(f"A client may use {most} tickets in {2 * TICKET_TTL} s.", limit=most)

    def require_subscription(self, client: str) -> None:
        """Raises TooManyRequests when `client` has as many subscriptions as it may have."""
        if not self.subscriptions.has_room(client):
            most = self.subscriptions.most
            raise TooManyRequests(f"A client may have {most} subscriptions at one instance.", limit=most)

    @contextmanager
    def using(self, channel: str, client: str) -> Iterator[None]:
        """`client` publishes or subscribes inside, which makes the channel where there is none.

        Raises TooManyChannelsProblem when it made too many today, LogUnavailable.
        """
        now = time.monotonic()
        if self._existing.has(channel, now):
            yield
            return
        if self._exists(channel):
            self._existing.add(channel, now)
            yield
            return
        if not self._allowance.may_make(client, channel, now):
            share = self._allowance.share
            raise TooManyChannelsProblem(
                f"A client may make {share} channels in a day, a tenth of HELIOGRAPH_MAX_CHANNELS. "
                "It may use those that exist.",
                limit=share,
            )
        charged = self._allowance.charge(client, channel, now)
        try:
            yield
        except BaseException as exc:
            if charged and not (isinstance(exc, LogUnavailable) and exc.uncertain):
                self._allowance.refund(client, channel)
            raise
        self._existing.add(channel, now)

    def _exists(self, channel: str) -> bool:
        """Whether it has or had messages, or subscribers on any instance."""
        log = self._hub.log
        return (
            self._hub.follows(channel)
            or log.tops((channel,))[channel].offset > 0
            or log.presence.present(channel).count > 0
        )
