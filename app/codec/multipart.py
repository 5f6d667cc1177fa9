"""The first file of a multipart/form-data body, streamed: pieces of the body in, pieces of the file out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, File, MultipartDecoder, NeedData

from app.problems import BadMultipart

#: Parts of one body. A form of a person or a program has a handful.
MAX_PARTS = 100

#: Bytes that the decoder may hold: a piece of the body, and what is not yet known to be a boundary or a part's whole head.
MAX_BUFFERED = 1 << 20


def boundary_of(content_type: str) -> bytes | None:
    """The boundary of a multipart/form-data Content-Type; None for any other type. Raises BadMultipart without one."""
    media_type, parameters = parse_options_header(content_type)
    if media_type.lower() != "multipart/form-data":
        return None
    boundary = parameters.get("boundary", "")
    # RFC 2046, 5.1.1: 1 to 70 characters.
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadMultipart("The Content-Type has no valid boundary.")
    return boundary.encode()


def first_file(pieces: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The content of the first part that has a file name. The whole body is read. Raises BadMultipart."""
    decoder = MultipartDecoder(boundary, MAX_BUFFERED, max_parts=MAX_PARTS)
    reader = _Reader(decoder)
    try:
        for piece in pieces:
            decoder.receive_data(piece)
            yield from reader.take()
        decoder.receive_data(None)
        yield from reader.take()
    except ValueError as exc:
        raise BadMultipart(f"{exc}.") from exc
    except RequestEntityTooLarge as exc:
        raise BadMultipart(
            f"At most {MAX_PARTS} parts, and {MAX_BUFFERED} bytes before, between and after them, are taken."
        ) from exc
    if not reader.ended:
        raise BadMultipart("The body ended before its last boundary.")
    if not reader.found:
        raise BadMultipart("No part of the body is a file.")


class _Reader:
    """Walks through the decoder's events; remembers whether it is inside the first file."""

    def __init__(self, decoder: MultipartDecoder) -> None:
        self._decoder = decoder
        self._inside = False
        self.found = False
        self.ended = False

    def take(self) -> Iterator[bytes]:
        while not self.ended:
            event = self._decoder.next_event()
            if isinstance(event, NeedData):
                return
            if isinstance(event, File) and not self.found:
                self.found = self._inside = True
            elif isinstance(event, Data) and self._inside:
                self._inside = event.more_data
                yield event.data
            elif isinstance(event, Epilogue):
                self.ended = True
