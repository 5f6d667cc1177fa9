"""Whether the log takes messages now: asked of the engine itself, at most once a second however many ask.

An instance that nobody publishes to has to know it, too: a server may have become a replica, a disk may be full, and both may be
over. So the answer comes from a probe, not from the last message.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from heliograph.channels.errors import ChannelError

#: Seconds that an answer holds.
MAX_AGE = 1.0

#: Seconds that a caller waits for the probe: health checks have a second in all.
MAX_WAIT = 0.5

#: Seconds that the answer before holds while a probe takes longer: a busy machine is not a log that is gone.
PATIENCE = 3.0


class ReadinessCheck:
    """`probe` returns "ok" or a reason, and may wait and raise ChannelError. There is one probe at a time."""

    def __init__(self, probe: Callable[[], str]) -> None:
        self._probe = probe
        self._state, self._known_at = "the log of the channels does not answer", 0.0
        self._probing: gevent.Greenlet[[], None] | None = None
        self._wait_until = 0.0

    def __call__(self) -> str:
        now = time.monotonic()
        if self._known_at and now - self._known_at < MAX_AGE:
            return self._state
        if self._probing is None:
            self._wait_until = now + MAX_WAIT
            self._probing = gevent.spawn(self._run)
        self._probing.join(max(0.0, self._wait_until - now))
        if self._probing is None or time.monotonic() - self._known_at < PATIENCE:
            return self._state
        return "the log of the channels does not answer"

    def _run(self) -> None:
        try:
            self._state = self._probe()
        except ChannelError as exc:
            self._state = str(exc)
        except BaseException:  # an error in this program: what was known before must not hold for ever
            self._state = "the log of the channels cannot be asked"
            raise
        finally:
            self._known_at = time.monotonic()
            self._probing = None
