"""The connection that waits for notifications.

It can be lost without an error, so a probe has to come back through it from time to time.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable

import gevent
import psycopg
from gevent.event import Event
from heliograph_proxy.backoff import delay

from heliograph.channels.engines.postgres.connection import (
    CONNECT_TIMEOUT,
    FAILURES,
    Connection,
    bounded,
    connect,
    unavailable,
)
from heliograph.channels.engines.postgres.store import CHANNEL
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.records import Notification

log = logging.getLogger("heliograph")

#: Seconds between two probes, and until one has to come back.
PROBE_INTERVAL, PROBE_TIMEOUT = 3.0, 3.0


class PostgresListener:
    """`on_notification` gets notifications without messages. `on_reconnected` is called whenever they arrive again, and may wait.

    `probe` notifies with the text it is given, by the connection that publishes.
    """

    def __init__(
        self,
        url: str,
        on_notification: Callable[[Notification], None],
        on_reconnected: Callable[[], None],
        probe: Callable[[str], None],
    ) -> None:
        self._url, self._on_notification, self._on_reconnected, self._probe = (
            url,
            on_notification,
            on_reconnected,
            probe,
        )
        self.state = "PostgreSQL is being connected to"
        self.followed: set[str] = set()
        self.attempted = Event()
        #: How many times it has connected.
        self.opened = 0
        self._token = secrets.token_hex(8)
        self._probe_due, self._probe_sent = 0.0, 0.0
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        attempt = 0
        while True:
            try:
                connection = connect(self._url)
                try:
                    with bounded(connection, CONNECT_TIMEOUT):
                        connection.execute(f"LISTEN {CHANNEL}".encode())
                    self.state, attempt = "ok", 0
                    self.opened += 1
                    self.attempted.set()
                    gevent.spawn(self._on_reconnected)
                    self._listen(connection)
                finally:
                    connection.close()
            except (*FAILURES, LogUnavailable) as exc:
                self._set_failure(exc)
            except Exception as exc:
                log.exception("an error in this program ended a connection to PostgreSQL")
                self._set_failure(exc)
            self.attempted.set()
            gevent.sleep(delay(attempt, random.random))
            attempt += 1

    def _set_failure(self, exc: Exception) -> None:
        reason = str(unavailable(exc))
        if self.state == "ok":
            log.warning("notifications: %s", reason)
        self.state = reason

    def _listen(self, connection: Connection) -> None:
        self._probe_due, self._probe_sent = time.monotonic() + PROBE_INTERVAL, 0.0
        while True:
            for notice in connection.notifies(timeout=1.0):
                self._handle(notice)
            now = time.monotonic()
            if self._probe_sent and now - self._probe_sent > PROBE_TIMEOUT:
                raise psycopg.OperationalError("notifications do not arrive")
            if now >= self._probe_due:
                self._probe_due, self._probe_sent = now + PROBE_INTERVAL, now
                gevent.spawn(self._probe, f"?{self._token}")

    def _handle(self, notice: psycopg.Notify) -> None:
        if notice.payload.startswith("?"):
            if notice.payload[1:] == self._token:
                self._probe_sent = 0.0
            return
        for line in notice.payload.split("\n"):
            name, epoch, top = line.split(" ")
            if name in self.followed:
                self._on_notification(Notification(name, epoch, int(top)))

    def close(self) -> None:
        self._greenlet.kill()
        self.state = "closed"
