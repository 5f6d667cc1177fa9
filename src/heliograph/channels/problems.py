"""Problems of the channels, and which of them answers each error of a log. Pure."""

from __future__ import annotations

from heliograph.channels import errors
from heliograph.problems import BadRequest, Problem, Unavailable


class BadChannel(BadRequest):
    name, title = "bad-channel", "This cannot be the name of a channel"


class BadCursorProblem(BadRequest):
    name, title = "bad-cursor", "This is not a cursor"


class KeyReusedProblem(Problem):
    status, name, title = 422, "key-reused", "This idempotency key was used with another message"


class TooManyChannelsProblem(Problem):
    status, name, title = 429, "too-many-channels", "There are as many channels as are allowed"


class MessageTooLongProblem(Problem):
    status, name, title = 413, "message-too-long", "The message is too long"


class ChannelsUnavailable(Unavailable):
    """`uncertain`: the message may have been published all the same."""

    name, title = "channels-unavailable", "The log of the channels cannot be used now"


class ChannelsOverloaded(Unavailable):
    name, title = "channels-overloaded", "Too much waits for the log of the channels"


#: What is answered for an error of the log. The first that fits counts, so a class stands before the one it is made from.
_BY_ERROR: tuple[tuple[type[errors.ChannelError], type[Problem]], ...] = (
    (errors.InvalidName, BadChannel),
    (errors.InvalidCursor, BadCursorProblem),
    (errors.MessageTooLong, MessageTooLongProblem),
    (errors.KeyReused, KeyReusedProblem),
    (errors.TooManyChannels, TooManyChannelsProblem),
    (errors.LogOverloaded, ChannelsOverloaded),
    (errors.ChannelError, ChannelsUnavailable),
)


def problem_of(error: errors.ChannelError | Problem) -> Problem:
    """The answer to an error of a log. A problem is its own answer."""
    if isinstance(error, Problem):
        return error
    kind = next(kind for of, kind in _BY_ERROR if isinstance(error, of))
    return kind(str(error), uncertain=getattr(error, "uncertain", False) or None)
