"""Connections to the database, and what its errors mean to a client."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import gevent
import psycopg
from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from heliograph_proxy.sentences import because
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.postgres.schema import LOCK, MIGRATIONS, TABLES, VERSION
from heliograph.channels.engines.postgres.waiting import LoopConnection
from heliograph.channels.errors import LocationError, LogUnavailable
from heliograph.request.homeloop import is_patched

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

#: Seconds to prepare a connection, and for all statements of one lease.
CONNECT_TIMEOUT, LEASE_TIMEOUT = 5.0, 10.0

#: Seconds for one address of a host, unless the URL has a `connect_timeout`, and for all addresses of all hosts.
ADDRESS_TIMEOUT, MAX_CONNECT_TIME = 3, 30.0

#: Seconds that a migration of the tables may take: it waits for transactions of other instances, and makes an index.
MIGRATION_TIMEOUT = 120.0

#: Milliseconds that a probe waits for a lock: others have it for longer only when something is wrong.
PROBE_LOCK_TIMEOUT = 400

#: Seconds that `close` waits until an interrupted lease ends.
CLOSE_TIMEOUT = 1.0

#: The history that the server writes now: another one after a fail-over or a restored backup.
_SERVER = (
    "SELECT (SELECT system_identifier::text FROM pg_control_system()) || '/' "
    "|| substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
)

FAILURES = (psycopg.Error, OSError)

#: What a role without DDL gets; the second where it may not use the schema.
_FORBIDDEN = (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)

# That of the standard library: it is only asked, and does not wait.
_poll: Any = get_original("select", "poll")


def check_url(url: str) -> None:
    """Raises LocationError. libpq's own text may contain the password, so it is not shown."""
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        raise LocationError(
            "the postgresql:// URL cannot be read: postgresql://user:password@host:5432/database?sslmode=… is allowed"
        ) from None


def connect(url: str) -> Connection:
    """A connection in autocommit mode, with the tables in place. Raises one of FAILURES, LogUnavailable."""
    with gevent.Timeout(_time_to_connect(url), TimeoutError("it does not answer")):
        kind = psycopg.Connection if is_patched() else LoopConnection
        connection: Connection = kind.connect(_with_defaults(url), autocommit=True)
    try:
        with bounded(connection, CONNECT_TIMEOUT):
            version = _version(connection)
        if version < VERSION:
            with bounded(connection, MIGRATION_TIMEOUT):
                _migrate(connection)
        with bounded(connection, CONNECT_TIMEOUT):
            _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def bounded(connection: Connection, seconds: float) -> Iterator[None]:
    """Shut the connection down if the block takes longer; then psycopg raises OperationalError where it waits.

    Throwing an exception into it is not enough: psycopg then tells the server that the transaction is over, and waits again.
    """
    watch = gevent.spawn_later(seconds, _shut_down, connection)
    try:
        yield
    finally:
        watch.kill(block=False)


def _shut_down(connection: Connection) -> None:
    if not connection.closed:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


def _with_defaults(url: str) -> str:
    """psycopg looks up all hosts, cooperatively, and tries each of their addresses for `connect_timeout`."""
    options = conninfo_to_dict(url)
    options.setdefault("application_name", "heliograph")
    options.setdefault("connect_timeout", str(ADDRESS_TIMEOUT))
    return make_conninfo("", **options)


def _time_to_connect(url: str) -> float:
    """For all addresses: a host has one or two."""
    hosts = str(conninfo_to_dict(url).get("host") or "").count(",") + 1
    return min(MAX_CONNECT_TIME, CONNECT_TIMEOUT + 2 * ADDRESS_TIMEOUT * hosts)


def _prepare(connection: Connection) -> None:
    # An acknowledged message must survive a crash of the server; stricter settings of the operator stay.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    (server,) = _row(connection, _SERVER)
    (known,) = _row(connection, "SELECT server FROM heliograph_state")
    if known != server:
        connection.execute(
            "UPDATE heliograph_state SET era = %s, server = %s WHERE server <> %s",
            (new_half(), server, server),
        )


def _version(connection: Connection) -> int:
    """Of the tables; 0: there are none. Raises LogUnavailable for a newer one."""
    (exists,) = _row(connection, "SELECT to_regclass('heliograph_state') IS NOT NULL")
    if not exists:
        return 0
    (version,) = _row(connection, "SELECT version FROM heliograph_state")
    if version > VERSION:
        raise LogUnavailable(
            f"The tables of the channels are of a newer version of this program ({version}; this one knows {VERSION})."
        )
    return int(version)


def _migrate(connection: Connection) -> None:
    """Create the tables, or bring them to our version. After an error the connection is closed, and with it the lock.

    Raises LogUnavailable for a role that may not do it.

    The lock is taken before the transaction, which would not see tables that another instance made while this one waited.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    version = _version(connection)
    connection.execute("BEGIN")
    try:
        _change_tables(connection, version)
    except _FORBIDDEN as exc:
        found = f"of version {version}" if version else "missing"
        raise LogUnavailable(
            f"The tables of the channels are {found}, and this role may not change that: their owner has to open them once."
        ) from exc
    connection.execute(b"UPDATE heliograph_state SET version = %s WHERE version < %s", (VERSION, VERSION))
    connection.execute("COMMIT")
    connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


def _change_tables(connection: Connection, version: int) -> None:
    script = "".join(MIGRATIONS[step] for step in range(version, VERSION)) if version else TABLES
    for statement in script.split(";\n"):
        if statement.strip():
            values = (new_half(), new_half()) if "%s" in statement else None
            connection.execute(statement.encode(), values)


def _row(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def probe(connection: Connection) -> None:
    """Raises LogUnavailable or psycopg.Error when appends would be refused, or wait for a lock of another program on the tables."""
    connection.execute("BEGIN")
    connection.execute(f"SET LOCAL lock_timeout = {PROBE_LOCK_TIMEOUT}".encode())
    row = connection.execute(
        "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')"
    ).fetchone()
    assert row is not None
    if row[0]:
        raise LogUnavailable("PostgreSQL cannot be used now: it is in recovery, as a standby is.")
    if row[1] == "on":
        raise LogUnavailable("PostgreSQL cannot be used now: its transactions are read-only.")
    connection.execute(
        "LOCK TABLE heliograph_channels, heliograph_segments, heliograph_keys IN ROW EXCLUSIVE MODE"
    )
    connection.execute("ROLLBACK")


def unavailable(error: Exception, *, uncertain: bool = False) -> LogUnavailable:
    """Translate what psycopg or a socket raised. Their texts name hosts and users, never passwords."""
    if isinstance(error, LogUnavailable):
        return error
    return LogUnavailable(because("PostgreSQL cannot be used now", error), uncertain=uncertain)


def _is_stale(connection: Connection) -> bool:
    """Whether the server has closed an idle connection, or sent something unasked, which has the same reason."""
    if connection.closed:
        return True
    poller = _poll()  # select() takes no descriptors above 1023
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


class SharedConnection:
    """One connection that greenlets lease one after the other; opened at its first use and again after a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lease = BoundedSemaphore()
        self._closed = False
        self.connection: Connection | None = None
        #: How many times it was.
        self.opened = 0

    @contextmanager
    def lease(self) -> Iterator[Connection]:
        """The connection, for a few statements. Raises one of FAILURES, LogUnavailable; then the next lease gets a new one."""
        with self._lease:
            try:
                if self._closed:
                    raise LogUnavailable("The log of the channels is closed.")
                if self.connection is None or _is_stale(self.connection):
                    self._discard()
                    self.connection = connect(self._url)
                    self.opened += 1
                with bounded(self.connection, LEASE_TIMEOUT):
                    yield self.connection
            except BaseException:
                self._discard()
                raise
            if self._closed:
                self._discard()

    def _discard(self) -> None:
        """Only in a lease: the event loop aborts the process when a socket is closed that another greenlet waits for."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Interrupt the lease in progress; there are no further ones."""
        self._closed = True
        if self.connection is not None and self._lease.locked():
            _shut_down(self.connection)
        if self._lease.acquire(timeout=CLOSE_TIMEOUT):  # else it is connecting, which has a time limit
            self._discard()
            self._lease.release()

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work` in a lease. Raises LogUnavailable. A connection that was lost unnoticed is replaced once."""
        for attempt in range(2):
            reused = self.connection is not None
            try:
                with self.lease() as connection:
                    return work(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
                if attempt or not reused:
                    raise unavailable(exc) from exc
            except FAILURES as exc:
                raise unavailable(exc) from exc
        raise AssertionError("unreachable")
