"""Bodies on their way: a request's to the backend, in a separate greenlet so that an answer can come back meanwhile, and an
answer's to the client.

One piece of a request's body is in memory at a time: it is read from the client only when the one before was taken by the
backend. An answer waits in memory for a slow client as far as `held` allows, so that its backend is free.
"""

from __future__ import annotations

from typing import Final

import gevent

from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import ClientGone, Problem, StreamError
from heliograph_proxy.held import MOST_OF_ANSWER, UnsentAnswer
from heliograph_proxy.http1 import framing
from heliograph_proxy.http1.responses import Delivery
from heliograph_proxy.readsize import ReadSize
from heliograph_proxy.requestbody import BodySource, OutgoingRequest
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER

#: A backend that takes no more of the body has usually answered already; this long is waited for that answer.
ANSWER_GRACE: Final = 1.0


class Upload:
    """Sends the rest of a body. What goes wrong on the client's side interrupts the wait for the
    backend."""

    def __init__(
        self, runtime: Runtime, request: OutgoingRequest, source: BodySource, deadline: float
    ) -> None:
        """`deadline` is for the answer while no body is due."""
        self._runtime = runtime
        self._source = source
        self._first = request.payload
        self._chunked = request.head.chunked
        self._greenlet: gevent.Greenlet[..., None] | None = None
        #: When the answer's head must be there: not before the body has been sent.
        self.answer_deadline = deadline if source.waits_for_continue else NEVER

    @property
    def complete(self) -> bool:
        return self._source.reader.complete and self._greenlet is None

    def start(self, backend: SocketStream) -> None:
        self._greenlet = gevent.spawn(self._run, backend)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None

    def go_on(self) -> None:
        """The backend asks for the body, and the client was told."""
        self._source.go_on()
        self.answer_deadline = NEVER

    def _run(self, backend: SocketStream) -> None:
        try:
            self._send_all(backend)
        except StreamError:
            self._expect_answer(backend, ANSWER_GRACE)
        except (Problem, ClientGone) as exc:
            backend.interrupt(exc)
        else:
            self._greenlet = None
            self._expect_answer(backend, self._runtime.settings.timeouts.response)

    def _send_all(self, backend: SocketStream) -> None:
        source = self._source
        payload, self._first = self._first, b""
        reader, read = source.reader, ReadSize()
        while True:
            if payload:
                at_once = backend.send(framing.chunk(payload) if self._chunked else payload)
                read.relayed(len(payload), at_once=at_once)
            if reader.complete:
                break
            payload = source.next(read.size)
            if self.answer_deadline != NEVER:  # it comes without being asked for
                self._wait_for_body(backend)
        if self._chunked:
            backend.send(framing.LAST_CHUNK)

    def _wait_for_body(self, backend: SocketStream) -> None:
        if backend.read_deadline == self.answer_deadline:
            backend.read_deadline = NEVER
        self.answer_deadline = NEVER

    def _expect_answer(self, backend: SocketStream, seconds: float) -> None:
        # A wait that has begun has no deadline yet; one that begins later looks at `answer_deadline`.
        self.answer_deadline = monotonic() + seconds
        if backend.read_deadline == NEVER:
            backend.read_deadline = self.answer_deadline


class Download:
    """An answer that is not here as a whole."""

    def __init__(
        self, runtime: Runtime, backend: SocketStream, client: SocketStream, delivery: Delivery, name: str
    ) -> None:
        self._backend = backend
        self._client = client
        self._delivery = delivery
        backend.silence = runtime.settings.timeouts.tunnel
        self._read = ReadSize()
        self._reader = delivery.reader()
        #: What is left to send of an answer that can be short enough to be held.
        self._unsent = UnsentAnswer(runtime.held, name, client, backend)
        length = delivery.length
        self._may_hold = length is None or length <= MOST_OF_ANSWER

    def run(self, out: bytes, data: bytes) -> UnsentAnswer:
        """`out`: the head for the client. `data`: what the backend has sent of the body. A bad or cut body is a FramingError or
        StreamError."""
        try:
            self._run(out, data)
        except BaseException:
            self._unsent.stop()
            raise
        return self._unsent

    def _run(self, out: bytes, data: bytes) -> None:
        reader, to_chunks = self._reader, self._delivery.to_chunks
        while True:
            payload = reader.feed(data)
            out += framing.chunk(payload) if to_chunks else payload
            if reader.complete:
                break
            if out:
                self._read.relayed(len(payload), at_once=self._pass_on(out))
                out = b""
            data = self._backend.recv(monotonic() + self._backend.silence, self._read.size)
            if not data:
                reader.ended()
        if to_chunks:
            out += framing.LAST_CHUNK
        if out:
            self._pass_on(out, last=True)
        # What comes after an answer belongs to no request: such a connection is not used again.
        self._backend.buffer = reader.rest

    def _pass_on(self, out: bytes, *, last: bool = False) -> bool:
        """Whether the client has it already."""
        unsent = self._unsent
        rest: bytes | memoryview = out
        if unsent.empty:
            left = self._client.offer(out)
            if left is None:
                return True
            rest = left
        if self._may_hold and unsent.add(rest):
            if not last:
                unsent.send_meanwhile()
            return False
        self._may_hold = False  # too long, or there is no room: it is read at the client's speed from now on
        unsent.drain()
        self._client.send_rest(memoryview(rest))
        return False


def download(
    runtime: Runtime, backend: SocketStream, client: SocketStream, start: bytes, delivery: Delivery, name: str
) -> UnsentAnswer | None:
    """Send an answer on, `start` being the head for the client. Returns when the backend has done its part; what the client has
    not taken then, if anything, is held for it in the share of `name`."""
    data, backend.buffer = backend.buffer, b""
    if len(data) != delivery.length:
        download = Download(runtime, backend, client, delivery, name)
        return download.run(start, data)
    rest = client.offer(start + data)  # all of it is here, as with most small answers
    if rest is None:
        return None
    unsent = UnsentAnswer(runtime.held, name, client, backend)
    if unsent.add(rest):
        return unsent
    client.send_rest(rest)
    return None
