"""Checks whether the current request may publish or subscribe, by its token or ticket. Without a secret everything is allowed."""

from __future__ import annotations

import secrets
import time

from flask import request

from heliograph.channels.names import check_name
from heliograph.channels.problems import ChannelsUnavailable
from heliograph.channels.service import Channels
from heliograph.channels.transports.tokens import (
    EVERYTHING,
    TICKET_TTL,
    BadToken,
    Grant,
    new_ticket,
    read_ticket,
    read_token,
)
from heliograph.problems import Forbidden, TokenNeeded
from heliograph.request.client import set_subject

#: What a request that needs a token may be refused with.
PROBLEMS = (TokenNeeded, Forbidden, ChannelsUnavailable)


def require_grant(channels: Channels) -> Grant:
    """What the token of the request allows. Raises TokenNeeded."""
    if not channels.secret:
        return EVERYTHING
    header = request.headers.get("Authorization")
    if header is None:
        raise TokenNeeded("Send a token as Authorization: Bearer.")
    try:
        return _verified(_of_header(header, channels.secret))
    except BadToken as exc:
        raise TokenNeeded(str(exc)) from exc


def require_stream_grant(channels: Channels) -> Grant:
    """The same for requests that may come from a browser's WebSocket or EventSource, which may have a ticket instead.

    A ticket can be used once. Raises TokenNeeded, LogUnavailable.
    """
    ticket = request.args.get("ticket")
    if not channels.secret or ticket is None or "Authorization" in request.headers:
        return require_grant(channels)
    try:
        return _verified(_of_ticket(ticket, channels))
    except BadToken as exc:
        raise TokenNeeded(str(exc)) from exc


def require_publish(channels: Channels, channel: str) -> Grant:
    """Raises InvalidName, TokenNeeded, Forbidden when the request may not publish there."""
    found = require_grant(channels)
    check_name(channel)
    if not found.may_publish(channel):
        raise may_not_publish(channel)
    return found


def require_subscribe(channels: Channels, channel: str, *, stream: bool = False) -> Grant:
    """Raises InvalidName, TokenNeeded, Forbidden; LogUnavailable when a ticket cannot be looked up."""
    found = require_stream_grant(channels) if stream else require_grant(channels)
    check_name(channel)
    if not found.may_subscribe(channel):
        raise Forbidden(f"The token does not allow to subscribe to {channel}.", channel=channel)
    return found


def may_not_publish(channel: str) -> Forbidden:
    return Forbidden(f"The token does not allow to publish on {channel}.", channel=channel)


def ticket_for(granted: Grant, channels: Channels) -> str:
    """A ticket for what `granted` allows; any text will do where there is no secret."""
    id = secrets.token_urlsafe(16)
    return new_ticket(granted, channels.secret, time.time(), id) if channels.secret else id


def _verified(granted: Grant) -> Grant:
    """From here on the subject is the client of the current request."""
    set_subject(request.environ, granted.subject)
    return granted


def _of_header(header: str, secret: str) -> Grant:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise BadToken("Authorization: Bearer is expected here.")
    return read_token(token.strip(), secret)


def _of_ticket(text: str, channels: Channels) -> Grant:
    ticket = read_ticket(text, channels.secret)
    if ticket.grant.expires is not None and ticket.grant.expires <= time.time():
        raise BadToken("The token that this ticket was for has expired.")
    # Twice its lifetime: clocks of instances differ.
    if not channels.hub.log.presence.use_once(ticket.id, 2 * TICKET_TTL):
        raise BadToken("This ticket was used before.")
    return ticket.grant
