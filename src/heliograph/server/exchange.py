"""One request and its answer in the middleware, while the server iterates over the answer."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol
from urllib.parse import quote

from heliograph_proxy.errors import CLIENT_LEFT
from heliograph_proxy.mediatypes import is_stream
from heliograph_proxy.traceparent import trace_id

from heliograph.problems import InternalError
from heliograph.request import logs
from heliograph.request.environ import EXCHANGE, OFFER, TAKEN
from heliograph.request.forwarding import ResolvedClient
from heliograph.server.body import BodyError, SilentBody

Environ = dict[str, Any]


#: Answers that have no body (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})

#: What an answer may consist of. PEP 3333 names only the first; all three can be sent.
_BYTES = (bytes, bytearray, memoryview)

#: Statuses from here on are no answers that stream.
_REDIRECTIONS = 300


class Observer(Protocol):
    """What is told of each request; it logs and counts them."""

    @property
    def instance(self) -> str: ...

    def begin(self) -> None: ...

    def give_up(self) -> None:
        """The request is another observer's now."""

    def finish(self, exchange: WrappedRequest, seconds: float) -> None: ...


class WrappedRequest:
    """The headers that every answer has, and what the log says of it."""

    def __init__(
        self, observer: Observer, environ: Environ, start_response: Any, client: ResolvedClient
    ) -> None:
        self.environ = environ
        self.request_id = client.request_id or secrets.token_hex(16)
        self.status = 0
        self.sent = 0
        self.complete = False
        #: The client went away, as the application noticed.
        self.left = False
        #: A WebSocket or a stream of records: how long it lasts says nothing about requests.
        self.stream = False
        self._failed = False
        #: Bytes that the answer may have, where that is known: the server sends none beyond.
        self._length: int | None = None
        self._observer = observer
        self._start_response = start_response
        self._began = time.monotonic()
        self._closed = False
        environ[EXCHANGE] = self
        environ["heliograph.request_id"] = self.request_id
        environ["REMOTE_ADDR"] = client.address
        environ["wsgi.url_scheme"] = client.scheme
        environ["HTTP_HOST"] = client.host
        if client.prefix:
            environ["SCRIPT_NAME"] = client.prefix
        environ.pop("HTTP_FORWARDED", None)  # the layers have one way to tell of the client
        environ["QUERY_STRING"] = _encoded(environ.get("QUERY_STRING", ""))
        logs.request_id.set(self.request_id)
        #: The trace that the request belongs to, or "".
        self.trace_id = ""
        if "HTTP_TRACEPARENT" in environ:
            self.trace_id = trace_id(environ["HTTP_TRACEPARENT"])
            logs.trace_id.set(self.trace_id)
        observer.begin()

    def hand_over(self, observer: Observer) -> None:
        """Have the request logged and counted by another middleware, nearer to the application."""
        if observer is not self._observer:
            self._observer.give_up()
            self._observer = observer
            observer.begin()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status, self.stream, self._length = (
            int(status[:3]),
            False,
            None,
        )  # it may have been called before
        given = [name.lower() for name, _ in headers]
        if self.status in BODILESS:
            self._length = 0
        elif "content-length" in given:
            length = headers[given.index("content-length")][1]
            self._length = int(length) if length.isdecimal() else None
        if "content-length" not in given and "content-type" in given and self.status < _REDIRECTIONS:
            self.stream = is_stream(headers[given.index("content-type")][1])
        own = (
            ("x-instance", ("X-Instance", self._observer.instance)),
            ("x-request-id", ("X-Request-Id", self.request_id)),
            ("x-content-type-options", ("X-Content-Type-Options", "nosniff")),
        )
        # The application's own wins: two of a name would be read in two ways.
        added = [field for key, field in own if key not in given]
        return self._start_response(status, [*headers, *added], exc_info)

    def relay(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        return _Relay(self, pieces)

    def fail(self, error: BaseException) -> None:
        """The application raised. Before the first byte of its answer the server answers for it."""
        self._failed = True
        if not self.sent:
            self.status = error.code if isinstance(error, BodyError | SilentBody) else InternalError.status

    def close(self) -> None:
        """The answer has ended or broke off."""
        if self._closed:
            return
        self._closed = True
        websocket = self.environ.get(OFFER)
        taken = not self.status and TAKEN in self.environ
        if taken or (websocket is not None and websocket.accepted):
            self.status, self.complete, self.stream = 101, True, True
        elif not self.status:  # the server answers for an application that called no start_response
            self.status = InternalError.status
        elif self.left or self._cut:
            self.status = CLIENT_LEFT
        self._observer.finish(self, time.monotonic() - self._began)
        logs.request_id.set("")
        if self.trace_id:
            logs.trace_id.set("")

    @property
    def _cut(self) -> bool:
        """The server stopped to send what the application went on to give, and not because that was too much."""
        whole = self.complete or self._failed or not self.sent
        whole |= self._length is not None and self.sent > self._length
        return not whole and self.environ["REQUEST_METHOD"] != "HEAD"


class _Relay:
    """Passes the pieces of an answer on and counts them."""

    def __init__(self, exchange: WrappedRequest, pieces: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._iterator = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._iterator)
        except StopIteration:
            self._exchange.complete = True
            raise
        except BaseException as exc:  # gevent.Timeout, too
            self._exchange.fail(exc)
            raise
        if not isinstance(piece, _BYTES):
            error = TypeError(f"an application gave {type(piece).__name__} where an answer has bytes")
            self._exchange.fail(error)
            raise error
        self._exchange.sent += len(piece)
        return piece

    def close(self) -> None:
        try:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.close()


def _encoded(query: str) -> str:
    """A query in ASCII: bytes that the client forgot to percent-encode are, for not all of them would be UTF-8."""
    return query if query.isascii() else quote(query, safe=string.printable, encoding="latin-1")
