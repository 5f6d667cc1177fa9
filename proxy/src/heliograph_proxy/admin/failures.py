"""The last exchanges that failed, for people who ask why.

A failure is what a client could not be answered because of a backend or of this proxy: an error of ours without a
backend for the request, a backend's own 5xx, an answer that was cut. Mistakes of clients are no failures, and neither is a
client that went away; a request that another try saved was answered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from heliograph_proxy.accesslog import Record
from heliograph_proxy.errors import InternalError, Unavailable

#: Exchanges that are kept: what one looks through by eye. The access log has all of them.
KEPT = 50

#: Characters of a path that are kept: enough to know which it is.
MAX_PATH = 200

#: Statuses from here on say that it was not the client.
SERVER_ERRORS: Final = 500

#: How exchanges end that have a status before they fail.
CUT = ("backend-cut", "backend-disconnected")

#: Ours although no backend was tried. The rest without a try is about what the client sent, like a version of HTTP
#: that is not supported.
OURS = (Unavailable.name, InternalError.name)


class Failure(NamedTuple):
    """One of them. `number` counts from 1 since the start; `path` has no query, which may be secret."""

    number: int
    time: float
    request_id: str
    method: str
    path: str
    backend: str
    tries: int
    status: int
    ended: str
    reason: str


class FailureLog:
    """The ring."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.number = 0
        self._kept: deque[Failure] = deque(maxlen=KEPT)
        self._clock = clock

    def add(self, record: Record) -> None:
        """Of an exchange that did not end as it should; kept if that is a failure."""
        if not _failed(record):
            return
        self.number += 1
        path = record.target.partition("?")[0][:MAX_PATH]
        reason = record.reason or (
            f"the backend answered {record.status}" if record.ended == "done" else record.ended
        )
        self._kept.append(
            Failure(
                self.number,
                round(self._clock(), 3),
                record.request_id,
                record.method,
                path,
                record.backend,
                record.tries,
                record.status,
                record.ended,
                reason,
            )
        )

    def after(self, number: int) -> list[dict[str, Any]]:
        """Those that came after that one, oldest first."""
        return [one._asdict() for one in self._kept if one.number > number]


def _failed(record: Record) -> bool:
    if record.ended in CUT:
        return True
    return record.status >= SERVER_ERRORS and (record.tries > 0 or record.ended in OURS)
