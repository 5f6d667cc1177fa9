"""Whether histories are trimmed: a log that takes messages and drops none fills its disk or its memory in silence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from heliograph.channels.errors import ChannelError

log = logging.getLogger("heliograph")


class TrimWatch:
    """Counts steps of trimming that failed, by `on_failure`, and logs each change of the reason once.

    Of this instance: where another one trims now, nothing is known about ours.
    """

    def __init__(self) -> None:
        self.on_failure: Callable[[], object] = lambda: None
        self._reason = ""

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step of trimming inside, or several; `trimmed` is called for each that did the work. No error leaves it."""
        try:
            yield
        except Exception as exc:
            reason = str(exc) or type(exc).__name__
            self.on_failure()
            if reason != self._reason:
                trace = None if isinstance(exc, ChannelError) else exc
                log.warning("the histories of the channels are not trimmed now: %s", reason, exc_info=trace)
            self._reason = reason

    def trimmed(self) -> None:
        if self._reason:
            log.warning("the histories of the channels are trimmed again")
        self._reason = ""
