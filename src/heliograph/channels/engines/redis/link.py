"""The connections to the server, kept honest: probes through one to the other, and comparisons with the log."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import cast
from urllib.parse import urlsplit

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.redis.listener import Ear
from heliograph.channels.engines.redis.pipeline import Heard, Line, checked
from heliograph.channels.engines.redis.schema import PREFIX, TABLE
from heliograph.channels.epochs import new_half
from heliograph.channels.errors import Overloaded, Unavailable
from heliograph.channels.log import MAX_WAITING_CALLS, News

log = logging.getLogger("heliograph")

#: Names in one call for their tops.
_BATCH = 1000

#: Scripts in flight that publish nothing: enough to keep the server busy, few enough that others get their turn.
MAX_ASKING = 8

#: Seconds between two probes, and until one has to be back.
PROBE_INTERVAL, PROBE_TIMEOUT = 3.0, 3.0

#: Seconds between comparisons of all followed channels with the log, should a notification be lost without a trace.
POSITION_INTERVAL = 20.0


class Link:
    def __init__(self, url: str, listener: Callable[[News], None]) -> None:
        # Notifications know no databases, so their names do.
        scope = f"{PREFIX}{urlsplit(url).path.strip('/') or '0'}:"
        self.news = f"{scope}news:"
        self._probe = f"{scope}probe:{secrets.token_hex(8)}"
        self._probe_sent = self._probe_back = time.monotonic()
        self._listener = listener
        # Pages of messages are long; who publishes must not wait behind a thousand of them.
        self.line, self.questions = Line(url), Line(url)
        self._asking, self._asked = BoundedSemaphore(MAX_ASKING), 0
        self.ear = Ear(url, self.news, self._probe, listener, self._echo)
        self.ear.back = self.compare
        self._greenlets = [gevent.spawn(self._probing), gevent.spawn(self._comparing)]

    def send(self, script: str, keys: Sequence[str], arguments: Iterable[object], heard: Heard) -> None:
        """Run a script that publishes; `heard` gets the answer, or an error, as with `Line.send`."""
        self._send(self.line, script, keys, arguments, heard)

    def _send(
        self, line: Line, script: str, keys: Sequence[str], arguments: Iterable[object], heard: Heard
    ) -> None:
        if line.connection is None:
            heard(Unavailable(f"{line.state}."))
            return
        state = (line.server.run, new_half(), new_half(), "1" if line.server.durable else "0")
        line.send(("EVALSHA", line.digests[script], len(keys) + 1, TABLE, *keys, *state, *arguments), heard)

    def run(self, script: str, keys: Sequence[str], *arguments: object) -> object:
        """Run a script that publishes nothing and wait. Raises Unavailable."""
        if self._asked >= MAX_WAITING_CALLS:
            raise Overloaded("Too many requests wait for Redis.")
        self._asked += 1
        try:
            self.questions.tried.wait()
            with self._asking:
                result: AsyncResult[object] = AsyncResult()
                self._send(self.questions, script, keys, arguments, result.set)
                return checked(result.get())
        finally:
            self._asked -= 1

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted, found = list(channels), {}
        for start in range(0, len(wanted), _BATCH):
            names = wanted[start : start + _BATCH]
            answer = cast(list[bytes], self.run("tops", (), *names))
            for index, name in enumerate(names):
                found[name] = Cursor(answer[2 * index].decode(), int(answer[2 * index + 1]))
        return found

    def compare(self) -> None:
        """A hint for every channel that is followed. Waits."""
        try:
            for name, top in self.tops(list(self.ear.followed)).items():
                self._listener(News(name, top.epoch, top.offset))
        except Unavailable:
            self._compare_soon = True  # the line is not back yet; `_comparing` tries again

    def _comparing(self) -> None:
        self._compare_soon = False
        due = time.monotonic() + POSITION_INTERVAL
        while True:
            gevent.sleep(0.5)
            if self._compare_soon or time.monotonic() >= due:
                self._compare_soon = False
                due = time.monotonic() + POSITION_INTERVAL
                self.compare()

    def _probing(self) -> None:
        while True:
            gevent.sleep(PROBE_INTERVAL)
            if self.line.connection is None or self.ear.connection is None:
                continue
            self._probe_sent = time.monotonic()
            self.line.send(("PUBLISH", self._probe, secrets.token_hex(4)), lambda _answer: None)
            gevent.sleep(PROBE_TIMEOUT)
            if self._deaf():
                log.warning("notifications of Redis do not arrive; the connection is made anew")
                self.ear.reset("notifications do not arrive")

    def _deaf(self) -> bool:
        return self._probe_back < self._probe_sent and time.monotonic() - self._probe_sent >= PROBE_TIMEOUT

    def _echo(self, _text: bytes) -> None:
        self._probe_back = time.monotonic()

    def ready(self) -> str:
        if self.line.server.evicts:
            return "Redis may evict the channels; maxmemory-policy has to be noeviction or volatile-…"
        for part in (self.line, self.questions, self.ear):
            if part.state != "ok":
                return part.state
        return "notifications of Redis do not arrive" if self._deaf() else "ok"

    def close(self) -> None:
        self.line.finish()
        gevent.killall(self._greenlets)
        for part in (self.ear, self.questions, self.line):
            part.close()
