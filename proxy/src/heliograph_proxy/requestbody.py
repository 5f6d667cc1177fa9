"""A request's body as it arrives. Its beginning is read before a slot is taken, so that no slot waits for a slow client.

With `Expect: 100-continue` nothing is read before: the client may wait for the backend's word.
"""

from __future__ import annotations

from heliograph_proxy import pace, retry
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import (
    BadRequest,
    BodyCut,
    BodyTooLarge,
    ClientGone,
    Disconnected,
    FramingError,
    RequestTimeout,
    TimedOut,
    Unavailable,
)
from heliograph_proxy.held import HeldBytes
from heliograph_proxy.http1 import framing
from heliograph_proxy.http1.requests import RequestHead
from heliograph_proxy.pace import Pace
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.settings import ProxySettings
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER


class OutgoingRequest:
    """A request as it goes to a backend; the same for each try."""

    __slots__ = ("head", "payload", "repeatable", "rest", "wire")

    def __init__(
        self, head: RequestHead, wire: bytes, payload: bytes, rest: BodySource | None, repeatable: bool
    ) -> None:
        self.head = head
        #: The new head, and the body if all of it is here.
        self.wire = wire
        #: The part of a longer body that is here.
        self.payload = payload
        #: Where the rest comes from.
        self.rest = rest
        #: May be sent twice: idempotent, and all of it is here.
        self.repeatable = repeatable

    def forget(self) -> None:
        """It is answered: no try needs its bytes again, however long the answer takes."""
        self.wire = self.payload = b""


def without_body(head: RequestHead, wire: bytes) -> OutgoingRequest:
    return OutgoingRequest(head, wire, b"", None, head.method in retry.IDEMPOTENT)


def with_body(head: RequestHead, wire: bytes, body: bytes) -> OutgoingRequest:
    """All of the body is here."""
    if head.chunked:
        body = framing.chunk(body) + framing.LAST_CHUNK
    return OutgoingRequest(head, wire + body, b"", None, head.method in retry.IDEMPOTENT)


def first_payload(
    head: RequestHead, reader: framing.BodyReader, client: SocketStream, settings: ProxySettings
) -> bytes:
    """What came of the body with the head."""
    try:
        payload = reader.feed(client.buffer)
    except FramingError as exc:
        raise BadRequest(str(exc)) from exc
    client.buffer = reader.rest
    limit = settings.limits.body_bytes
    if limit and max(len(payload), head.length or 0) > limit:
        raise _too_large(limit)
    return payload


class BodySource:
    """Reads a body from its client: in time, fast enough and not too much. What is wrong with it is a Problem or ClientGone."""

    __slots__ = (
        "_begun",
        "_client",
        "_limit",
        "_pace",
        "_received",
        "_runtime",
        "_told_at",
        "_waited",
        "reader",
        "waits_for_continue",
    )

    def __init__(
        self,
        client: SocketStream,
        reader: framing.BodyReader,
        runtime: Runtime,
        head: RequestHead,
        received: int,
    ) -> None:
        """`received`: bytes that came with the head."""
        self.reader = reader
        self._client = client
        self._runtime = runtime
        self._limit = runtime.settings.limits.body_bytes
        self._received = received
        self._pace: Pace | None = None
        #: When the wait began that goes on.
        self._begun = 0.0
        client.on_reload = self._reloaded
        self._set_pace()
        #: Seconds of waiting that are not counted yet.
        self._waited = 0.0
        #: The client may send nothing until it is told to go on.
        self.waits_for_continue = head.expects_continue and not received
        self._told_at = 0.0

    def wait(self) -> None:
        """Until there is something to read."""
        self._begun = begun = monotonic()
        try:
            self._client.wait_readable(begun + self._patience)
        except TimedOut as exc:
            raise _too_late() from exc
        except Disconnected as exc:
            raise _gone() from exc
        self._waited += monotonic() - begun

    def next(self, size: int) -> bytes:
        """The next payload, which may be empty."""
        self._begun = begun = monotonic()
        uncounted = self.waits_for_continue
        try:
            data = self._client.recv(begun + self._patience, size)
        except TimedOut as exc:
            raise _too_late() from exc
        except Disconnected as exc:
            raise _gone() from exc
        if not data:
            raise BodyCut("the connection ended inside the body")
        self.waits_for_continue = False
        payload = self._feed(data)
        if self._pace is not None:
            now = monotonic()
            if uncounted:
                begun = self._told_at or now
            self._pace.add(len(payload), self._waited + now - begun)
            self._waited = 0.0
            if self._pace.too_slow and not self.reader.complete:
                raise _too_late()
        if self.reader.complete:
            self._client.buffer = self.reader.rest
            self._client.on_reload = None
        return payload

    def go_on(self) -> None:
        """The client was told to send: its time begins, also if it is already waited for."""
        if self.waits_for_continue:
            self.waits_for_continue = False
            self._told_at = self._begun = monotonic()
            self._client.read_deadline = self._told_at + self._patience

    @property
    def _patience(self) -> float:
        if self.waits_for_continue:
            return NEVER
        silence = self._runtime.settings.timeouts.body
        return silence if self._pace is None else min(silence, self._pace.patience)

    def _feed(self, data: bytes) -> bytes:
        try:
            payload = self.reader.feed(data)
        except FramingError as exc:
            raise BadRequest(str(exc)) from exc
        self._received += len(payload)
        if self._limit and self._received > self._limit:
            raise _too_large(self._limit)
        return payload

    def _set_pace(self) -> None:
        rate = self._runtime.settings.client.body_rate
        if not rate:
            self._pace = None
        elif self._pace is None or self._pace.rate != rate:
            self._pace = Pace(rate, pace.BODY_SECONDS)
            self._pace.add(self._received, 0.0)

    def _reloaded(self) -> None:
        """The settings are new, also for a wait that has begun."""
        self._set_pace()
        self._client.read_deadline = self._begun + self._patience


class IncomingBody:
    """A body of which not all came with its head. `read` waits for its beginning; `release` when no try is left."""

    __slots__ = ("_held", "_name", "_size", "_source")

    def __init__(self, source: BodySource, held: HeldBytes, name: str) -> None:
        self._source = source
        self._held = held
        #: The client in whose share it is held.
        self._name = name
        #: Bytes that are counted as held.
        self._size = 0

    def read(self, head: RequestHead, wire: bytes, payload: bytes) -> OutgoingRequest:
        """The request as it goes to a backend, with the beginning of its body. `payload`: what is here already."""
        source = self._source
        if not head.expects_continue:
            payload = self._read_more(payload, head.length)
        if source.reader.complete:
            return with_body(head, wire, payload)
        return OutgoingRequest(head, wire, payload, source, False)

    def release(self) -> None:
        if self._size:
            self._held.give(self._name, self._size)
            self._size = 0

    def _read_more(self, payload: bytes, length: int | None) -> bytes:
        source, pieces, most = self._source, [payload], self._held.most_of_body
        wanted = (most if length is None else min(most, length)) - len(payload)
        if wanted > 0:
            self._find_room(len(payload))
        while wanted > 0 and not source.reader.complete:
            source.wait()
            self._find_room(wanted)
            piece = source.next(wanted)
            wanted -= len(piece)
            self._held.give(self._name, wanted)
            self._size -= wanted
            pieces.append(piece)
        return b"".join(pieces)

    def _find_room(self, size: int) -> None:
        """The rest stays unread meanwhile."""
        if not self._held.wait(self._name, size, begun=self._size > 0):
            raise Unavailable("too many bytes of bodies and answers are held for clients")
        self._size += size


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is longer than {limit} bytes", limit=limit)


def _too_late() -> RequestTimeout:
    return RequestTimeout("the body came too slowly")


def _gone() -> ClientGone:
    return ClientGone("the client went away inside its body")
