"""Steady publishing through a whole stack, and subscribers that come back by their cursors.

What each of them was told is checked in the end.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Self
from urllib.parse import urlsplit

from heliograph_client import Client, Lost, Message, State, Status, Subscription
from proxy_tests.processes import until

#: Seconds that a message, or a return after whatever happened, may take. Only a hang ends it.
PATIENCE = 40.0

#: Seconds of silence on a stream of events, which has a comment every 15 s.
SILENCE = 20.0

#: Seconds until a follower of a stream comes back. A browser would wait for some seconds.
RETRY = 0.1

_names = itertools.count(1)


def new_channel() -> str:
    """A name that no other test uses."""
    return f"steady-{next(_names)}"


def soon() -> float:
    """Chance for clients that do not wait long between their attempts."""
    return 0.1


class Journal(threading.Thread, ABC):
    """What a subscriber was told from `after` on: numbers, None for a notice that messages were lost.

    `interruptions`: how often it had to come back.
    """

    def __init__(self, url: str, channel: str, after: str = "earliest") -> None:
        super().__init__(daemon=True)
        self.cursor = after
        self.told: list[int | None] = []
        self.interruptions = 0
        self.failure: BaseException | None = None
        self._url, self._channel = url, channel

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self.join(PATIENCE)
        assert not self.is_alive()

    def run(self) -> None:
        try:
            self.follow()
        except BaseException as exc:
            self.failure = exc

    @abstractmethod
    def follow(self) -> None:
        """Write down what comes, until `leave`."""

    @abstractmethod
    def leave(self) -> None:
        """End `follow`, from another thread."""

    def reached(self, number: int) -> bool:
        """Whether it was told that number, or a higher one, last. Raises what made it give up."""
        if self.failure is not None:
            raise self.failure
        return (self.told[-1] or 0) >= number if self.told else False


class SocketFollower(Journal):
    """By the Python client, over WebSocket."""

    _events: Subscription | None = None

    def follow(self) -> None:
        with Client(self._url, chance=soon) as client:
            self._events = client.subscribe(self._channel, after=self.cursor)
            for event in self._events:
                self.cursor = str(event.cursor or self.cursor)
                if isinstance(event, Message):
                    self.told.append(number_of(event.data))
                elif isinstance(event, Lost):
                    self.told.append(None)
                else:
                    assert isinstance(event, State)
                    self.interruptions += event.status is Status.WAITING

    def leave(self) -> None:
        events = until(lambda: self._events, "a subscription")
        assert events is not None
        events.close()


class StreamFollower(Journal):
    """Over server-sent events, with `Last-Event-ID` as a browser sends it."""

    _leaving = False
    _connection: http.client.HTTPConnection | None = None

    def follow(self) -> None:
        while not self._leaving:
            with suppress(OSError, http.client.HTTPException):
                self._attempt()
            if not self._leaving:
                self.interruptions += 1
                time.sleep(RETRY)

    def _attempt(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=SILENCE)
        self._connection = connection
        try:
            connection.request(
                "GET", f"/channels/{self._channel}/events", headers={"Last-Event-ID": self.cursor}
            )
            response = connection.getresponse()
            if response.status == 200:
                self._read(response.readline)
        finally:
            connection.close()

    def _read(self, readline: Callable[[], bytes]) -> None:
        fields: dict[str, str] = {}
        while line := readline().decode():
            name, _, value = line.rstrip("\n").partition(":")
            if line != "\n":
                fields[name] = value.removeprefix(" ")
                continue
            self.cursor = fields.get("id", self.cursor)
            if "data" in fields:
                self.told.append(None if fields.get("event") == "lost" else number_of(fields["data"]))
            fields = {}

    def leave(self) -> None:
        self._leaving = True
        connection = self._connection
        if connection is not None and (sock := connection.sock) is not None:
            with suppress(OSError):
                sock.shutdown(2)


def number_of(data: Any) -> int:
    """A message is a number, or a text that begins with one."""
    return int(str(data).split(" ", 1)[0])


class Steady(threading.Thread):
    """Publishes 1, 2, 3 …, each until it is acknowledged. `acknowledged` has the offset of each in its turn."""

    def __init__(self, url: str, channel: str, padding: int = 0, pause: float = 0.002) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[int] = []
        self._client, self._channel = Client(url, chance=soon), channel
        self._padding, self._pause = " " + "x" * padding if padding else "", pause
        self._over = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """End it. Raises what made it give up."""
        self._over.set()
        self.join(PATIENCE)
        assert not self.is_alive()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        try:
            while not self._over.wait(self._pause):
                self.publish_next()
        except BaseException as exc:
            self._failure = exc

    def publish_next(self) -> None:
        published = self._client.publish(self._channel, f"{self.last + 1}{self._padding}", timeout=PATIENCE)
        self.acknowledged.append(published.offset)

    @property
    def last(self) -> int:
        """The number that was acknowledged last."""
        return len(self.acknowledged)

    def go_on(self, count: int) -> None:
        """Wait for so many more."""
        target = self.last + count

        def reached() -> bool:
            if self._failure is not None:
                raise self._failure
            return self.last >= target

        until(reached, f"{count} more messages", PATIENCE)


class Watched(ExitStack):
    """Steady publishing at `to`, followed from the beginning by so many subscribers of either kind at each of `urls`."""

    def __init__(
        self,
        to: str,
        urls: Sequence[str],
        count: int = 3,
        padding: int = 0,
        kinds: Sequence[type[Journal]] = (SocketFollower, StreamFollower),
    ) -> None:
        super().__init__()
        self.channel = new_channel()
        self.steady = Steady(to, self.channel, padding)
        self.followers: list[Journal] = [
            kind(url, self.channel) for url in urls for kind in kinds for _ in range(count)
        ]

    def __enter__(self) -> Self:
        super().__enter__()
        for follower in self.followers:
            self.enter_context(follower)
        self.enter_context(self.steady)
        self.caught_up(20)
        return self

    def caught_up(self, count: int = 50) -> None:
        """Wait for so many more messages, and then for everybody to have as many."""
        self.steady.go_on(count)
        target = self.steady.last
        until(
            lambda: all(one.reached(target) for one in self.followers),
            f"message {target} at all subscribers",
            PATIENCE,
        )

    def finish(self) -> int:
        """End the publishing, and wait until everybody has the last message, whose number is returned."""
        self.steady.finish()
        last = self.steady.last
        until(
            lambda: all(one.reached(last) for one in self.followers),
            f"message {last} at all subscribers",
            PATIENCE,
        )
        return last

    def everything_once(self) -> None:
        """Check that all of them were told everything, once and in order, and that each message was stored once."""
        last = self.finish()
        assert self.steady.acknowledged == list(range(1, last + 1))
        for one in self.followers:
            assert one.told == list(range(1, last + 1)), told(one.told)

    def one_notice(self) -> None:
        """Check that all of them were told once that messages were lost, and otherwise everything in order."""
        last = self.finish()
        for one in self.followers:
            assert one.told.count(None) == 1, told(one.told)
            notice = one.told.index(None)
            before, after = one.told[:notice], one.told[notice + 1 :]
            assert before == list(range(1, notice + 1)), told(one.told)
            assert after == list(range(after[0] or 0, last + 1)), told(one.told)
            assert (after[0] or 0) > notice


def told(numbers: Sequence[int | None]) -> str:
    """Where a sequence does not go on as it should, for who reads a failure."""
    odd = [
        f"…{before}, {after}…"
        for before, after in itertools.pairwise(numbers)
        if before is None or after != before + 1
    ]
    return f"begins with {numbers[:2]}, ends with {numbers[-2:]}, in between {odd[:10]}"
