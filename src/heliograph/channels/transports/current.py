"""What the transports find in the current Flask application: its channels, and what clients may take of them."""

from __future__ import annotations

from flask import current_app

from heliograph.channels.service import Channels
from heliograph.channels.transports.limits import ClientLimits

#: In `Flask.extensions`: the channels of the application, and the limits of its clients.
EXTENSION, _LIMITS = "heliograph.channels", "heliograph.client_limits"


def current_channels() -> Channels:
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Channels)
    return found


def current_limits() -> ClientLimits:
    """Made at the first request that needs them."""
    found = current_app.extensions.get(_LIMITS)
    if found is None:
        found = current_app.extensions[_LIMITS] = ClientLimits(current_channels())
    assert isinstance(found, ClientLimits)
    return found
