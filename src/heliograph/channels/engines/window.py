"""Which part of a channel's history counts; more may still be stored. Pure.

A message is history while it is among the newest `history_size` and younger than `history_ttl`. Stores trim later and in larger
pieces, so reading decides exactly.
"""

from __future__ import annotations

from collections.abc import Iterable

from heliograph.channels.cursor import Cursor
from heliograph.channels.message import StoredMessage
from heliograph.channels.records import MAX_PAGE_BYTES, Limits, Page


def floor(after: Cursor | None, top: int, limits: Limits) -> int:
    """The offset after which reading starts: that of the cursor, or what the size of the history leaves."""
    oldest = max(0, top - limits.history_size)
    return oldest if after is None else after.offset


def known(after: Cursor | None, epoch: str, top: int, limits: Limits) -> bool:
    """Whether a cursor can be resumed from as far as epoch, top and size say. Age is checked with the messages (`page`)."""
    if after is None:
        return True
    return after.epoch == epoch and top - limits.history_size <= after.offset <= top


def page(
    epoch: str,
    top: int,
    after: Cursor | None,
    found: Iterable[StoredMessage],
    limits: tuple[Limits, float, int],
) -> Page:
    """The page of the messages `found` above the floor, in order. `limits`: the bounds, the time now, and how many are wanted.

    Messages that are too old do not count; if they are missing right behind the cursor, it cannot be resumed from.
    """
    bounds, now, limit = limits
    messages: list[StoredMessage] = []
    size = 0
    for message in found:
        if message.offset > top:
            break  # appended after the top was looked up
        if message.time < now - bounds.history_ttl:
            continue
        size += len(message.data)
        if len(messages) == limit or (messages and size > MAX_PAGE_BYTES):
            break
        messages.append(message)
    if after is not None and after.offset < top and (not messages or messages[0].offset != after.offset + 1):
        return Page(epoch, top, False, ())
    return Page(epoch, top, True, tuple(messages))


def lost(epoch: str, top: int) -> Page:
    """The page of a cursor that cannot be resumed from."""
    return Page(epoch, top, False, ())
