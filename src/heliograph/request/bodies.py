"""Request bodies, read whole before an answer starts, and answers made of bodies.

Nginx and ordinary HTTP clients cannot send and receive at once, so no answer starts before the whole request was read. Up to
1 MiB of it stay in memory, the rest goes to the spool; memory does not grow with bodies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any, Protocol

from flask import Response, request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from heliograph.problems import BodyTooLarge, IncompleteBody, RequestTimeout, SpoolFull
from heliograph.request.client import current_client
from heliograph.request.spool import Spool, SpoolFile

#: What reading a body may raise.
PROBLEMS = (BodyTooLarge, IncompleteBody, RequestTimeout, SpoolFull)

#: Larger bodies go to the spool. One of these may be in memory for each request in flight.
MEMORY_LIMIT = 1 << 20

#: Bytes read or written at once: few enough to share the loop and the memory, many enough to be fast.
PIECE = 256 << 10

#: The same where native threads read: what the codecs take in one call.
BLOCKING_PIECE = 512 << 10

#: Seconds a native thread makes output before it returns to the event loop: many steps cost time, long ones delay an end.
STEP = 0.1


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Body:
    """A complete body: in memory when it is small, else in a spool file. Close it, or answer with it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._pieces: list[bytes] = []
        self.file: SpoolFile | None = None
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Add a piece. Raises SpoolFull."""
        if self.file is None and self.size + len(piece) > MEMORY_LIMIT:
            self.file = self._spool.open(current_client())
            self.file.write(b"".join(self._pieces))
            self._pieces.clear()
        if self.file is None:
            self._pieces.append(piece)
        else:
            self.file.write(piece)
        self.size += len(piece)

    def fill(self, pieces: Iterator[bytes]) -> bytes | None:
        """Append `pieces` in a native thread, as long as there is room for them: only the event loop may make more.

        Returns the first piece that has no room, an empty one when STEP is over, None when there are no more pieces.
        """
        end = monotonic() + STEP
        for piece in pieces:
            if len(piece) > self._room():
                return piece
            if self.file is None:
                self._pieces.append(piece)
            else:
                self.file.blocking_write(piece)
            self.size += len(piece)
            if monotonic() > end:
                return b""
        return None

    def complete(self) -> Body:
        """Nothing more is appended."""
        if self.file is not None:
            self.file.trim()
        return self

    def _room(self) -> int:
        return MEMORY_LIMIT - self.size if self.file is None else self.file.room

    def pieces(self) -> Iterator[bytes]:
        """The content, in pieces of bounded size."""
        if self.file is None:
            yield from self._pieces
            return
        offset = 0
        while offset < self.size:
            piece = self.file.read(PIECE, offset)
            offset += len(piece)
            yield piece

    def blocking_pieces(self) -> Iterator[bytes]:
        """The same for native threads, which may wait for a disk and must not touch the event loop."""
        if self.file is None:
            yield from self._pieces
            return
        offset = 0
        while piece := os.pread(self.file.descriptor, BLOCKING_PIECE, offset):
            offset += len(piece)
            yield piece

    def value(self) -> bytes:
        """The whole content, for bodies that are bounded by other means."""
        return b"".join(self.pieces())

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


class _Answer:
    """A body as a WSGI iterable that closes it when the answer has ended or broke off."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._pieces = body.pieces()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._body.close()


def read_request(spool: Spool, limit: int) -> Body:
    """The body of the current request.

    Raises BodyTooLarge above `limit` bytes, before reading where the length is announced; IncompleteBody when the client went
    away in the middle; RequestTimeout when it fell silent; SpoolFull.
    """
    check_announced(limit)
    return collect(spool, limited(request_pieces(), limit))


def check_announced(limit: int) -> None:
    """Raise BodyTooLarge when the request announces more than `limit` bytes."""
    if (request.content_length or 0) > limit:
        raise too_large(limit)


def request_pieces() -> Iterator[bytes]:
    """The current request's body as it arrives."""
    # Not `request.stream`, which has Werkzeug's own bound for views that read forms: that one refuses a body of exactly the
    # limit, and hides a client's silence.
    return _read_pieces(get_input_stream(request.environ))


def limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        yield piece


def collect(spool: Spool, pieces: Iterable[bytes]) -> Body:
    """Pieces to a body. Nothing stays behind when reading them fails."""
    body = Body(spool)
    try:
        for piece in pieces:
            body.append(piece)
    except BaseException:
        body.close()
        raise
    return body.complete()


def produce(spool: Spool, step: Callable[..., bytes | None], stream: Iterator[bytes]) -> Body:
    """What `stream` yields as a body, made and written in native threads: `step` calls a function in one."""
    body = Body(spool)
    piece: bytes | None = b""
    try:
        while piece is not None:
            body.append(piece)
            piece = step(body.fill, stream)
    except BaseException:
        body.close()
        raise
    return body.complete()


def too_large(limit: int) -> BodyTooLarge:
    # The rest of the body is still on its way: the connection cannot go on.
    return BodyTooLarge(f"At most {limit} bytes are taken.", headers={"Connection": "close"}, limit=limit)


def answer(body: Body, content_type: str) -> Response:
    """A response with `body`, of bytes that came from a user: browsers must not run them."""
    response = Response(_Answer(body), headers={"Content-Length": str(body.size)})
    response.headers["Content-Type"] = content_type
    return sandboxed(response)


def sandboxed(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


def _read_pieces(stream: Readable) -> Iterator[bytes]:
    while True:
        piece = _read(stream)
        if not piece:
            return
        yield piece


def _read(stream: Any) -> bytes:
    try:
        piece: bytes = stream.read(PIECE)
    except TimeoutError as exc:
        raise RequestTimeout(headers={"Connection": "close"}) from exc
    except (ClientDisconnected, OSError, ValueError) as exc:
        # Servers report an end in the middle, and broken chunks, in their own classes of these.
        raise IncompleteBody(headers={"Connection": "close"}) from exc
    return piece
