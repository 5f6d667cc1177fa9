"""A subscriber as the hub sees it, and sending one thing to all subscribers of a channel at this process.

Sending never waits. A subscriber that cannot keep up is ended by its own queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from heliograph.channels.live.events import Batch, Form, Lost

#: Subscribers that are sent something before others get a turn on the event loop: about a millisecond.
AT_ONCE = 128

Offer = Callable[[bytes], None]


class Subscriber(Protocol):
    """Nothing here may wait."""

    @property
    def form(self) -> Form: ...

    def offer(self, data: bytes, /) -> None:
        """Send this sooner or later; a subscriber that cannot keep up is ended instead."""

    def report_loss(self, event: Lost, /) -> None:
        """Tell that messages were lost."""


class SubscriberGroups:
    """The subscribers of a channel that are up to date, grouped by the form in which they take events."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()
        self._by_form: dict[Form, list[Offer]] | None = None

    def __len__(self) -> int:
        return len(self._subscribers)

    def add(self, subscriber: Subscriber) -> None:
        self._subscribers.add(subscriber)
        self._by_form = None

    def discard(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        self._by_form = None

    def send(self, batch: Batch) -> Iterator[None]:
        """Send to all that are subscribers now, in pieces: others may have a turn before each next one."""
        return _send([(batch.made(form), offers) for form, offers in self._grouped().items()])

    def report_loss(self, event: Lost) -> Iterator[None]:
        """The same with the notice that messages were lost."""
        return _report_loss(list(self._subscribers), event)

    def _grouped(self) -> dict[Form, list[Offer]]:
        """Never changed, but made anew: an earlier `send` may still go through it."""
        if self._by_form is None:
            self._by_form = {}
            for subscriber in self._subscribers:
                self._by_form.setdefault(subscriber.form, []).append(subscriber.offer)
        return self._by_form


def _send(groups: list[tuple[bytes, list[Offer]]]) -> Iterator[None]:
    for data, offers in groups:
        for start in range(0, len(offers), AT_ONCE):
            for offer in offers[start : start + AT_ONCE]:
                offer(data)
            yield


def _report_loss(subscribers: list[Subscriber], event: Lost) -> Iterator[None]:
    for start in range(0, len(subscribers), AT_ONCE):
        for subscriber in subscribers[start : start + AT_ONCE]:
            subscriber.report_loss(event)
        yield
