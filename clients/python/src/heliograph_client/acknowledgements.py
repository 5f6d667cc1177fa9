"""What was published over a connection and is not acknowledged yet."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from heliograph_client.content import Content
from heliograph_client.errors import Closed, Refused, Uncertain, Unreachable
from heliograph_client.events import Published
from heliograph_client.protocol import ErrorFrame, PublishedFrame

#: Messages sent and not acknowledged. The server reads no more than this of one client, too.
MAX_PENDING = 1000


class Acknowledgements:
    """`used`: whether this program publishes over its subscription."""

    def __init__(self) -> None:
        self.used = False
        self._changed = threading.Condition()
        self._connection: ClientConnection | None = None
        self._pending: dict[int, Future[Published]] = {}
        self._last_ref = 0
        self._closed = False

    def submit(self, content: Content, timeout: float) -> Future[Published]:
        """Send as soon as there is a connection and room. Raises Unreachable if that takes longer, Closed."""
        with self._changed:
            self.used = True
            self._changed.wait_for(lambda: self._closed or self._ready(), timeout)
            if self._closed:
                raise Closed("The subscription is closed.")
            if self._connection is None:
                raise Unreachable(f"Not published: there was no connection for {timeout:g} s.")
            if len(self._pending) >= MAX_PENDING:
                raise Unreachable(f"Not published: {MAX_PENDING} messages wait for the server.")
            connection = self._connection
            self._last_ref += 1
            ref, future = self._last_ref, Future[Published]()
            self._pending[ref] = future
        try:
            connection.send(content.frame(ref))
        except ConnectionClosed:
            self._lose([self._pop(ref)])
        return future

    def settle(self, frame: PublishedFrame | ErrorFrame) -> bool:
        """Whether the frame answers a pending message."""
        future = self._pop(frame.ref) if type(frame.ref) is int else None
        if future is None:
            return False
        if isinstance(frame, PublishedFrame):
            future.set_result(frame.published)
        else:
            status = frame.problem.get("status")
            future.set_exception(
                Refused("Not published", status if isinstance(status, int) else 0, frame.problem)
            )
        return True

    def begin(self, connection: ClientConnection) -> None:
        with self._changed:
            self._connection = connection
            self._changed.notify_all()

    def pause(self) -> bool:
        """Send nothing more on this connection; whether nothing is pending on it."""
        with self._changed:
            self._connection = None
            return not self._pending

    def end(self, *, closed: bool = False) -> None:
        """The connection is gone, and with it the answers to what is pending."""
        with self._changed:
            self._connection, self._closed = None, self._closed or closed
            pending, self._pending = list(self._pending.values()), {}
            self._changed.notify_all()
        self._lose(pending)

    def _ready(self) -> bool:
        return self._connection is not None and len(self._pending) < MAX_PENDING

    def _pop(self, ref: object) -> Future[Published] | None:
        with self._changed:
            future = self._pending.pop(ref, None) if isinstance(ref, int) else None
            self._changed.notify_all()
            return future

    def _lose(self, futures: Sequence[Future[Published] | None]) -> None:
        for future in futures:
            if future is not None:
                future.set_exception(Uncertain("The connection ended before the message was acknowledged."))
