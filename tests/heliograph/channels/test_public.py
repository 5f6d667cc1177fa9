"""`Channels` as programs use it: with plain threads, which is pytest's own process, and in a process patched by gevent."""

from __future__ import annotations

import gc
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gevent
import pytest
from proxy_tests.processes import PYTHON, clean_environment

from heliograph import Channels, Lost, Message
from heliograph.channels.errors import InvalidCursor, InvalidName, KeyReused, MessageTooLong
from tests.heliograph.channels.followers import eventually
from tests.heliograph.channels.patched import patched

#: Of each kind, and some that JSON or UTF-8 could change.
VALUES: list[object] = [{"id": 7}, "text ☀", b"\x00\xff", None, 1.5, [], "\ud800", 10**30, ""]

Conversation = Callable[[Channels], None]


def publish_and_read(channels: Channels) -> None:
    sent = [channels.publish("a", value) for value in VALUES]
    assert [one.offset for one in sent] == list(range(1, len(VALUES) + 1))
    page = channels.history("a")
    assert (page.top, page.recovered, [message.data for message in page]) == (len(VALUES), True, VALUES)
    assert page.epoch == sent[0].epoch
    assert page.messages[0].time == pytest.approx(sent[0].time, abs=1e-5)
    assert [one.offset for one in channels.history("a", after=sent[1].cursor, limit=2)] == [3, 4]
    assert [one.offset for one in channels.history("a", after=str(sent[-2].cursor))] == [len(VALUES)]
    assert not channels.history("a", after="another:1").recovered
    assert channels.presence("a").count == 0


def publish_again(channels: Channels) -> None:
    first = channels.publish("a", 1, idempotency_key="k")
    again = channels.publish("a", 1, idempotency_key="k")
    assert ((again.epoch, again.offset), again.repeated) == ((first.epoch, first.offset), True)
    with pytest.raises(KeyReused):
        channels.publish("a", 2, idempotency_key="k")


def publish_many(channels: Channels) -> None:
    repeated = {"channel": "b", "data": "x", "idempotency_key": "k"}
    outcomes = channels.publish_many([("a", 1), repeated, {**repeated, "data": "y"}, ("a", b"2")])
    assert [getattr(one, "offset", type(one)) for one in outcomes] == [1, 1, KeyReused, 2]
    assert [message.data for message in channels.history("a")] == [1, b"2"]
    assert channels.publish_many([]) == []
    outcomes = channels.publish_many([("a", 3), ("no name", 4), ("a", "x" * 65537), ("a", 5)])
    assert [getattr(one, "offset", type(one)) for one in outcomes] == [3, InvalidName, MessageTooLong, 4]
    with pytest.raises(TypeError):
        channels.publish_many([("a", 6), ("a", object())])
    assert channels.history("a").top == 4, "a mistake of the program publishes nothing"


def subscribe(channels: Channels) -> None:
    before = channels.publish("a", "before")
    with channels.subscribe("a") as live, channels.subscribe("a", after="earliest") as all_of_it:
        assert next(all_of_it).data == "before"  # type: ignore[union-attr]
        sent = [channels.publish("a", number) for number in range(3)]
        for one in (live, all_of_it):
            taken = [next(one) for _ in range(3)]
            assert taken == [Message("a", before.epoch, n + 2, s.time, n) for n, s in enumerate(sent)]
        with channels.subscribe("a", after=sent[0].cursor) as rest:
            assert [next(rest).offset for _ in range(2)] == [3, 4]
    assert list(live) == []
    with channels.subscribe("a", after="another:5") as lost:
        event = next(lost)
        assert isinstance(event, Lost)
        assert (event.epoch, event.offset) == (before.epoch, 4)


def leave(channels: Channels) -> None:
    """A loop that is left ends its subscription, without a collection of garbage; the channel may be subscribed to again."""
    hub = channels._service().hub
    gc.disable()
    try:
        for number in range(3):
            sent = channels.publish("a", number)
            for message in channels.subscribe("a", after="earliest"):
                assert message.offset == 1
                break
            eventually(lambda: not hub.follows("a"), "the channel is followed")
        subscription = channels.subscribe("a", after=sent.cursor)
        channels.publish("a", "last")
        assert next(subscription).offset == 4
        del subscription
        eventually(lambda: not hub.follows("a"), "the channel is followed")
    finally:
        gc.enable()


def remove(channels: Channels) -> None:
    """The channel begins anew, for those that subscribe, those that come back, and those that read from the earliest on."""
    last = [channels.publish("a", number) for number in range(3)][-1]
    channels.publish("b", "stays")
    with channels.subscribe("a") as live, channels.subscribe("a", after="earliest") as all_of_it:
        assert [next(all_of_it).offset for _ in range(3)] == [1, 2, 3]
        channels.remove_history("a")
        for one in (live, all_of_it):
            event = next(one)
            assert isinstance(event, Lost)
            assert (event.epoch != last.epoch, event.offset) == (True, 0)
        after = channels.publish("a", "anew")
        assert (after.epoch, after.offset) == (event.epoch, 1)
        assert next(live).data == next(all_of_it).data == "anew"  # type: ignore[union-attr]
    page = channels.history("a")
    assert (page.epoch, [message.data for message in page]) == (after.epoch, ["anew"])
    assert not channels.history("a", after=last.cursor).recovered
    with channels.subscribe("a", after="earliest") as again:
        assert next(again).data == "anew"  # type: ignore[union-attr]
    assert channels.history("b").top == 1
    channels.remove_history("c")
    assert channels.history("c").top == 0
    channels.remove_history("a")
    channels.remove_history("a")
    assert channels.history("a").messages == ()


def read_slowly(channels: Channels) -> None:
    """More arrives than waits for a reader: it is read from the log."""
    with channels.subscribe("a") as reader:
        for start in range(0, 3000, 500):
            channels.publish_many([("a", number) for number in range(start, start + 500)])
        assert [next(reader).data for _ in range(3000)] == list(range(3000))  # type: ignore[union-attr]


def use_threads(channels: Channels) -> None:
    """Each of several threads publishes, while another one reads."""
    found: list[object] = []
    subscription = channels.subscribe("a")

    def read() -> None:
        found.extend(event.offset for event in subscription)

    reader = threading.Thread(target=read)
    reader.start()

    def write(name: int) -> None:
        for number in range(20):
            channels.publish("a", [name, number])

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    with channels.subscribe("a", after="earliest") as behind:
        assert [next(behind).offset for _ in range(80)] == list(range(1, 81))
    subscription.close()
    reader.join(60)
    assert not reader.is_alive()
    assert found == list(range(1, len(found) + 1))


def refuse(channels: Channels) -> None:
    wrong: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: channels.publish("no name", 1), InvalidName),
        (lambda: channels.publish("$tickets", 1), InvalidName),
        (lambda: channels.history("no name"), InvalidName),
        (lambda: channels.remove_history("no name"), InvalidName),
        (lambda: channels.subscribe("no name"), InvalidName),
        (lambda: channels.history("a", after="yesterday"), InvalidCursor),
        (lambda: channels.subscribe("a", after="yesterday"), InvalidCursor),
        (lambda: channels.history("a", limit=0), ValueError),
        (lambda: channels.publish("a", "x" * 65537), MessageTooLong),
        (lambda: channels.publish("a", float("nan")), ValueError),
        (lambda: channels.publish("a", object()), TypeError),
        (lambda: channels.publish("a", 1, idempotency_key=""), ValueError),
        (lambda: Channels("nats://here"), ValueError),
    ]
    for attempt, error in wrong:
        with pytest.raises(error):
            attempt()
    assert channels.history("a").top == 0


CONVERSATIONS: dict[str, Conversation] = {
    function.__name__: function
    for function in (
        publish_and_read,
        publish_again,
        publish_many,
        subscribe,
        leave,
        remove,
        read_slowly,
        use_threads,
        refuse,
    )
}


def converse(name: str, url: str, folder: Path) -> None:
    settings = {"spool": str(folder), "max_channels": 100}
    with Channels(url, settings=settings) as channels:
        CONVERSATIONS[name](channels)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_in_a_program_with_plain_threads(name: str, url: str, tmp_path: Path) -> None:
    converse(name, url, tmp_path)


@pytest.mark.parametrize("name", CONVERSATIONS)
@patched
def test_in_a_program_patched_by_gevent(name: str, url: str, tmp_path: Path) -> None:
    converse(name, url, tmp_path)


@patched
def test_a_timeout_around_a_read_ends_no_subscription() -> None:
    with Channels("memory://") as channels, channels.subscribe("a") as reader:
        for number in range(2):
            with suppress(gevent.Timeout), gevent.Timeout(0.01):
                next(reader)
            channels.publish("a", number)
            assert next(reader).data == number  # type: ignore[union-attr]


def test_a_url_that_needs_a_patched_process_says_so() -> None:
    with pytest.raises(ValueError, match=r"rediss:// needs a process that is patched by gevent"):
        Channels("rediss://127.0.0.1:1/0").publish("a", 1)


def test_a_program_has_no_folder_for_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").write_text("no folder can be made here")
    with Channels("memory://") as channels:
        assert channels.publish("a", 1).offset == 1


ENDING = """
from heliograph import Channels
channels = Channels("memory://")
channels.publish("a", 1)
for message in channels.subscribe("a", after="earliest"):
    print(message.data)
    break
"""

FORKING = """
import os
from heliograph import Channels
channels = Channels("memory://")
channels.publish("a", 1)
child = os.fork()
if not child:
    try:
        channels.publish("a", 2)
    except RuntimeError as exc:
        print("refused:", exc)
    print(Channels("memory://").publish("a", 2).offset)
else:
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize(
    ("program", "output"),
    [
        (ENDING, "1\n"),
        (f"from gevent import monkey\nmonkey.patch_all()\n{ENDING}", "1\n"),
        (
            FORKING,
            "refused: this was used before the process was forked: make another one in the child\n1\n",
        ),
    ],
    ids=["plain", "patched", "forked"],
)
def test_a_program_that_closes_nothing_ends_without_a_word(program: str, output: str) -> None:
    ended = subprocess.run(
        [PYTHON, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, output, "")
