"""The subscribers of one channel at this process who are up to date, and telling all of them something at once.

Nobody is waited for. Who cannot keep up is ended by its own queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from heliograph.channels.live.events import Batch, Lost
from heliograph.channels.transports.forms import Form

#: Members that are told before others have a turn: about a millisecond.
AT_ONCE = 128

Offer = Callable[[bytes], None]


class Member(Protocol):
    """A subscriber. Nothing here may wait."""

    @property
    def form(self) -> Form: ...

    def offer(self, data: bytes, /) -> None:
        """Send this sooner or later; who cannot keep up is ended instead."""

    def lose(self, event: Lost, /) -> None:
        """Say that messages were lost."""


class Members:
    def __init__(self) -> None:
        self._members: set[Member] = set()
        self._groups: dict[Form, list[Offer]] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> None:
        self._members.add(member)
        self._groups = None

    def discard(self, member: Member) -> None:
        self._members.discard(member)
        self._groups = None

    def tell(self, batch: Batch) -> Iterator[None]:
        """Tell all who are members now, in pieces: others may have a turn before each next one."""
        return _tell([(batch.made(form), offers) for form, offers in self._grouped().items()])

    def lose(self, event: Lost) -> Iterator[None]:
        """The same with the notice that something was lost."""
        return _lose(list(self._members), event)

    def _grouped(self) -> dict[Form, list[Offer]]:
        """The members by form. Never changed, but made anew, for somebody may be going through it."""
        if self._groups is None:
            self._groups = {}
            for member in self._members:
                self._groups.setdefault(member.form, []).append(member.offer)
        return self._groups


def _tell(groups: list[tuple[bytes, list[Offer]]]) -> Iterator[None]:
    for data, offers in groups:
        for start in range(0, len(offers), AT_ONCE):
            for offer in offers[start : start + AT_ONCE]:
                offer(data)
            yield


def _lose(members: list[Member], event: Lost) -> Iterator[None]:
    for start in range(0, len(members), AT_ONCE):
        for member in members[start : start + AT_ONCE]:
            member.lose(event)
        yield
