"""Messages as the log keeps them: bytes, what they are, and when they came. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from heliograph.channels.errors import MessageTooLong
from heliograph.channels.names import check_name

#: Bytes of a message. A subscriber that falls behind may have 1 MiB waiting, which should be more than a few of them.
MAX_MESSAGE = 64 << 10

#: Characters of an idempotency key.
MAX_KEY = 128


class Kind(IntEnum):
    """What the bytes of a message are. The numbers are in stored logs: never give one a new meaning."""

    JSON = 0  # UTF-8, checked by the publisher
    TEXT = 1  # UTF-8
    BYTES = 2


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """`time` is in seconds since 1970 and never goes back within a channel."""

    offset: int
    time: float
    kind: Kind
    data: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key of one subject, and the digest of the body that it was used with."""

    id: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """A message to be published. Make it with `new_append`, which checks it."""

    channel: str
    kind: Kind
    data: bytes
    key: Key | None = None


def new_append(channel: str, kind: Kind, data: bytes, *, key: str | None = None, subject: str = "") -> Append:
    """`key` counts for one channel and `subject`, who publishes. Raises InvalidName, MessageTooLong; ValueError for a bad key."""
    check_name(channel)
    if len(data) > MAX_MESSAGE:
        raise MessageTooLong(f"A message has at most {MAX_MESSAGE} bytes.")
    if key is None:
        return Append(channel, kind, data)
    if not 0 < len(key) <= MAX_KEY:
        raise ValueError(f"An idempotency key has 1 to {MAX_KEY} characters.")
    # The length in front: no two pairs of a subject and a key give the same bytes.
    identity = f"{len(subject)}:{subject}{key}".encode("utf-8", "surrogatepass")
    return Append(channel, kind, data, Key(_digest(identity), _digest(str(int(kind)).encode() + b":" + data)))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
