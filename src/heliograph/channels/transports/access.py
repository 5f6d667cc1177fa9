"""Checks whether the current request may publish or subscribe: by its token or ticket, and by the application's own rule.

Without a secret no token is needed; without a rule (`@live.channels.authorize`) everything is allowed that the token allows.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from flask import request

from heliograph.channels.hook import Action
from heliograph.channels.names import check_name
from heliograph.channels.problems import ChannelsUnavailable
from heliograph.channels.service import ChannelService
from heliograph.channels.transports.current import current_limits
from heliograph.channels.transports.tokens import (
    EVERYTHING,
    TICKET_TTL,
    BadToken,
    Grant,
    Ticket,
    new_ticket,
    read_ticket,
    read_token,
)
from heliograph.problems import Forbidden, TokenNeeded
from heliograph.request.client import current_client, set_subject

#: What a request that needs a token may be refused with.
PROBLEMS = (TokenNeeded, Forbidden, ChannelsUnavailable)


def require_grant(channels: ChannelService) -> Grant:
    """What the token of the request allows. Raises TokenNeeded."""
    if not channels.access.auth_secret:
        return EVERYTHING
    header = request.headers.get("Authorization")
    if header is None:
        raise TokenNeeded("Send a token as Authorization: Bearer.")
    try:
        return _verified(_of_header(header, channels))
    except BadToken as exc:
        raise TokenNeeded(str(exc)) from exc


def require_stream_grant(channels: ChannelService) -> Grant:
    """The same for requests that may come from a browser's WebSocket, which may have a ticket instead.

    A ticket can be used once. Raises TokenNeeded, LogUnavailable.
    """
    return _stream_grant(_ticket_of_request(channels), channels)


def require_publish(channels: ChannelService, channel: str) -> Grant:
    """Raises InvalidName, TokenNeeded, Forbidden when the request may not publish there."""
    found = require_grant(channels)
    check_name(channel)
    if not found.may_publish(channel):
        raise may_not_publish(channel)
    require_rule(channels, "publish", channel)
    return found


def require_subscribe(
    channels: ChannelService, channel: str, action: Action = "subscribe", *, stream: bool = False
) -> Grant:
    """Raises InvalidName, TokenNeeded, Forbidden; LogUnavailable when a ticket cannot be looked up.

    To a token all of this is to subscribe; the rule of the application may tell the actions apart.
    """
    found = require_stream_grant(channels) if stream else require_grant(channels)
    require_in(found, channel)
    require_rule(channels, action, channel)
    return found


def require_rule(channels: ChannelService, action: Action, channel: str) -> None:
    """Raises Forbidden when the application's own rule does not let the current request do that."""
    if not allowed_by_rule(channels, action, channel):
        raise denied_by_rule(action, channel)


def denied_by_rule(action: Action, channel: str) -> Forbidden:
    return Forbidden(f"The application does not allow: {action} {channel}.", channel=channel)


def allowed_by_rule(channels: ChannelService, action: Action, channel: str) -> bool:
    current: Any = request
    return channels.hook.rule is None or channels.hook.allows(action, channel, current._get_current_object())


def require_events(channels: ChannelService, channel: str) -> Ticket:
    """The same for a browser's EventSource: a ticket, which stands for a token where there is none. It has an id where it lasts."""
    ticket = _ticket_of_request(channels)
    if ticket is None or ticket.events_channel is None:
        found = _stream_grant(ticket, channels)
        require_in(found, channel)
        require_rule(channels, "subscribe", channel)
        return Ticket("", found)
    if ticket.events_channel != channel:
        raise TokenNeeded(f"This ticket is for the event streams of {ticket.events_channel} only.")
    _verified(ticket.grant)
    _require_connected(ticket, channels)
    require_rule(channels, "subscribe", channel)
    return ticket


def require_in(granted: Grant, channel: str) -> None:
    """Raises InvalidName, Forbidden when a channel may not be subscribed to."""
    check_name(channel)
    if not granted.may_subscribe(channel):
        raise Forbidden(f"The token does not allow to subscribe to {channel}.", channel=channel)


def may_not_publish(channel: str) -> Forbidden:
    return Forbidden(f"The token does not allow to publish on {channel}.", channel=channel)


def ticket_for(granted: Grant, channels: ChannelService, events_channel: str | None = None) -> str:
    """A ticket for what `granted` allows, or for event streams of one channel; any text will do where there is no secret."""
    id, secrets_ = secrets.token_urlsafe(16), channels.access.auth_secret
    if not secrets_:
        return id
    return new_ticket(Ticket(id, granted, events_channel), secrets_[0], time.time())


def _verified(granted: Grant) -> Grant:
    """From here on the subject is the client of the current request."""
    set_subject(request.environ, granted.subject)
    return granted


def _of_header(header: str, channels: ChannelService) -> Grant:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise BadToken("Authorization: Bearer is expected here.")
    return read_token(token.strip(), channels.access, time.time())


def _ticket_of_request(channels: ChannelService) -> Ticket | None:
    """The ticket in the query, where it counts: not beside a token. Raises TokenNeeded."""
    text = request.args.get("ticket")
    if not channels.access.auth_secret or text is None or "Authorization" in request.headers:
        return None
    try:
        return read_ticket(text, channels.access.auth_secret, time.time())
    except BadToken as exc:
        raise TokenNeeded(str(exc)) from exc


def _stream_grant(ticket: Ticket | None, channels: ChannelService) -> Grant:
    if ticket is None:
        return require_grant(channels)
    if ticket.events_channel is not None:
        raise TokenNeeded(f"This ticket is for the event streams of {ticket.events_channel} only.")
    return _used_once(ticket, channels)


def _require_connected(ticket: Ticket, channels: ChannelService) -> None:
    """Raises TokenNeeded when the subject was disconnected since the ticket was given."""
    if channels.disconnects.was_disconnected(ticket.grant.subject, ticket.issued):
        raise TokenNeeded("This ticket is void: its subject was disconnected.")


def _used_once(ticket: Ticket, channels: ChannelService) -> Grant:
    granted = _verified(ticket.grant)
    _require_connected(ticket, channels)
    current_limits().require_ticket(current_client())
    # Twice its lifetime: clocks of instances differ.
    if not channels.hub.log.presence.use_once(ticket.id, 2 * TICKET_TTL):
        raise TokenNeeded("This ticket was used before.")
    return granted
