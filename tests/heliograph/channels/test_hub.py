"""The hub on a real log: nobody misses anything, however hints behave."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError, TooManyChannels
from heliograph.channels.live.events import Batch, Event, Form, Lost, Subscribed
from heliograph.channels.live.hub import CHECK_INTERVAL, Hub
from heliograph.channels.live.start import From, Start
from heliograph.channels.live.subscriber import AT_ONCE
from heliograph.channels.log import Log
from heliograph.channels.names import TICKETS
from heliograph.channels.records import Limits, Notification
from tests.heliograph.channels.followers import eventually, opened, publish
from tests.heliograph.channels.patched import patched


class Tally:
    def __init__(self) -> None:
        self.deliveries = self.losses = self.present = 0

    def subscribers(self, transport: str, change: int) -> None:
        self.present += change

    def delivered(self, messages: int) -> None:
        self.deliveries += messages

    def lost(self, subscribers: int) -> None:
        self.losses += subscribers


class Seen:
    """A subscriber that keeps the offsets it is sent; `pause` is how long it takes for each event of the history."""

    def __init__(self, hub: Hub, start: Start, channel: str = "a", pause: float = 0.0) -> None:
        self.offsets: list[int] = []
        self.events: list[Event] = []
        self.form: Form = self._note
        self._hub, self._start, self._channel, self._pause = hub, start, channel, pause
        self.live = gevent.event.Event()
        self._leave = gevent.event.Event()
        self.refused: ChannelError | None = None
        self._greenlet = gevent.spawn(self._run)

    def _note(self, event: Event) -> bytes:
        return (
            b"".join(b"%d\n" % message.offset for message in event.messages)
            if isinstance(event, Batch)
            else b""
        )

    def offer(self, data: bytes) -> None:
        self.offsets += map(int, data.split())

    def report_loss(self, event: Lost) -> None:
        self.events.append(event)

    def _run(self) -> None:
        try:
            self._subscribe()
        except ChannelError as exc:
            self.refused = exc

    def _subscribe(self) -> None:
        with self._hub.subscribed(self._channel, "test", self, self._start) as events:
            for event in events:
                if isinstance(event, Batch):
                    self.offer(event.made(self.form))
                else:
                    self.events.append(event)
                gevent.sleep(self._pause)
            self.live.set()
            self._leave.wait()

    def leave(self) -> None:
        self._leave.set()
        self._greenlet.get()

    def wait(self) -> Seen:
        """Until it is live."""
        self.live.wait()
        return self

    def end(self) -> Seen:
        """Wait until it was refused."""
        self._greenlet.join()
        return self


@contextmanager
def hub_on(
    url: str, limits: Limits | None = None, tally: Tally | None = None, max_channels: int = 100
) -> Iterator[tuple[Log, Hub]]:
    with opened(url, limits) as (log,):
        hub = Hub(log, "test", max_channels, tally or Tally())
        yield log, hub
        hub.close()


@patched
def test_who_comes_at_any_time_has_everything_once_and_in_order(url: str) -> None:
    with hub_on(url) as (log, hub):
        chance = random.Random(1)
        epoch = publish(log, "1").epoch
        seen: list[Seen] = [Seen(hub, From.EARLIEST) for _ in range(AT_ONCE + 20)]
        for number in range(2, 400):
            publish(log, str(number))
            if number % 10 == 0:
                offset = chance.randrange(number)
                start = Cursor(epoch, offset) if chance.random() < 0.7 else From.EARLIEST
                seen.append(Seen(hub, start, pause=chance.choice((0.0, 0.02))))
            gevent.sleep(0)
        eventually(lambda: all(one.offsets[-1:] == [399] for one in seen), "the last message for all")
        for one in seen:
            first = one.events[0]
            assert isinstance(first, Subscribed)
            assert first.recovered is True
            assert one.offsets == list(range(first.cursor.offset + 1, 400))
            one.leave()


@patched
def test_a_hint_that_is_lost_does_no_harm(url: str) -> None:
    with hub_on(url) as (log, hub):
        seen = Seen(hub, From.NOW)
        seen.live.wait()
        log.listen(lambda news: None)
        publish(log, "1")
        publish(log, "2")
        with gevent.Timeout(4 * CHECK_INTERVAL):
            while seen.offsets != [1, 2]:
                gevent.sleep(0.05)
        seen.leave()


@patched
def test_hints_that_come_twice_late_and_in_pieces_do_no_harm(url: str) -> None:
    with hub_on(url) as (log, hub):
        chance = random.Random(2)
        heard: list[Notification] = []
        listeners = [hub._on_notification]
        seen = Seen(hub, From.NOW)
        seen.live.wait()
        log.listen(heard.append)
        for number in range(100):
            publish(log, str(number))
        eventually(lambda: heard and heard[-1].top == 100, "all hints")
        bare = [Notification(news.channel, news.epoch, news.top) for news in heard]
        mixed = heard * 2 + bare
        chance.shuffle(mixed)
        for news in mixed:
            listeners[0](news)
            gevent.sleep(chance.choice((0, 0.001)))
        eventually(lambda: len(seen.offsets) == 100, "all messages")
        assert seen.offsets == list(range(1, 101))
        seen.leave()


@patched
def test_nobody_follows_what_nobody_subscribes_to(url: str) -> None:
    tally = Tally()
    with hub_on(url, tally=tally, max_channels=2) as (log, hub):
        for _ in range(3):  # the second and third time it is followed anew
            some = [Seen(hub, From.NOW, "a"), Seen(hub, From.NOW, "a"), Seen(hub, From.NOW, "b")]
            for one in some:
                one.live.wait()
            assert tally.present == 3
            assert isinstance(Seen(hub, From.NOW, "c").end().refused, TooManyChannels)
            top = publish(log, "x").offset
            eventually(lambda top=top, some=some: some[0].offsets == some[1].offsets == [top], "the message")
            for one in some:
                one.leave()
        assert tally.present == 0
        Seen(hub, From.NOW, "c").wait().leave()
        eventually(lambda: log.presence.present("a").count == 0, "the end of the presence")


@patched
def test_the_channel_of_the_tickets_takes_no_other_ones_place() -> None:
    with hub_on("memory://", max_channels=1) as (_, hub):
        for names in ((TICKETS, "a"), ("a", TICKETS)):
            seen = [Seen(hub, From.NOW, name).wait() for name in names]
            for one in seen:
                one.leave()


@patched
def test_a_trim_that_overtakes_a_subscriber_is_a_notice(url: str) -> None:
    tally = Tally()
    with hub_on(url, Limits(history_size=5), tally) as (log, hub):
        seen = Seen(hub, From.NOW)
        seen.live.wait()
        log.listen(
            lambda news: hub._on_notification(news) if news.top > 20 else None
        )  # the other hints are lost
        for number in range(20):
            publish(log, str(number))
        publish(log, "last")
        eventually(lambda: len(seen.events) == 2, "the notice")
        notice = seen.events[1]
        assert isinstance(notice, Lost)
        assert tally.losses == 1
        publish(log, "next")
        # The hub looks at the tops by itself too: then the notice comes earlier, and what is left of the history after it.
        eventually(lambda: seen.offsets == list(range(notice.cursor.offset + 1, 23)), "what comes after")
        seen.leave()
