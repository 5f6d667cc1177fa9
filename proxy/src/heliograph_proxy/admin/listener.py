"""The admin listener: who may ask, and how. What there is to ask for is console's business.

The same strict parser reads its requests; each connection has one. Without a token only names of this machine are accepted as
Host, so that no page of another site can reach it under its own name (DNS rebinding); writes are refused to other origins.
"""

from __future__ import annotations

import hmac
import resource
import socket
from dataclasses import replace
from time import monotonic
from typing import Any

import gevent

from heliograph_proxy import eventlog as events
from heliograph_proxy import headers
from heliograph_proxy.admin import connectionslots
from heliograph_proxy.admin.views import OPEN_VIEWS, AdminAnswer, AdminViews, View, find
from heliograph_proxy.admin.writes import AdminWrite
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
    Unavailable,
    UnsupportedMediaType,
)
from heliograph_proxy.hosts import host_name, is_localhost, normal_origin, origin_of
from heliograph_proxy.http1 import framing, grammar
from heliograph_proxy.http1.fields import CLOSE, END_OF_HEAD, NOSNIFF
from heliograph_proxy.http1.requests import RequestHead, check_unfinished
from heliograph_proxy.inherited import InheritedSocket
from heliograph_proxy.listener import ProxyListener
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.trust import UNIX, read_address

#: A request must be there in whole within this time.
REQUEST_SECONDS = 10.0
#: The longest body of a write.
MAX_BODY = 16384
#: An answer, and each piece of a stream, must be read within this time.
ANSWER_SECONDS = 10.0
#: After a refusal the client gets this long to read it before its connection is closed under it.
LINGER_SECONDS = 1.0
#: Connections without a slot that are waited for. Others are closed at once.
MAX_REFUSING = 100

#: What pages of other sites cannot have as their name: besides these, localhost and the names below it.
LOCAL_ADDRESSES = ("127.0.0.1", "::1")
CSP = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
)

Fields = dict[bytes, bytes]


class Visitor:
    """A connection to the listener. `who` is its address, empty on a Unix socket."""

    def __init__(self, stream: SocketStream, who: str) -> None:
        self.stream = stream
        self.who = who or UNIX
        #: Its request is not there yet.
        self.waiting = True
        #: Another one has its slot.
        self.dismissed = False

    def dismiss(self) -> None:
        """End it, with an answer where none has begun."""
        self.dismissed = True
        if self.waiting:
            self.stream.interrupt(_too_many())
        else:
            self.stream.close()


class AdminListener:
    """Serves the console. `start`, then `stop`."""

    def __init__(
        self, runtime: Runtime, console: AdminViews, inherited: InheritedSocket | None = None
    ) -> None:
        self._runtime = runtime
        self._console = console
        self._greenlets: set[Any] = set()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = connectionslots.most_slots(descriptors)
        self._slots = connectionslots.ConnectionSlots[Visitor](most, connectionslots.KEPT)
        self._refusing = 0
        self.listener = ProxyListener(runtime.settings.admin, self._accept, inherited=inherited)

    def start(self) -> None:
        self.listener.start()

    def stop(self) -> None:
        self.listener.close()
        gevent.killall(list(self._greenlets))

    def _accept(self, sock: socket.socket, peer: Any) -> None:
        stream = SocketStream(sock, self._runtime.sweeper, REQUEST_SECONDS)
        greenlet = gevent.getcurrent()
        self._greenlets.add(greenlet)
        visitor = Visitor(stream, peer[0] if isinstance(peer, tuple) else "")
        try:
            leaving = self._slots.enter(visitor)
            if leaving is visitor:
                self._turn_away(stream, _too_many())
                return
            if leaving is not None:
                leaving.dismiss()
            self._serve(visitor)
        except StreamError:
            pass  # the other side went away, or takes nothing
        finally:
            self._slots.leave(visitor)
            self._greenlets.discard(greenlet)
            stream.close()

    def _turn_away(self, stream: SocketStream, problem: Problem) -> None:
        """Refuse one that has no slot."""
        self._refusing += 1
        try:
            self._refuse(stream, problem, wait=self._refusing <= MAX_REFUSING)
        finally:
            self._refusing -= 1

    def _serve(self, visitor: Visitor) -> None:
        stream = visitor.stream
        try:
            answer = self._answer(visitor)
            if not isinstance(answer.body, bytes) and not self._slots.stream(visitor):
                raise Unavailable("too many pages and streams are open here already")
        except Problem as problem:
            visitor.waiting = False
            if visitor.dismissed:
                self._turn_away(stream, problem)
            else:
                self._refuse(stream, problem)
            return
        except StreamError:
            raise
        except Exception as exc:
            events.log_exception("admin-failed", exc)
            self._refuse(stream, InternalError())
            return
        _send(stream, answer, self._new_id())

    def _refuse(self, stream: SocketStream, problem: Problem, *, wait: bool = True) -> None:
        """Answer with a problem. The client gets a moment to read it: closing while it still sends would reset the connection."""
        stream.send(headers.problem_response(problem, self._new_id(), CLOSE))
        stream.finish_writing()
        deadline = monotonic() + LINGER_SECONDS
        while wait and monotonic() < deadline and stream.recv(deadline):
            pass

    def _new_id(self) -> bytes:
        return self._runtime.request_ids.next().encode()

    def _answer(self, visitor: Visitor) -> AdminAnswer:
        deadline = monotonic() + REQUEST_SECONDS
        head = self._read_head(visitor.stream)
        fields: Fields = {}
        for name, value in grammar.fields(head.passed_on.split(b"\r\n", 1)[1]):
            if fields.setdefault(name.lower(), value) != value:
                raise BadRequest(f"{name.decode()} is there twice")
        if head.method in (b"GET", b"HEAD"):
            view, caught = self._find(visitor, head, fields)
            self._read_body(visitor, head, deadline)
            answer = view(self._console, caught, b"")
            return replace(answer, body=b"") if head.method == b"HEAD" else answer
        write = AdminWrite(visitor.who, fields, head)
        try:
            view, caught = self._find(visitor, head, fields)
            _check_write(fields, head.host)
            body = write.body = self._read_body(visitor, head, deadline)
            answer = view(self._console, caught, body)
        except Problem as problem:
            write.log(problem.status, problem.detail)
            raise
        write.log(int(answer.status.split()[0]))
        return answer

    def _find(self, visitor: Visitor, head: RequestHead, fields: Fields) -> tuple[View, str]:
        """The view for a request that may have it. From here on its visitor keeps the slot."""
        self._check_host(head.host)
        view, caught = find(head.method.decode(), head.target.decode().split("?")[0])
        known = self._has_token(fields)
        if not known and view not in OPEN_VIEWS:
            raise Unauthorized("the admin token is needed as Authorization: Bearer")
        if known:
            self._slots.prove(visitor)
        return view, caught

    def _read_head(self, stream: SocketStream) -> RequestHead:
        limits, timeouts = self._runtime.settings.limits, self._runtime.settings.timeouts
        deadline = monotonic() + min(REQUEST_SECONDS, timeouts.head)
        try:
            while (end := stream.buffer.find(grammar.END)) < 0:
                check_unfinished(stream.buffer, 0, limits)
                stream.buffer += _more(stream, deadline)
            head = self._runtime.parser.parse(stream.buffer[: end + 2])
        except TimedOut as exc:
            raise RequestTimeout("the request did not arrive in time") from exc
        stream.buffer = stream.buffer[end + 4 :]
        return head

    def _read_body(self, visitor: Visitor, head: RequestHead, deadline: float) -> bytes:
        """All of it, and with it the request."""
        stream = visitor.stream
        reader = framing.ChunkedReader() if head.chunked else framing.LengthReader(head.length or 0)
        body, data = b"", stream.buffer
        try:
            while True:
                body += reader.feed(data)
                if len(body) > MAX_BODY:
                    raise BodyTooLarge(f"the body is longer than {MAX_BODY} bytes", limit=MAX_BODY)
                if reader.complete:
                    visitor.waiting = False
                    return body
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

    def _has_token(self, fields: Fields) -> bool:
        token = self._runtime.settings.admin_token.encode()
        scheme, _, given = fields.get(b"authorization", b"").partition(b" ")
        # RFC 9110 section 11.1: the scheme in any case, spaces behind it.
        return not token or (scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(b" \t"), token))


def _check_write(fields: Fields, host: bytes) -> None:
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


def _too_many() -> Unavailable:
    return Unavailable("too many connections to the admin listener")


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
        _send_soon(stream, b"".join([*fields, size, END_OF_HEAD, answer.body]))
        return
    _send_soon(stream, b"".join([*fields, END_OF_HEAD]))
    for piece in answer.body:
        _send_soon(stream, piece)


def _send_soon(stream: SocketStream, data: bytes) -> None:
    """All of it within ANSWER_SECONDS: who reads a little now and then must not keep a slot for ever."""
    with gevent.Timeout(ANSWER_SECONDS, TimedOut(stream, "the answer was not read in time")):
        stream.send(data)
