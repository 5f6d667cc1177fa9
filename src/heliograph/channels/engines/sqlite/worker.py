"""The native thread that owns the connection: nothing of SQLite runs anywhere else.

The event loop puts appends and other calls into two queues and rings; the thread takes all appends that wait as one group, commits
them, sends the outcomes back, and then one of the other calls, so that many who read cannot hold up those who publish. When there
is nothing to do it waits for the bell, for a datagram of another instance, or for its next chore.

After any error the connection is closed and what waits is refused with the reason; the next call opens the file anew, and without
one the thread tries every second. So everything heals by itself.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from heliograph.channels.engines.mailbox import Mailbox
from heliograph.channels.engines.sqlite.maintenance import Chores
from heliograph.channels.engines.sqlite.notifications import Feed
from heliograph.channels.engines.sqlite.session import Session
from heliograph.channels.engines.sqlite.transactions import Locked, Replaced, is_expected, pause, unavailable
from heliograph.channels.errors import ChannelError, Unavailable
from heliograph.channels.log import Done, Limits, News, Outcome
from heliograph.channels.message import Append

log = logging.getLogger("heliograph")

#: Appends and bytes of one group. A large group is cheap per message, but all of it waits for all of it.
MAX_GROUP, MAX_GROUP_BYTES = 2000, 4 << 20

#: Seconds from one group to the next. Each commit writes several pages whatever it stores, and under load the time when they reach
#: the disk would be what subscribers wait for: without it 10 % of the messages took 0.2 s at 20,000 a second from two processes.
PACE = 0.001

#: A commit of a few appends costs more than the requests that brought them. Where several come at a time, others are about to, and
#: are waited for longer; somebody who publishes alone, one after the other, is not held up.
FEW, PATIENT_PACE = 64, 0.005

#: Seconds that appends wait for other writers, in all.
PATIENCE = 5.0

#: Seconds between two entries in the log of the process about the same trouble.
COMPLAINTS = 10.0

#: Seconds between attempts to open the file while nobody asks for it.
RETRY = 1.0

# Those of the standard library, which do not belong to the event loop.
_start_thread: Callable[..., int] = get_original("_thread", "start_new_thread")
_poll: Any = get_original("select", "poll")


@dataclass(frozen=True)
class Call:
    """`function` is called in the thread; `done` on the event loop, with its result or a ChannelError."""

    function: Callable[[Session], object]
    done: Callable[[object], None]


@dataclass(frozen=True)
class Follow:
    """Whether the news of a channel are wanted. Done even while the file cannot be opened: it counts once it can."""

    channel: str
    wanted: bool
    done: Callable[[object], None]


class Worker:
    """Made on the event loop. `state` is "ok", or why the file cannot be used."""

    def __init__(self, path: Path, limits: Limits, listener: Callable[[News], None]) -> None:
        self.appends: deque[tuple[Append, Done]] = deque()
        self.calls: deque[Call | Follow] = deque()
        self.state = "the file is being opened"
        self.mailbox = Mailbox()
        self._feed = feed = Feed(self.mailbox, listener, self.ring)
        self._open_session = partial(Session, path, limits, secrets.token_hex(8), feed.followed)
        self._session: Session | None = None
        self._retry_at = 0.0
        self._chores = Chores()
        self._paced_until = self._locked_since = self._complain_at = 0.0
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asleep = self._closing = False
        _start_thread(self._run, ())

    # On the event loop.

    def ring(self) -> None:
        if self._asleep:
            os.eventfd_write(self._bell, 1)

    def close(self, done: Callable[[], None]) -> None:
        """Finish what waits, settle the file, and call `done`."""
        self._done = done
        self._closing = True
        os.eventfd_write(self._bell, 1)

    # In the thread.

    def _run(self) -> None:
        while not (self._closing and not self.appends and not self.calls):
            try:
                self._turn()
            except Exception as exc:  # whatever it was, those who wait for this thread must not wait for ever
                self._failed(exc)
                pause(RETRY)
        if self._session is not None:
            self._session.close(self._session.file.settle)
        self.state = "closed"
        os.close(self._bell)
        self.mailbox.send(self._done)

    def _turn(self) -> None:
        busy = self._group()
        busy = self._call() or busy
        busy = self._attempt(self._feed.step, self._work) or busy
        if not busy:
            self._sleep()

    def _group(self) -> bool:
        """Commit what waits, as far as it is one group. True if anything did."""
        if not self.appends:
            return False
        while (left := self._paced_until - time.monotonic()) > 0:
            if not self._call():
                pause(left)
        group: list[tuple[Append, Done]] = []
        size = 0
        while self.appends and len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
            group.append(self.appends.popleft())
            size += len(group[-1][0].data)
        self._paced_until = time.monotonic() + (PATIENT_PACE if 1 < len(group) < FEW else PACE)
        outcomes = self._commit([append for append, _ in group], size)
        if outcomes is None:
            self.appends.extendleft(reversed(group))
        else:
            self.mailbox.send(_answer, [done for _, done in group], outcomes)
        return True

    def _commit(self, appends: list[Append], size: int) -> list[Outcome] | None:
        """None: others are writing, and there is time to try again."""
        for attempt in range(2):
            try:
                session = self._opened()
                committed = session.commit(appends)
            except Replaced as exc:
                error: ChannelError = self._failed(exc)
                if not attempt:
                    continue  # nothing was written, and the next attempt opens the new file
            except Locked as exc:
                self._locked_since = self._locked_since or time.monotonic()
                if time.monotonic() - self._locked_since < PATIENCE:
                    return None
                error = exc
                self.state = str(exc)
            except Exception as exc:
                error = self._failed(exc)
            else:
                self._locked_since = 0.0
                self.state = "ok"
                self._chores.committed(size)
                self._feed.committed(session, committed)
                return committed.outcomes
            break
        self._locked_since = 0.0
        return [error] * len(appends)

    def _call(self) -> bool:
        if not self.calls:
            return False
        call = self.calls.popleft()
        result: object
        try:
            if isinstance(call, Follow):
                result = None
                self._feed.follow(self._session, call.channel, call.wanted)
            else:
                result = call.function(self._opened())
        except Locked as exc:
            result = exc
        except Exception as exc:
            result = self._failed(exc)
        self.mailbox.send(call.done, result)
        return True

    def _opened(self) -> Session:
        if self._session is None:
            self._session = session = self._open_session()
            self.state = session.file.outlook()
            self._feed.opened(session)
        return self._session

    def _failed(self, exc: Exception) -> Unavailable:
        error = unavailable(exc)
        if not is_expected(exc):
            self.mailbox.send(_report, exc)
        elif time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + COMPLAINTS
            self.mailbox.send(log.warning, "%s", error)
        session, self._session = self._session, None
        if session is not None:
            session.close()
            if isinstance(exc, Replaced):
                session.file.drop_stale_log()
        self.state = str(error)
        self._retry_at = time.monotonic() + RETRY
        return error

    def _attempt(self, *steps: Callable[[Session, float], bool]) -> bool:
        """Take the steps that need an open file. True if one of them found something to do."""
        now = time.monotonic()
        if self._session is None and now < self._retry_at:
            return False
        try:
            session = self._opened()
            return sum(step(session, now) for step in steps) > 0  # each of them, whatever the others found
        except Exception as exc:
            self._failed(exc)
            return False

    def _work(self, session: Session, now: float) -> bool:
        if self._chores.step(session, now):
            if self.state != "ok":  # nobody may have tried to store anything since
                self.state = session.file.outlook()
            return bool(self.appends or self.calls)
        return False

    def _sleep(self) -> None:
        """Until the bell, a datagram, or something is due."""
        now = time.monotonic()
        poller = _poll()
        poller.register(self._bell, select.POLLIN)
        if self._session is None:
            pause = self._retry_at - now
        else:
            pause = min(self._chores.wait(now), self._feed.wait(now))
            if self._session.wakeups is not None:
                poller.register(self._session.wakeups.socket, select.POLLIN)
        self._asleep = True
        if not (self.appends or self.calls or self._closing):
            ready = poller.poll(max(0.0, pause) * 1000)
            self._asleep = False
            self._woken([descriptor for descriptor, _ in ready])
        self._asleep = False

    def _woken(self, descriptors: Iterable[int]) -> None:
        for descriptor in descriptors:
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            elif self._session is not None and self._session.wakeups is not None:
                self._session.wakeups.drain()
                self._feed.rung()


def _report(error: Exception) -> None:
    log.error("the log of the channels failed", exc_info=error)


def _answer(waiting: list[Done], outcomes: list[Outcome]) -> None:
    for done, outcome in zip(waiting, outcomes, strict=True):
        done(outcome)
