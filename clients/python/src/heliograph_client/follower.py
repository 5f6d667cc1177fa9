"""One channel's connection: connect, deliver events, and after any interruption continue behind the last event.

    attempt:  CONNECTING -> SUBSCRIBED -> (messages) -> WAITING -> attempt …

Only a permanent refusal ends it, such as a token that is not allowed to subscribe.

While the program does not read, its connection is not read either: it fills up, the server ends it (3008), and the next connection
delivers what is missing. A program that publishes over the same connection waits for acknowledgements that come behind those
messages. For such a program the messages are read and dropped, and fetched again by the cursor once it reads.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from heliograph_client.acknowledgements import Acknowledgements
from heliograph_client.addresses import Service
from heliograph_client.backoff import Backoff
from heliograph_client.connection import CLOSE_TIMEOUT, PatchSafeConnection
from heliograph_client.content import Content
from heliograph_client.credentials import Credentials
from heliograph_client.cursor import Cursor, Start
from heliograph_client.errors import SHOWN, UNAUTHORIZED, Closed, Violation
from heliograph_client.events import Lost, Message, Published, State, Status
from heliograph_client.inbox import Inbox
from heliograph_client.protocol import MAX_FRAME, ChannelProtocol, ErrorFrame, SubscribedFrame
from heliograph_client.refusals import refusal

#: Seconds for a connection with its handshake, and then for the server's first frame.
PATIENCE = 10.0

#: Seconds between our pings, and without an answer until the connection is dead. The server does about the same.
PING_INTERVAL, PING_TIMEOUT = 20.0, 10.0

#: Seconds between checks whether the program reads again, and for the last acknowledgements then.
ROOM_CHECK, LAST_ANSWERS = 0.1, 5.0


class _Interrupted(Exception):
    """The attempt is over; its text says why. `at_least` is the wait that the server asks for, in seconds."""

    def __init__(self, reason: str, at_least: float = 0.0) -> None:
        super().__init__(reason)
        self.at_least = at_least


class ChannelFollower:
    def __init__(
        self,
        service: Service,
        credentials: Credentials,
        channel: str,
        start: Start,
        inbox: Inbox,
        backoff: Backoff,
    ) -> None:
        self.channel = channel
        self._service, self._credentials = service, credentials
        self._position, self._inbox, self._backoff = start, inbox, backoff
        self._acknowledgements = Acknowledgements()
        self._ending = threading.Event()
        self._connection: ClientConnection | None = None
        self._unauthorized = False
        self._thread = threading.Thread(target=self._run, name=f"channel {channel}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, content: Content, timeout: float) -> Future[Published]:
        return self._acknowledgements.submit(content, timeout)

    def ask_to_end(self) -> None:
        self._ending.set()
        self._acknowledgements.end(closed=True)

    def wait_for_end(self) -> None:
        """An attempt that is still connecting is not waited for: it times out, and holds no resource of the subscription."""
        connection = self._connection
        if connection is not None:
            closing = threading.Thread(target=connection.close, daemon=True)
            closing.start()
            closing.join(CLOSE_TIMEOUT)
            with contextlib.suppress(OSError):  # it may be closed already, and mostly is
                connection.socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            wait = 0.0
            while not self._ending.wait(wait):
                wait = self._attempt()
        except Closed:
            return
        except BaseException as exc:  # any failure must reach the program that waits for events
            self._inbox.fail(exc)
        finally:
            self._acknowledgements.end(closed=True)

    # One attempt.

    def _attempt(self) -> float:
        """Seconds until the next one. Raises Refused if there is none."""
        self._report(Status.CONNECTING)
        try:
            with self._connect() as connection:
                self._connection = connection
                try:
                    self._follow(connection)
                finally:
                    self._connection = None
                    self._acknowledgements.end()
        except _Interrupted as exc:
            wait = self._backoff.wait(exc.at_least)
            if not self._ending.is_set():
                self._report(Status.WAITING, str(exc), wait)
            return wait
        return 0.0

    def _connect(self) -> contextlib.AbstractContextManager[ClientConnection]:
        return _translated(self._open, self._refused)

    def _open(self) -> contextlib.AbstractContextManager[ClientConnection]:
        try:
            headers, ticket = self._credentials.headers(), self._credentials.new_ticket()
        except Exception as exc:  # the program's functions may raise anything; the reason is shown
            raise _Interrupted(f"There is no token or ticket: {type(exc).__name__}: {exc}") from exc
        return connect(
            self._service.websocket(self.channel, self._position, ticket),
            additional_headers=headers,
            open_timeout=PATIENCE,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            max_size=MAX_FRAME,
            create_connection=PatchSafeConnection,
        )

    def _refused(self, exc: InvalidStatus) -> Exception:
        """Whether to try again. A renewable token may have just expired; refused twice in a row it is wrong."""
        response = exc.response
        again = (
            response.status_code == UNAUTHORIZED and self._credentials.renewable and not self._unauthorized
        )
        self._unauthorized = response.status_code == UNAUTHORIZED
        refused = refusal(
            f"Subscribing to {self.channel} was refused",
            response.status_code,
            bytes(response.body or b""),
            response.headers.get("Retry-After"),
        )
        if again or refused.transient:
            return _Interrupted(str(refused), refused.retry_after or 0.0)
        return refused

    def _follow(self, connection: ClientConnection) -> None:
        """Returns when the connection is to be replaced at once."""
        protocol = ChannelProtocol(self.channel, self._position)
        subscribed_at: float | None = None
        try:
            self._begin(protocol, connection)
            subscribed_at = time.monotonic()
            self._acknowledgements.begin(connection)
            self._read(protocol, connection)
        except Violation as exc:
            connection.close(1002, str(exc)[:100].encode("ascii", "replace").decode())
            raise _Interrupted(str(exc)) from exc
        except TimeoutError as exc:
            raise _Interrupted(f"The server sent nothing for {PATIENCE:g} s.") from exc
        finally:
            if subscribed_at is not None:
                self._backoff.lasted(time.monotonic() - subscribed_at)

    def _begin(self, protocol: ChannelProtocol, connection: ClientConnection) -> None:
        decoded = protocol.take(connection.recv(PATIENCE))
        if isinstance(decoded, ErrorFrame):
            raise _Interrupted(f"Subscribing failed: {_summary(decoded.problem)}")
        assert isinstance(decoded, SubscribedFrame)  # the protocol accepts no other first frame
        self._unauthorized = False
        if decoded.lost and not self._deliver(Lost(self.channel, decoded.cursor), 0):
            raise _Interrupted(
                "History was lost, and there is no room for the notice until the program reads."
            )
        self._position = decoded.cursor
        self._report(Status.SUBSCRIBED)

    def _read(self, protocol: ChannelProtocol, connection: ClientConnection) -> None:
        """Returns when what was dropped can be fetched."""
        behind = False
        deadline: float | None = None
        while True:
            frame = _frame(connection, ROOM_CHECK if behind else None)
            decoded = protocol.take(frame) if frame is not None else None
            if isinstance(decoded, Message | Lost):
                behind = behind or not self._deliver(decoded, len(frame or ""))
            elif decoded is not None and not isinstance(decoded, SubscribedFrame):
                self._settle(decoded)
            if behind and (deadline or self._inbox.has_room()):
                deadline = deadline or time.monotonic() + LAST_ANSWERS
                if self._acknowledgements.pause() or time.monotonic() > deadline:
                    return

    def _deliver(self, event: Message | Lost, size: int) -> bool:
        while not self._inbox.offer(event, size):
            if self._acknowledgements.used:
                return False
            self._inbox.wait(ROOM_CHECK)
        self._position = event.cursor
        return True

    def _settle(self, decoded: Any) -> None:
        if (
            not self._acknowledgements.settle(decoded)
            and isinstance(decoded, ErrorFrame)
            and decoded.ref is None
        ):
            raise _Interrupted(f"The server reports: {_summary(decoded.problem)}")

    def _report(self, status: Status, reason: str = "", wait: float | None = None) -> None:
        cursor = self._position if isinstance(self._position, Cursor) else None
        self._inbox.report(State(self.channel, status, cursor, reason, wait))


@contextlib.contextmanager
def _translated(
    opening: Callable[[], contextlib.AbstractContextManager[ClientConnection]],
    refused: Callable[[InvalidStatus], Exception],
) -> Any:
    """A connection, with the exceptions of `websockets` and of sockets translated."""
    try:
        with opening() as connection:
            yield connection
    except InvalidStatus as exc:
        raise refused(exc) from exc
    except ConnectionClosed as exc:
        raise _Interrupted(f"The connection ended: {exc}") from exc
    except (OSError, EOFError, ValueError, WebSocketException) as exc:
        raise _Interrupted(f"There is no connection: {str(exc) or type(exc).__name__}") from exc


def _frame(connection: ClientConnection, timeout: float | None) -> str | bytes | None:
    try:
        return connection.recv(timeout)
    except TimeoutError:
        return None


def _summary(problem: dict[str, Any]) -> str:
    return str(problem.get("detail") or problem.get("title") or "no reason was given")[:SHOWN]
