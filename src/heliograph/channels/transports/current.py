"""What the transports find in the current Flask application: its channels, and what clients may take of them."""

from __future__ import annotations

from typing import Any

from flask import current_app

from heliograph.channels.service import ChannelService
from heliograph.channels.transports.limits import ClientLimits

#: In `Flask.extensions`: the channels of the application, and the limits of its clients.
EXTENSION, _LIMITS = "heliograph.channels", "heliograph.client_limits"


def current_channels() -> ChannelService:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, ChannelService)
    return found


def current_limits() -> ClientLimits:
    """Made at the first request that needs them."""
    found = current_app.extensions.get(_LIMITS)
    if found is None:
        found = current_app.extensions[_LIMITS] = ClientLimits(current_channels())
    assert isinstance(found, ClientLimits)
    return found


def replace_channels(extensions: dict[str, Any], channels: ChannelService) -> None:
    """In those of an application; clients begin anew with them."""
    extensions[EXTENSION] = channels
    extensions.pop(_LIMITS, None)
