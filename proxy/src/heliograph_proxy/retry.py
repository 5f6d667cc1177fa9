"""Whether a failed attempt may be made again. Pure.

The kind of failure is a type (errors.AttemptFailed); this file only has the table from kind to rule, and the
bounds.
"""

from __future__ import annotations

from typing import Final

from heliograph_proxy.errors import AttemptFailed, NothingSent, StaleConnection
from heliograph_proxy.settings import RetrySettings

# RFC 9110 section 9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests."
IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))

#: So many retries may always run at once, as a share of very few requests would be none. Envoy has the same
#: floor.
MIN_RETRIES: Final = 3


def allowed(
    failure: AttemptFailed, repeatable: bool, tries: int, seconds: float, settings: RetrySettings
) -> bool:
    """Whether a request may go to a backend once more.

    `repeatable`: idempotent, with its whole body at hand. For the budget see
    `within_budget`.
    """
    if isinstance(failure, StaleConnection):  # costs no try, and the next attempt is on a fresh connection
        return repeatable
    if tries >= settings.attempts or seconds >= settings.deadline:
        return False
    return isinstance(failure, NothingSent) or repeatable


def within_budget(retrying: int, in_flight: int, settings: RetrySettings) -> bool:
    """Whether one more retry would not double the load of backends that are failing already."""
    return settings.budget > 0 and retrying < max(MIN_RETRIES, settings.budget * in_flight)
