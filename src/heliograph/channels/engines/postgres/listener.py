"""The connection that listens. It can die without an error, so a probe has to come back through it from time to time."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable

import gevent
import psycopg
from gevent.event import Event

from heliograph.channels.backoff import delay
from heliograph.channels.engines.postgres.connection import (
    CONNECT_TIMEOUT,
    FAILURES,
    Connection,
    bounded,
    connect,
    unavailable,
)
from heliograph.channels.engines.postgres.store import CHANNEL
from heliograph.channels.errors import Unavailable
from heliograph.channels.log import News

log = logging.getLogger("heliograph")

#: Seconds between two probes, and until one has to be back.
PROBE_INTERVAL, PROBE_TIMEOUT = 3.0, 3.0


class Ear:
    """`heard` gets news without messages; `back` is called, and may wait, whenever notifications arrive again.

    `probe` notifies with the text it is given, by the connection that publishes.
    """

    def __init__(
        self, url: str, heard: Callable[[News], None], back: Callable[[], None], probe: Callable[[str], None]
    ) -> None:
        self._url, self._heard, self._back, self._probe = url, heard, back, probe
        self.state = "PostgreSQL is being connected to"
        self.followed: set[str] = set()
        self.tried = Event()
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
                    self.tried.set()
                    gevent.spawn(self._back)
                    self._listen(connection)
                finally:
                    connection.close()
            except (*FAILURES, Unavailable) as exc:
                self._complain(exc)
            except Exception as exc:
                log.exception("a mistake of ours ended a connection to PostgreSQL")
                self._complain(exc)
            self.tried.set()
            gevent.sleep(delay(attempt, random.random))
            attempt += 1

    def _complain(self, exc: Exception) -> None:
        reason = str(unavailable(exc))
        if self.state == "ok":
            log.warning("notifications: %s", reason)
        self.state = reason

    def _listen(self, connection: Connection) -> None:
        self._probe_due, self._probe_sent = time.monotonic() + PROBE_INTERVAL, 0.0
        while True:
            for notice in connection.notifies(timeout=1.0):
                self._take(notice)
            now = time.monotonic()
            if self._probe_sent and now - self._probe_sent > PROBE_TIMEOUT:
                raise psycopg.OperationalError("notifications do not arrive")
            if now >= self._probe_due:
                self._probe_due, self._probe_sent = now + PROBE_INTERVAL, now
                gevent.spawn(self._probe, f"?{self._token}")

    def _take(self, notice: psycopg.Notify) -> None:
        if notice.payload.startswith("?"):
            if notice.payload[1:] == self._token:
                self._probe_sent = 0.0
            return
        for line in notice.payload.split("\n"):
            name, epoch, top = line.split(" ")
            if name in self.followed:
                self._heard(News(name, epoch, int(top)))

    def close(self) -> None:
        self._greenlet.kill()
        self.state = "closed"
