"""One try at one backend: get a connection, send the request, read the head of the answer.

Ends with a head, or with an AttemptFailed whose type says what the backend may have seen, or with an error of
the client's side (Problem, ClientGone), which is no failure of a backend.
"""

from __future__ import annotations

from typing import Final

from heliograph_proxy import streams
from heliograph_proxy.accesslog import Record
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import (
    BadGateway,
    ClientGone,
    Disconnected,
    FramingError,
    GatewayTimeout,
    HeadTooLong,
    NothingSent,
    SomethingSent,
    StaleConnection,
    StreamError,
    TimedOut,
)
from heliograph_proxy.http1 import grammar, responses
from heliograph_proxy.http1.fields import END_OF_HEAD
from heliograph_proxy.http1.responses import ResponseHead
from heliograph_proxy.relay import Upload
from heliograph_proxy.requestbody import OutgoingRequest
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream

#: Answers before the final one, as 100 and 103, that are passed on; servers send at most two.
MAX_INTERIM: Final = 8

#: A kept connection that ends sooner than this after the request was sent had been ending already: the request was not seen.
#: Later, the backend had it, and may have died of it.
STALE_SECONDS: Final = 0.5


class Attempt:
    """Use `run` once, then read the answer's body from `stream`; `detach` the stream for reuse or `abandon`
    it."""

    __slots__ = (
        "_client",
        "_deadline",
        "_record",
        "_request",
        "_reused",
        "_runtime",
        "_stale_until",
        "backend",
        "client_gone",
        "continued",
        "stream",
        "upload",
    )

    def __init__(
        self,
        runtime: Runtime,
        backend: Backend,
        request: OutgoingRequest,
        client: SocketStream,
        record: Record,
    ) -> None:
        self.backend = backend
        #: None before `run` and after `detach`.
        self.stream: SocketStream | None = None
        self.upload: Upload | None = None
        #: The client was told to send its body.
        self.continued = False
        self.client_gone = False
        self._runtime = runtime
        self._request = request
        self._client = client
        self._record = record
        self._reused = False
        self._stale_until = 0.0
        self._deadline = 0.0

    def run(self, *, fresh: bool) -> ResponseHead:
        record, client, balancer = self._record, self._client, self._runtime.balancer
        begun = monotonic()
        self.stream = stream = self._connect(begun, fresh)
        connected = begun if self._reused else monotonic()
        record.Tc = connected - begun
        self._stale_until = connected + STALE_SECONDS
        waiting = balancer.waiting[self.backend] if self._request.repeatable else None
        if waiting is not None:
            waiting.add(stream)
        if self._request.rest is None:
            client.on_readable = self._client_said_something
            client.arm()  # its end may have come in the queue
        try:
            deadline = connected + self._runtime.settings.timeouts.response
            self._send(stream, deadline)
            head = self._read_head(stream, deadline)
        finally:
            if waiting is not None:
                waiting.discard(stream)
        self._request.forget()
        now = monotonic()
        record.Tr = now - connected
        if head.stream or head.status == responses.SWITCHING_PROTOCOLS:
            self.backend.proved()  # the time to its head is the time to the first event, if it likes
        else:
            self.backend.succeeded(record.Tr, now)
        return head

    @property
    def connected(self) -> SocketStream:
        """The connection, between `run` and `detach`."""
        assert self.stream is not None
        return self.stream

    def detach(self) -> SocketStream:
        """Take the connection, for another request."""
        stream, self.stream = self.stream, None
        assert stream is not None
        return stream

    def abandon(self) -> None:
        """Give back what is left of it."""
        self._client.on_readable = None
        if self.upload is not None:
            self.upload.stop()
        if self.stream is not None:
            self.stream.close()

    def _connect(self, now: float, fresh: bool) -> SocketStream:
        runtime = self._runtime
        if not fresh:
            kept = runtime.connections.reuse(self.backend, now, young=not self._request.repeatable)
            if kept is not None:
                self._reused = True
                return kept
        return runtime.connections.connect(self.backend.settings.address, runtime.settings.timeouts.connect)

    def _send(self, stream: SocketStream, deadline: float) -> None:
        request, before = self._request, stream.sent
        try:
            stream.send(request.wire)
        except TimedOut as exc:
            raise SomethingSent(GatewayTimeout("the backend did not take the request in time")) from exc
        except Disconnected as exc:
            problem = BadGateway("the backend closed the connection")
            raise (NothingSent(problem) if stream.sent == before else SomethingSent(problem)) from exc
        if request.rest is not None:
            self.upload = Upload(self._runtime, request, request.rest, deadline)
            self.upload.start(stream)

    def _read_head(self, stream: SocketStream, deadline: float) -> ResponseHead:
        self._deadline = deadline
        interim = 0
        try:
            while True:
                head = self._next_head(stream)
                if head.status >= responses.HTTP_OK:
                    return head
                if head.status == responses.SWITCHING_PROTOCOLS:
                    if self._request.head.websocket and head.upgrade == b"websocket":
                        return head
                    raise FramingError("it switches to a protocol that was not asked for")
                interim += 1
                if interim > MAX_INTERIM:
                    raise FramingError("too many interim answers")
                self._pass_interim(head)
        except HeadTooLong as exc:  # no failure of the backend's, and another one would say the same
            raise BadGateway(str(exc)) from exc
        except FramingError as exc:
            raise SomethingSent(BadGateway(f"the backend's answer is not HTTP: {exc}")) from exc
        except StreamError as exc:
            if exc.stream is not stream or self.client_gone:
                raise ClientGone("the client went away") from exc
            if isinstance(exc, TimedOut):
                raise SomethingSent(GatewayTimeout("the backend did not answer in time")) from exc
            stale = self._reused and not interim and not stream.buffer and monotonic() < self._stale_until
            problem = BadGateway("the backend closed the connection without an answer")
            raise (StaleConnection(problem) if stale else SomethingSent(problem)) from exc

    def _next_head(self, stream: SocketStream) -> ResponseHead:
        """The next head in the stream; what follows it stays in the buffer."""
        buffer, looked_at = stream.buffer, 0
        while True:
            if len(buffer) > looked_at:
                end = buffer.find(grammar.END, max(looked_at - 3, 0))
                if end >= 0:
                    stream.buffer = buffer[end + 4 :]
                    return responses.parse(buffer[: end + 2])
                responses.check_unfinished(buffer, looked_at)
                looked_at = len(buffer)
            data = stream.recv_later(self._answer_deadline())
            if not data:
                raise Disconnected(stream, "ended")
            buffer = stream.buffer = buffer + data

    def _answer_deadline(self) -> float:
        if self.client_gone:
            return monotonic() + streams.HALF_CLOSE_SECONDS
        return self._deadline if self.upload is None else self.upload.answer_deadline

    def _pass_interim(self, head: ResponseHead) -> None:
        """RFC 9110 section 15.2: not to a client of HTTP/1.0; a 100 only to one that waits for it."""
        request = self._request.head
        if request.minor == 0 or (head.status == responses.CONTINUE and not request.expects_continue):
            return
        self._client.send(head.passed_on + END_OF_HEAD)
        if head.status == responses.CONTINUE:
            self.continued = True
            if self.upload is not None:
                self.upload.go_on()

    def _client_said_something(self) -> None:
        """Called while only the backend is waited for: the next request, or the end of the connection."""
        if self._client.peek() == b"" and self.stream is not None:
            self.client_gone = True
            self.stream.read_deadline = min(
                self.stream.read_deadline, monotonic() + streams.HALF_CLOSE_SECONDS
            )
