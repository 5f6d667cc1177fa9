"""How parts are ended, and when one that has ended is started again. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from heliograph.stack.plan import PartKind


@dataclass(frozen=True)
class Step:
    """A step of stopping: signal what still runs of a kind, and give it time to end before the next step."""

    kind: PartKind
    signum: signal.Signals
    patience: float = 0.0


#: nginx stops accepting and goes on relaying (SIGTERM would be its fast shutdown) while the instances close their
#: WebSockets and finish their requests: Gunicorn's graceful timeout is 7 s, then it ends its worker itself. Nothing new
#: is in flight once they are gone, and nginx gets a moment to hand out the rest. Together under the promised 12 s.
STOPPING = (
    Step(PartKind.NGINX, signal.SIGQUIT),
    Step(PartKind.INSTANCE, signal.SIGTERM, 8.0),
    Step(PartKind.INSTANCE, signal.SIGKILL),
    Step(PartKind.PROXY, signal.SIGTERM, 1.6),
    Step(PartKind.PROXY, signal.SIGKILL),
    Step(PartKind.NGINX, signal.SIGQUIT, 1.0),
    Step(PartKind.NGINX, signal.SIGTERM, 0.3),
    Step(PartKind.NGINX, signal.SIGKILL),
)

#: The wait before a part that died is started again: it doubles from the first to the longest.
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0

#: After this long alive, a death is news and not the next one of a series.
STEADY = 30.0


def next_wait(previous: float, lived: float, in_order: bool) -> float:
    """How long to wait before a part that ended is started again.

    One that ended `in_order` was told to, as in a rolling restart, and is wanted back at once.
    """
    if in_order:
        return 0.0
    if lived >= STEADY or not previous:
        return FIRST_WAIT
    return min(previous * 2, LONGEST_WAIT)


def how_it_ended(status: int) -> str:
    """In words, from a status as subprocess gives it."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
