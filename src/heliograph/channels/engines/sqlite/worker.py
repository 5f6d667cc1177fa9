"""The native thread that owns the connection: SQLite runs nowhere else.

The event loop puts appends and other calls into two queues and wakes the thread. The thread takes all appends that wait as one
group, commits them, sends the outcomes back, and then does one of the other calls, so that many readers cannot delay publishers.
When there is nothing to do it waits for a wake-up, for a datagram of another instance, or for its next maintenance.

After any error the connection is closed and what waits is refused with the reason; the next call opens the file again, and without
one the thread tries every second.
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

from heliograph.channels.engines.sqlite.damage import Suspicion, is_damage
from heliograph.channels.engines.sqlite.mailbox import Mailbox
from heliograph.channels.engines.sqlite.maintenance import Maintenance
from heliograph.channels.engines.sqlite.notifications import Notifications
from heliograph.channels.engines.sqlite.session import SqliteSession
from heliograph.channels.engines.sqlite.transactions import Locked, Replaced, is_expected, pause, unavailable
from heliograph.channels.errors import ChannelError, LogUnavailable
from heliograph.channels.message import Append
from heliograph.channels.records import Done, Limits, Notification, Outcome

log = logging.getLogger("heliograph")

#: Appends and bytes of one group. A large group is cheap per message, but each of its messages waits for all of it.
MAX_GROUP, MAX_GROUP_BYTES = 2000, 4 << 20

#: Seconds from one group to the next. Each commit writes several pages however little it stores, and under load subscribers would
#: wait for the disk: without this interval 10 % of the messages took 0.2 s at 20,000 a second from two processes.
GROUP_INTERVAL = 0.001

#: A commit of a few appends costs more than the requests that brought them. When several come at a time, others are about to come,
#: so the next group starts later. A single publisher, one message after the other, is not delayed.
SMALL_GROUP, SMALL_GROUP_INTERVAL = 64, 0.005

#: Seconds that appends wait for other writers, in all.
LOCK_PATIENCE = 5.0

#: Seconds between two log lines about the same failure.
LOG_INTERVAL = 10.0

#: Seconds between attempts to open the file while there are no calls.
RETRY = 1.0

# Those of the standard library, which do not belong to the event loop.
_start_thread: Callable[..., int] = get_original("_thread", "start_new_thread")
_poll: Any = get_original("select", "poll")


@dataclass(frozen=True)
class WorkerCall:
    """`function` is called in the thread; `done` on the event loop, with its result or a ChannelError."""

    function: Callable[[SqliteSession], object]
    done: Callable[[object], None]


@dataclass(frozen=True)
class FollowRequest:
    """Whether notifications of a channel are wanted. Done even while the file cannot be opened: it counts once it can."""

    channel: str
    wanted: bool
    done: Callable[[object], None]


class SqliteWorker:
    """Made on the event loop. `state` is "ok", or why the file cannot be used; `opened` is how many times it was opened."""

    def __init__(self, path: Path, limits: Limits, listener: Callable[[Notification], None]) -> None:
        self.appends: deque[tuple[Append, Done]] = deque()
        self.calls: deque[WorkerCall | FollowRequest] = deque()
        self.state, self.opened = "the file is being opened", 0
        self.mailbox = Mailbox()
        self._notifications = notifications = Notifications(self.mailbox, listener, self.notify)
        self._open_session = partial(
            SqliteSession, path, limits, secrets.token_hex(8), notifications.followed, self._report
        )
        self._suspicion = Suspicion()
        self._checked_inode = 0  # of the file, until an error that may come from damage
        self._session: SqliteSession | None = None
        self._retry_at = 0.0
        self._maintenance = Maintenance(limits.check_interval, self._report)
        self._next_group_at = self._locked_since = self._log_again_at = 0.0
        self._wake_up = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asleep = self._closing = False
        _start_thread(self._run, ())

    # On the event loop.

    def notify(self) -> None:
        if self._asleep:
            os.eventfd_write(self._wake_up, 1)

    def close(self, done: Callable[[], None]) -> None:
        """Finish what waits, mark the file synced, and call `done`."""
        self._done = done
        self._closing = True
        os.eventfd_write(self._wake_up, 1)

    # In the thread.

    def _run(self) -> None:
        while not (self._closing and not self.appends and not self.calls):
            try:
                self._run_once()
            except Exception as exc:  # callers must not wait for this thread for ever
                self._handle_failure(exc)
                pause(RETRY)
        if self._session is not None:
            self._session.close(self._session.file.mark_synced)
        self.state = "closed"
        os.close(self._wake_up)
        self.mailbox.send(self._done)

    def _run_once(self) -> None:
        busy = self._commit_group()
        busy = self._run_call() or busy
        busy = self._run_steps(self._notifications.step, self._maintain) or busy
        if not busy:
            self._sleep()

    def _commit_group(self) -> bool:
        """Commit the appends that wait, up to one group. True if there were any."""
        if not self.appends:
            return False
        while (left := self._next_group_at - time.monotonic()) > 0:
            if not self._run_call():
                pause(left)
        group: list[tuple[Append, Done]] = []
        size = 0
        while self.appends and len(group) < MAX_GROUP and size < MAX_GROUP_BYTES:
            group.append(self.appends.popleft())
            size += len(group[-1][0].data)
        self._next_group_at = time.monotonic() + (
            SMALL_GROUP_INTERVAL if 1 < len(group) < SMALL_GROUP else GROUP_INTERVAL
        )
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
                error: ChannelError = self._handle_failure(exc)
                if not attempt:
                    continue  # nothing was written, and the next attempt opens the new file
            except Locked as exc:
                self._locked_since = self._locked_since or time.monotonic()
                if time.monotonic() - self._locked_since < LOCK_PATIENCE:
                    return None
                error = exc
                self.state = str(exc)
            except Exception as exc:
                error = self._handle_failure(exc)
            else:
                self._locked_since = 0.0
                self.state = "ok"
                self._maintenance.committed(size)
                self._notifications.committed(session, committed)
                return committed.outcomes
            break
        self._locked_since = 0.0
        return [error] * len(appends)

    def _run_call(self) -> bool:
        if not self.calls:
            return False
        call = self.calls.popleft()
        result: object
        try:
            if isinstance(call, FollowRequest):
                result = None
                self._notifications.follow(self._session, call.channel, call.wanted)
            else:
                result = call.function(self._opened())
        except Locked as exc:
            result = exc
        except Exception as exc:
            result = self._handle_failure(exc)
        self.mailbox.send(call.done, result)
        return True

    def _opened(self) -> SqliteSession:
        if self._session is None:
            self._session = session = self._open_session(checked_inode=self._checked_inode)
            self._checked_inode = session.file.inode
            self.opened += 1
            self.state = session.file.check_space()
            self._notifications.opened(session)
        return self._session

    def _handle_failure(self, exc: Exception) -> LogUnavailable:
        error = unavailable(exc)
        if not is_expected(exc):
            self.mailbox.send(_log_failure, exc)
        elif time.monotonic() >= self._log_again_at:
            self._log_again_at = time.monotonic() + LOG_INTERVAL
            self.mailbox.send(log.warning, "%s", error)
        session, self._session = self._session, None
        if is_damage(exc) or isinstance(exc, Replaced):
            self._checked_inode = 0
        if session is not None:
            if self._suspicion.confirmed(exc):
                self._report(session.set_aside(error))
            session.close()
            if isinstance(exc, Replaced):
                session.file.drop_stale_log()
        self.state = str(error)
        self._retry_at = time.monotonic() + RETRY
        return error

    def _report(self, text: str) -> None:
        self.mailbox.send(log.error, "%s", text)

    def _run_steps(self, *steps: Callable[[SqliteSession, float], bool]) -> bool:
        """Take the steps that need an open file. True if one of them found something to do."""
        now = time.monotonic()
        if self._session is None and now < self._retry_at:
            return False
        try:
            session = self._opened()
            return sum(step(session, now) for step in steps) > 0  # all steps, even if one found nothing
        except Exception as exc:
            self._handle_failure(exc)
            return False

    def _maintain(self, session: SqliteSession, now: float) -> bool:
        if self._maintenance.step(session, now):
            if self.state != "ok":  # there may have been no append since
                self.state = session.file.check_space()
            return bool(self.appends or self.calls)
        return False

    def _sleep(self) -> None:
        """Until a wake-up, a datagram, or something is due."""
        now = time.monotonic()
        poller = _poll()
        poller.register(self._wake_up, select.POLLIN)
        if self._session is None:
            pause = self._retry_at - now
        else:
            pause = min(self._maintenance.wait(now), self._notifications.wait(now))
            if self._session.listener is not None:
                poller.register(self._session.listener.socket, select.POLLIN)
        self._asleep = True
        if not (self.appends or self.calls or self._closing):
            ready = poller.poll(max(0.0, pause) * 1000)
            self._asleep = False
            self._on_wake_up([descriptor for descriptor, _ in ready])
        self._asleep = False

    def _on_wake_up(self, descriptors: Iterable[int]) -> None:
        for descriptor in descriptors:
            if descriptor == self._wake_up:
                os.eventfd_read(self._wake_up)
            elif self._session is not None and self._session.listener is not None:
                self._session.listener.drain()
                self._notifications.on_datagram()


def _log_failure(error: Exception) -> None:
    log.error("the log of the channels failed", exc_info=error)


def _answer(waiting: list[Done], outcomes: list[Outcome]) -> None:
    for done, outcome in zip(waiting, outcomes, strict=True):
        done(outcome)
