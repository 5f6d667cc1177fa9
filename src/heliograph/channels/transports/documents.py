"""JSON documents with a long list: made in small steps and sent in pieces, so that their length delays nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Response

from heliograph.request.pauses import Pauses

#: Bytes of a piece, about: few enough to be joined and encoded in no time.
PIECE = 128 << 10


def list_document(head: str, rows: Iterable[str]) -> Response:
    """The JSON object that begins with `head`, up to a `[`, and ends with `rows`."""
    pieces = list(_pieces(head, rows))
    return Response(
        pieces, mimetype="application/json", headers={"Content-Length": str(sum(map(len, pieces)))}
    )


def _pieces(head: str, rows: Iterable[str]) -> Iterator[bytes]:
    texts, size, separator = [head], 0, ""
    pauses = Pauses()
    for row in rows:
        texts += (separator, row)
        size, separator = size + len(row), ", "
        if size >= PIECE:
            yield "".join(texts).encode()
            texts, size = [], 0
        pauses()
    yield f"{''.join(texts)}]}}".encode()
