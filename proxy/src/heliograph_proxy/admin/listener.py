"""The admin listener: who may ask, and how. What there is to ask for is console's business.

The same strict parser reads its requests; each connection has one. Without a token only names of this machine
are accepted as Host, so that no page of another site can reach it under its own name (DNS rebinding);
writes are refused to other origins.
"""

from __future__ import annotations

import hmac
import socket
from dataclasses import replace
from random import getrandbits
from time import monotonic
from typing import Any

import gevent

from heliograph_proxy import eventlog as events
from heliograph_proxy import headers
from heliograph_proxy.admin.views import OPEN_VIEWS, AdminAnswer, AdminViews, find
from heliograph_proxy.errors import (
    BadRequest,
    BodyTooLarge,
    Forbidden,
    FramingError,
    InternalError,
    MisdirectedRequest,
    Problem,
    RequestTimeout,
    StreamError,
    TimedOut,
    Unauthorized,
    UnsupportedMediaType,
)
from heliograph_proxy.hosts import host_name, is_localhost, normal_origin, origin_of
from heliograph_proxy.http1 import framing, grammar
from heliograph_proxy.http1.fields import CLOSE, END_OF_HEAD, NOSNIFF
from heliograph_proxy.http1.requests import RequestHead, check_unfinished
from heliograph_proxy.listener import ProxyListener
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.trust import read_address

#: A request must be there in whole within this time.
REQUEST_SECONDS = 10.0
#: The longest body of a write.
MAX_BODY = 16384
#: Operators and their pages; each holds a descriptor.
MAX_CONNECTIONS = 200

#: What pages of other sites cannot have as their name: besides these, localhost and the names below it.
LOCAL_ADDRESSES = ("127.0.0.1", "::1")
CSP = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
)

Fields = dict[bytes, bytes]


class AdminListener:
    """Serves the console. `start`, then `stop`."""

    def __init__(self, runtime: Runtime, console: AdminViews) -> None:
        self._runtime = runtime
        self._console = console
        self._busy: set[Any] = set()
        self._listener = ProxyListener(runtime.settings.admin, self._accept)

    def start(self) -> None:
        self._listener.start()

    def stop(self) -> None:
        self._listener.close()
        gevent.killall(list(self._busy))

    def _accept(self, sock: socket.socket, peer: Any) -> None:
        stream = SocketStream(sock, self._runtime.sweeper, REQUEST_SECONDS)
        greenlet = gevent.getcurrent()
        try:
            if len(self._busy) < MAX_CONNECTIONS:
                self._busy.add(greenlet)
                self._serve(stream)
        except StreamError:
            pass  # the other side went away, or takes nothing
        finally:
            self._busy.discard(greenlet)
            stream.close()

    def _serve(self, stream: SocketStream) -> None:
        request_id = f"{getrandbits(128):032x}".encode()
        try:
            answer = self._answer(stream)
        except Problem as problem:
            stream.send(headers.problem_response(problem, request_id, CLOSE))
            return
        except StreamError:
            raise
        except Exception as exc:
            events.log_exception("admin-failed", exc)
            stream.send(headers.problem_response(InternalError(), request_id, CLOSE))
            return
        _send(stream, answer, request_id)

    def _answer(self, stream: SocketStream) -> AdminAnswer:
        head, body = self._read(stream)
        fields: Fields = {}
        for name, value in grammar.fields(head.passed_on.split(b"\r\n", 1)[1]):
            if fields.setdefault(name.lower(), value) != value:
                raise BadRequest(f"{name.decode()} is there twice")
        method, path = head.method.decode(), head.target.decode().split("?")[0]
        self._check_host(head.host)
        view, caught = find(method, path)
        if view not in OPEN_VIEWS:
            self._check_token(fields)
        if method not in ("GET", "HEAD"):
            _check_write(method, fields, head.host)
        answer = view(self._console, caught, body)
        return replace(answer, body=b"") if method == "HEAD" else answer

    def _read(self, stream: SocketStream) -> tuple[RequestHead, bytes]:
        deadline = monotonic() + REQUEST_SECONDS
        try:
            while (end := stream.buffer.find(grammar.END)) < 0:
                check_unfinished(stream.buffer, 0, self._runtime.settings.limits)
                stream.buffer += _more(stream, deadline)
            head = self._runtime.parser.parse(stream.buffer[: end + 2])
            reader = framing.ChunkedReader() if head.chunked else framing.LengthReader(head.length or 0)
            body, data = b"", stream.buffer[end + 4 :]
            while True:
                body += reader.feed(data)
                if len(body) > MAX_BODY:
                    raise BodyTooLarge(f"the body is longer than {MAX_BODY} bytes", limit=MAX_BODY)
                if reader.complete:
                    return head, body
                data = _more(stream, deadline)
        except FramingError as exc:
            raise BadRequest(str(exc)) from exc
        except TimedOut as exc:
            raise RequestTimeout("the request did not arrive in time") from exc

    def _check_host(self, host: bytes) -> None:
        name = host_name(host.decode("latin-1")) or ""
        local = is_localhost(name) or read_address(name.strip("[]")) in LOCAL_ADDRESSES
        if not self._runtime.settings.admin_token and not local:
            raise MisdirectedRequest(
                "without a token only 127.0.0.1, localhost and [::1] are answered as Host"
            )

    def _check_token(self, fields: Fields) -> None:
        token = self._runtime.settings.admin_token.encode()
        scheme, _, given = fields.get(b"authorization", b"").partition(b" ")
        # RFC 9110 section 11.1: the scheme in any case, spaces behind it.
        if token and not (scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(b" \t"), token)):
            raise Unauthorized("the admin token is needed as Authorization: Bearer")


def _check_write(method: str, fields: Fields, host: bytes) -> None:
    """A page of another origin must not be able to write, whatever its visitor may do."""
    origin, called = fields.get(b"origin"), host.decode("latin-1")
    if b"cross-site" in grammar.tokens([fields.get(b"sec-fetch-site", b"")]):
        raise Forbidden("writes from other sites are refused")
    own = (origin_of("http", called), origin_of("https", called))
    if origin is not None and normal_origin(origin.decode("latin-1")) not in own:
        raise Forbidden("writes from other origins are refused")
    kind = fields.get(b"content-type", b"").split(b";")[0].strip(b" \t").lower()
    if kind != b"application/json":
        raise UnsupportedMediaType("writes need Content-Type: application/json")


def _more(stream: SocketStream, deadline: float) -> bytes:
    data = stream.recv(deadline)
    if not data:
        raise BadRequest("the connection ended inside the request")
    return data


def _send(stream: SocketStream, answer: AdminAnswer, request_id: bytes) -> None:
    fields = [
        f"HTTP/1.1 {answer.status}\r\n".encode(),
        f"Content-Type: {answer.kind}\r\n".encode() if answer.body else b"",
        b"X-Request-Id: %b\r\n" % request_id,
        NOSNIFF,
        CSP,
        b"Cache-Control: no-store\r\n",
        CLOSE,
    ]
    if isinstance(answer.body, bytes):
        size = b"Content-Length: %d\r\n" % len(answer.body) if answer.body else b""
        stream.send(b"".join([*fields, size, END_OF_HEAD, answer.body]))
        return
    stream.send(b"".join([*fields, END_OF_HEAD]))
    for piece in answer.body:
        stream.send(piece)
