"""Settings of the channels: where their log is, and how much it keeps. Pure."""

from __future__ import annotations

from heliograph.channels.errors import InvalidName, LocationError
from heliograph.channels.location import ALLOWED, Location, parse_location, redacted
from heliograph.channels.names import MAX_NAME, check_name
from heliograph.defaults import InState
from heliograph.given import SettingError
from heliograph.settings import DAY, GIB, MIB, NotAllowed, Options, ValueKind, integer, option, size


def _location(text: str) -> Location:
    """The error for a wrong URL never contains the password."""
    try:
        return parse_location(text)
    except LocationError as exc:
        shown = redacted(text)
        raise NotAllowed(shown, str(exc).removeprefix(f"{shown}: ")) from exc


def _channel_name(text: str) -> str:
    try:
        return check_name(text)
    except InvalidName as exc:
        raise NotAllowed from exc


class ChannelsOptions(Options):
    """The log of the channels."""

    channels: Location = option(
        ValueKind(_location, ALLOWED),
        InState("channels.db", "sqlite:///"),
        "the URL of the log",
        secret=True,
    )
    history_size: int = option(integer(1, 10_000_000), 10_000, "messages that a channel keeps")
    history_ttl: int = option(integer(1, 3650 * DAY), DAY, "seconds that a channel keeps a message")
    history_bytes: int = option(size(), 16 * MIB, "bytes of messages that a channel keeps")
    log_bytes: int = option(
        size(), GIB, "bytes of all channels together; the oldest messages of the largest go first"
    )
    max_channels: int = option(integer(1, 10_000_000), 10_000, "channels in all")
    rate: int = option(integer(0, 10_000_000), 1000, "messages a client may publish per second; 0: no limit")
    default_channel: str = option(
        ValueKind(_channel_name, f"1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . : - are allowed"),
        "lebowski",
        "the channel of /push and /events where none is named",
    )

    def require(self) -> None:
        """Raises SettingError when the client of the server is not installed."""
        from heliograph.channels.engines import require_package  # noqa: PLC0415 (not needed to read settings)

        try:
            require_package(self.channels)
        except LocationError as exc:
            name = self.definitions["channels"].name
            raise SettingError(name, self.channels.shown, str(exc)) from exc
