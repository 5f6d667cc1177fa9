"""One channel followed for as long as the program likes: connect, pass on, and after any interruption go on behind the last event.

    attempt:  CONNECTING -> SUBSCRIBED -> (messages) -> WAITING -> attempt …

Only a refusal that would come again ends it, such as a token that is not allowed to subscribe.

A program that does not read is not read for: its connection fills up, the server ends it (3008), and the next one brings what is
missing. One that publishes over the same connection meanwhile waits for answers that come behind those messages; so for such a one
they are read and dropped, and fetched again, by the cursor, when it reads.
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
from heliograph_client.connection import FAREWELL, Connection
from heliograph_client.content import Content
from heliograph_client.conversation import MAX_FRAME, Conversation, Failed, Subscribed
from heliograph_client.credentials import Credentials
from heliograph_client.cursor import Cursor, Start
from heliograph_client.errors import SHOWN, UNAUTHORIZED, Closed, Violation
from heliograph_client.events import Lost, Message, Published, State, Status
from heliograph_client.inbox import Inbox
from heliograph_client.refusals import refusal

#: Seconds for a connection with its handshake, and then for the server's first word.
PATIENCE = 10.0

#: Seconds between our pings, and without an answer until the connection is dead. The server does about the same.
PING_INTERVAL, PING_TIMEOUT = 20.0, 10.0

#: Seconds between looks whether the program reads again, and for the last acknowledgements then.
ROOM_CHECK, LAST_ANSWERS = 0.1, 5.0


class _Interrupted(Exception):
    """The attempt is over; its text says why. `at_least` is how long the server wants to be left alone."""

    def __init__(self, reason: str, at_least: float = 0.0) -> None:
        super().__init__(reason)
        self.at_least = at_least


class Follower:
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
        self._place, self._inbox, self._backoff = start, inbox, backoff
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
        """An attempt that is still connecting is left behind: it gives up by itself, and holds nothing of ours."""
        connection = self._connection
        if connection is not None:
            farewell = threading.Thread(target=connection.close, daemon=True)
            farewell.start()
            farewell.join(FAREWELL)
            with contextlib.suppress(OSError):  # it may be closed already, and mostly is
                connection.socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(FAREWELL)

    def _run(self) -> None:
        try:
            wait = 0.0
            while not self._ending.wait(wait):
                wait = self._attempt()
        except Closed:
            return
        except BaseException as exc:  # whatever it is, the program that waits for events has to learn of it
            self._inbox.fail(exc)
        finally:
            self._acknowledgements.end(closed=True)

    # One attempt.

    def _attempt(self) -> float:
        """Seconds until the next one. Raises Refused if there is no point in one."""
        self._tell(Status.CONNECTING)
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
                self._tell(Status.WAITING, str(exc), wait)
            return wait
        return 0.0

    def _connect(self) -> contextlib.AbstractContextManager[ClientConnection]:
        return _translated(self._open, self._refused)

    def _open(self) -> contextlib.AbstractContextManager[ClientConnection]:
        try:
            headers, ticket = self._credentials.headers(), self._credentials.new_ticket()
        except Exception as exc:  # of the program's functions, which may raise anything; the reason is shown
            raise _Interrupted(f"There is no token or ticket: {type(exc).__name__}: {exc}") from exc
        return connect(
            self._service.websocket(self.channel, self._place, ticket),
            additional_headers=headers,
            open_timeout=PATIENCE,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            close_timeout=FAREWELL,
            max_size=MAX_FRAME,
            create_connection=Connection,
        )

    def _refused(self, exc: InvalidStatus) -> Exception:
        """Whether to try again. A token that can be made anew may have just expired; twice in a row it is wrong."""
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
        """Returns when the connection should be made anew at once."""
        conversation = Conversation(self.channel, self._place)
        subscribed_at: float | None = None
        try:
            self._begin(conversation, connection)
            subscribed_at = time.monotonic()
            self._acknowledgements.begin(connection)
            self._read(conversation, connection)
        except Violation as exc:
            connection.close(1002, str(exc)[:100].encode("ascii", "replace").decode())
            raise _Interrupted(str(exc)) from exc
        except TimeoutError as exc:
            raise _Interrupted(f"The server said nothing for {PATIENCE:g} s.") from exc
        finally:
            if subscribed_at is not None:
                self._backoff.lasted(time.monotonic() - subscribed_at)

    def _begin(self, conversation: Conversation, connection: ClientConnection) -> None:
        said = conversation.take(connection.recv(PATIENCE))
        if isinstance(said, Failed):
            raise _Interrupted(f"Subscribing failed: {_summary(said.problem)}")
        assert isinstance(said, Subscribed)  # the conversation takes nothing else first
        self._unauthorized = False
        if said.lost and not self._keep(Lost(self.channel, said.cursor), 0):
            raise _Interrupted("History was lost, and there is no room to say so until the program reads.")
        self._place = said.cursor
        self._tell(Status.SUBSCRIBED)

    def _read(self, conversation: Conversation, connection: ClientConnection) -> None:
        """Returns when what was dropped can be fetched."""
        behind = False
        deadline: float | None = None
        while True:
            frame = _frame(connection, ROOM_CHECK if behind else None)
            said = conversation.take(frame) if frame is not None else None
            if isinstance(said, Message | Lost):
                behind = behind or not self._keep(said, len(frame or ""))
            elif said is not None and not isinstance(said, Subscribed):
                self._settle(said)
            if behind and (deadline or self._inbox.has_room()):
                deadline = deadline or time.monotonic() + LAST_ANSWERS
                if self._acknowledgements.pause() or time.monotonic() > deadline:
                    return

    def _keep(self, event: Message | Lost, size: int) -> bool:
        while not self._inbox.offer(event, size):
            if self._acknowledgements.used:
                return False
            self._inbox.wait(ROOM_CHECK)
        self._place = event.cursor
        return True

    def _settle(self, said: Any) -> None:
        if not self._acknowledgements.settle(said) and isinstance(said, Failed) and said.ref is None:
            raise _Interrupted(f"The server reports: {_summary(said.problem)}")

    def _tell(self, status: Status, reason: str = "", wait: float | None = None) -> None:
        cursor = self._place if isinstance(self._place, Cursor) else None
        self._inbox.tell(State(self.channel, status, cursor, reason, wait))


@contextlib.contextmanager
def _translated(
    opening: Callable[[], contextlib.AbstractContextManager[ClientConnection]],
    refused: Callable[[InvalidStatus], Exception],
) -> Any:
    """A connection, with the exceptions of `websockets` and of sockets as ours."""
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
