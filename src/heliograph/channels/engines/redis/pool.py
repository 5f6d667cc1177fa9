"""The connections to the server. Probes from one to the other and comparisons with the log find lost notifications."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import gevent
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from heliograph_proxy.sentences import full_stop

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.redis.connection import database
from heliograph.channels.engines.redis.listener import RedisListener
from heliograph.channels.engines.redis.maintenance import RedisMaintenance
from heliograph.channels.engines.redis.pipeline import REPLICA, OnAnswer, PipelinedConnection, checked
from heliograph.channels.engines.redis.schema import PREFIX, TABLE
from heliograph.channels.errors import LogOverloaded, LogUnavailable
from heliograph.channels.records import MAX_WAITING_CALLS, Limits, Notification
from heliograph.channels.trim_watch import TrimWatch

log = logging.getLogger("heliograph")

#: Names in one call for their tops.
_BATCH = 1000

#: Scripts in flight that publish nothing: enough to keep the server busy, few enough for other clients of it.
MAX_QUERIES = 8

#: Seconds between two probes, and until one has to come back.
PROBE_INTERVAL, PROBE_TIMEOUT = 3.0, 3.0

#: Milliseconds that the key of a probe lives.
PROBE_TTL = 60_000

#: Seconds between comparisons of all followed channels with the log: a notification may be lost without an error.
POSITION_INTERVAL = 20.0


class RedisPool:
    def __init__(
        self,
        url: str,
        limits: Limits,
        on_notification: Callable[[Notification], None],
        trim_watch: TrimWatch,
    ) -> None:
        # Notifications are not separated by database, so their names contain it.
        scope = f"{PREFIX}{database(url)}:"
        self.notification_prefix = f"{scope}news:"
        self._probe = f"{scope}probe:{secrets.token_hex(8)}"
        self._probe_sent = self._probe_back = time.monotonic()
        self._on_notification = on_notification
        # Pages of messages are long; appends must not wait behind a thousand of them.
        self.append_connection, self.query_connection = PipelinedConnection(url), PipelinedConnection(url)
        self._query_slots, self._queries = BoundedSemaphore(MAX_QUERIES), 0
        self.listener = RedisListener(
            url, self.notification_prefix, self._probe, on_notification, self._on_echo
        )
        self.listener.on_resubscribed = self.compare
        maintenance = RedisMaintenance(self, limits, trim_watch)
        self._greenlets = [
            gevent.spawn(work) for work in (self._probe_regularly, self._compare_regularly, maintenance.run)
        ]

    def send(
        self, script: str, keys: Sequence[str], arguments: Iterable[object], on_answer: OnAnswer
    ) -> None:
        """Run a script that publishes; `on_answer` gets the answer, or an error, as with `PipelinedConnection.send`."""
        self._send(self.append_connection, script, keys, arguments, on_answer)

    def _send(
        self,
        connection: PipelinedConnection,
        script: str,
        keys: Sequence[str],
        arguments: Iterable[object],
        on_answer: OnAnswer,
    ) -> None:
        if connection.connection is None:
            on_answer(LogUnavailable(full_stop(connection.state)))
            return
        state = (connection.server.run, new_half(), new_half(), "1" if connection.server.durable else "0")
        connection.send(
            ("EVALSHA", connection.digests[script], len(keys) + 1, TABLE, *keys, *state, *arguments),
            on_answer,
        )

    def run(self, script: str, keys: Sequence[str], *arguments: object) -> object:
        """Run a script that publishes nothing and wait. Raises LogUnavailable."""
        if self._queries >= MAX_WAITING_CALLS:
            raise LogOverloaded("Too many requests wait for Redis.")
        self._queries += 1
        try:
            self.query_connection.attempted.wait()
            with self._query_slots:
                result: AsyncResult[object] = AsyncResult()
                self._send(self.query_connection, script, keys, arguments, result.set)
                return checked(result.get())
        finally:
            self._queries -= 1

    def request(self, *command: object) -> object:
        """A command that is no script. Waits and raises LogUnavailable."""
        return self.query_connection.request(*command)

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted, found = list(channels), {}
        for start in range(0, len(wanted), _BATCH):
            names = wanted[start : start + _BATCH]
            answer = cast(list[bytes], self.run("tops", (), *names))
            for index, name in enumerate(names):
                found[name] = Cursor(answer[2 * index].decode(), int(answer[2 * index + 1]))
        return found

    def compare(self) -> None:
        """A hint for each followed channel. Waits."""
        try:
            for name, top in self.tops(list(self.listener.followed)).items():
                self._on_notification(Notification(name, top.epoch, top.offset))
        except LogUnavailable:
            self._compare_soon = True  # the connection is not back yet; `_compare_regularly` tries again

    def _compare_regularly(self) -> None:
        self._compare_soon = False
        due = time.monotonic() + POSITION_INTERVAL
        while True:
            gevent.sleep(0.5)
            if self._compare_soon or time.monotonic() >= due:
                self._compare_soon = False
                due = time.monotonic() + POSITION_INTERVAL
                self.compare()

    def _probe_regularly(self) -> None:
        while True:
            gevent.sleep(PROBE_INTERVAL)
            if self.append_connection.connection is None or self.listener.connection is None:
                continue
            self._probe_sent = time.monotonic()
            self.append_connection.send(("PUBLISH", self._probe, secrets.token_hex(4)), lambda _answer: None)
            gevent.sleep(PROBE_TIMEOUT)
            if self._misses_probes():
                log.warning("notifications of Redis do not arrive; the connection is made anew")
                self.listener.reset("notifications do not arrive")

    def _misses_probes(self) -> bool:
        return self._probe_back < self._probe_sent and time.monotonic() - self._probe_sent >= PROBE_TIMEOUT

    def _on_echo(self, _text: bytes) -> None:
        self._probe_back = time.monotonic()

    def probe(self) -> None:
        """Write a key: refused by a replica, without memory, without the replicas that it needs, and while it loads.

        Raises LogUnavailable.
        """
        connection = self.append_connection
        connection.request("SET", f"{PREFIX}probe", secrets.token_hex(4), "PX", PROBE_TTL)
        try:
            role = cast("list[object]", connection.request("ROLE"))[0]
        except LogUnavailable:
            return  # this user may not ask; the key was written
        if role != b"master":  # one that takes writes all the same loses them
            connection.reset(REPLICA)
            raise LogUnavailable(f"Redis cannot be used now: {REPLICA}.")

    def ready(self) -> str:
        if self.append_connection.server.evicts:
            return "Redis may evict the channels; maxmemory-policy has to be noeviction or volatile-…"
        for part in (self.append_connection, self.query_connection, self.listener):
            if part.state != "ok":
                return part.state
        return "notifications of Redis do not arrive" if self._misses_probes() else "ok"

    @property
    def reconnects(self) -> int:
        parts = (self.append_connection, self.query_connection, self.listener)
        return sum(max(0, part.opened - 1) for part in parts)

    def close(self) -> None:
        self.append_connection.wait_for_answers()
        gevent.killall(self._greenlets)
        for part in (self.listener, self.query_connection, self.append_connection):
            part.close()
