"""What can go wrong for a client, by what it can do about it.

ClientError
├── Refused        the server answered with a problem; `transient` ones may go away
├── Unreachable    nothing was published: there was no connection in time
├── Uncertain      it may have been published, or not: the answer did not come
├── BadName        not a channel's name
├── BadCursor      not of the form epoch:offset
├── Violation      the server broke the protocol; the connection is given up
└── Closed         the subscription was closed
"""

from __future__ import annotations

from typing import Any

#: Statuses after which the same request may succeed.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Of a request without a token or with one that is not taken (any more).
UNAUTHORIZED = 401

#: Of a request that came too soon: it was not looked at.
TOO_MANY = 429

#: Characters of a server's text that an error shows.
SHOWN = 300


class ClientError(Exception):
    """Its text is one line for people."""


class Refused(ClientError):
    """`problem` is the server's (RFC 9457), empty where it gave none. `retry_after` is in seconds, where it gave one."""

    def __init__(
        self, what: str, status: int, problem: dict[str, Any], retry_after: float | None = None
    ) -> None:
        words = [str(problem[name]) for name in ("title", "detail") if problem.get(name)]
        super().__init__(f"{what}: {status} {': '.join(words)[:SHOWN]}".rstrip())
        self.status, self.problem, self.retry_after = status, problem, retry_after

    @property
    def transient(self) -> bool:
        return self.status in TRANSIENT


class BadName(ClientError):
    """Not a channel's name."""


class BadCursor(ClientError):
    """Not of the form epoch:offset."""


class Unreachable(ClientError):
    pass


class Uncertain(ClientError):
    """`key`: publishing the same with this idempotency key within ten minutes publishes it once; None if there was no key."""

    def __init__(self, reason: str, key: str | None = None) -> None:
        super().__init__(reason)
        self.key = key


class Violation(ClientError):
    pass


class Closed(ClientError):
    pass
