"""A request's body on its way to the backend, in a separate greenlet, so that an answer can come back
meanwhile.

One piece is in memory at a time: it is read from the client only when the one before was taken by the
backend.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

import gevent

from heliograph_proxy.errors import (
    BadRequest,
    BodyTooLarge,
    FramingError,
    Problem,
    RequestTimeout,
    StreamError,
    TimedOut,
)
from heliograph_proxy.http1 import framing
from heliograph_proxy.http1.responses import Delivery
from heliograph_proxy.readsize import ReadSize
from heliograph_proxy.settings import ProxySettings
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER

#: A backend that takes no more of the body has usually answered already; this long is waited for that answer.
ANSWER_GRACE: Final = 1.0


class Upload:
    """Sends the rest of a body. What goes wrong on the client's side interrupts the wait for the
    backend."""

    def __init__(
        self, client: SocketStream, reader: framing.BodyReader, settings: ProxySettings, *, chunked: bool
    ) -> None:
        self._client = client
        self._reader = reader
        self._settings = settings
        self._chunked = chunked
        self._received = 0
        self._greenlet: gevent.Greenlet[..., None] | None = None
        #: When the answer's head must be there: not before the body has been sent.
        self.answer_deadline = NEVER

    @property
    def complete(self) -> bool:
        return self._reader.complete and self._greenlet is None

    def start(self, backend: SocketStream, first: bytes) -> None:
        """`first`: payload that came with the head."""
        self._greenlet = gevent.spawn(self._run, backend, first)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def _check_size(self, payload: bytes) -> None:
        limit = self._settings.limits.body_bytes
        self._received += len(payload)
        if limit and self._received > limit:
            raise BodyTooLarge(f"the body is longer than {limit} bytes", limit=limit)

    def _run(self, backend: SocketStream, first: bytes) -> None:
        try:
            self._send_all(backend, first)
        except StreamError as exc:
            if exc.stream is backend:
                self._expect_answer(backend, ANSWER_GRACE)
            elif isinstance(exc, TimedOut):
                backend.interrupt(RequestTimeout("the body stopped coming"))
            else:
                backend.interrupt(BadRequest("the connection ended inside the body"))
        except FramingError as exc:
            backend.interrupt(BadRequest(str(exc)))
        except Problem as exc:
            backend.interrupt(exc)
        else:
            self._greenlet = None
            self._expect_answer(backend, self._settings.timeouts.response)

    def _send_all(self, backend: SocketStream, payload: bytes) -> None:
        client, reader, patience = self._client, self._reader, self._settings.timeouts.body
        read = ReadSize()
        while True:
            if payload:
                self._check_size(payload)
                at_once = backend.send(framing.chunk(payload) if self._chunked else payload)
                read.relayed(len(payload), at_once=at_once)
            if reader.complete:
                break
            data = client.recv(monotonic() + patience, read.size)
            if not data:
                reader.ended()
            payload = reader.feed(data)
        if self._chunked:
            backend.send(framing.LAST_CHUNK)
        client.buffer = reader.rest

    def _expect_answer(self, backend: SocketStream, seconds: float) -> None:
        # A wait that has begun has no deadline yet; one that begins later looks at `answer_deadline`.
        self.answer_deadline = monotonic() + seconds
        if backend.read_deadline == NEVER:
            backend.read_deadline = self.answer_deadline


def download(
    backend: SocketStream, client: SocketStream, head: bytes, delivery: Delivery, patience: float
) -> None:
    """Send an answer, the head with the first bytes of the body; `patience` is how long the backend may fall silent.

    A bad or cut body is a FramingError or StreamError."""
    data, backend.buffer = backend.buffer, b""
    if len(data) == delivery.length:  # all of it is here, as with most small answers
        client.send(head + data)
        return
    reader, read = delivery.reader(), ReadSize()
    out = head
    while True:
        payload = reader.feed(data)
        out += framing.chunk(payload) if delivery.to_chunks else payload
        if reader.complete:
            client.send(out + framing.LAST_CHUNK if delivery.to_chunks else out)
            break
        if out:
            read.relayed(len(payload), at_once=client.send(out))
            out = b""
        data = backend.recv(monotonic() + patience, read.size)
        if not data:
            reader.ended()
    # What comes after an answer belongs to no request: such a connection is not used again.
    backend.buffer = reader.rest
