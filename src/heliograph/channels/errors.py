"""What can go wrong in a log, named by who is at fault. Pure.

The statuses of the answers stand in `problems.py`.

ChannelError
├── InvalidName, InvalidCursor,
│   MessageTooLong                          the caller's fault
├── KeyReused                               the same idempotency key with another body
├── TooManyChannels                         a limit that an operator can raise
└── LogUnavailable                          the engine cannot do this now; it recovers
    └── LogOverloaded                       too much waits already

LocationError                               a URL of an engine that is not allowed; at the start of a process
"""

from __future__ import annotations


class ChannelError(Exception):
    """Its text is for the client: no passwords, no paths."""


class InvalidName(ChannelError):
    """Not a channel's name."""


class InvalidCursor(ChannelError):
    """Not of the form epoch:offset."""


class MessageTooLong(ChannelError):
    """Longer than a message may be."""


class KeyReused(ChannelError):
    """An idempotency key was used again with another body. Nothing was published."""


class TooManyChannels(ChannelError):
    """A new channel would be one too many."""


class LogUnavailable(ChannelError):
    """The engine cannot do this now, and its text says why.

    `uncertain`: the message may have been stored. A caller that repeats it should use an idempotency key.
    """

    def __init__(self, reason: str, *, uncertain: bool = False) -> None:
        super().__init__(reason)
        self.uncertain = uncertain


class LogOverloaded(LogUnavailable):
    """More is waiting than the bounds of the engine allow."""


class LocationError(ValueError):
    """A URL that names no engine. Its text is one line without the password: what was given, what is allowed."""
