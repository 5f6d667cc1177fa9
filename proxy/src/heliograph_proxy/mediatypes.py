"""Media types of streams: answers of records that are sent as they happen, for as long as their application likes. Pure."""

from __future__ import annotations

from typing import Final

#: Server-sent events, the names of newline-delimited JSON (RFC 7464's sequences, too), and pictures that replace each other.
STREAMS: Final = frozenset(
    (
        "text/event-stream",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-seq",
        "application/stream+json",
        "multipart/x-mixed-replace",
    )
)


def is_stream(content_type: str) -> bool:
    """Whether an answer without Content-Length is a stream. Parameters and case do not matter."""
    return content_type.partition(";")[0].strip().lower() in STREAMS
