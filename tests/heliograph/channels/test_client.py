"""The Python client and its command against a real instance that is killed, restarted, and protected by tokens."""

from __future__ import annotations

import json
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from heliograph_client import (
    Client,
    Credentials,
    Lost,
    Message,
    Refused,
    State,
    Subscription,
)
from heliograph_client.__main__ import main
from proxy_tests.processes import PYTHON, Process

from tests.heliograph.channels.instance import Instance
from tests.heliograph.channels.patched import patched

PATIENCE = 30.0

SECRET = "a secret of at least thirty-two bytes"


def impatient() -> float:
    return 0.05


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """For all tests here that leave it alone; each has channels of its own."""
    with Instance(tmp_path_factory.mktemp("instance")) as running:
        yield running


def told(subscription: Subscription, last: Callable[[Message | Lost], bool]) -> list[Message | Lost]:
    """Messages and notices, up to the one that is `last`."""
    found: list[Message | Lost] = []
    while not found or not last(found[-1]):
        event = subscription.receive(PATIENCE)
        if not isinstance(event, State):
            found.append(event)
    return found


def follow_through_crashes(folder: str) -> None:
    """Steady publishing by HTTP while the instance is killed, restarted, and killed: what arrives is 1…N."""
    count = 300
    with (
        Instance(Path(folder)) as instance,
        Client(instance.url, chance=impatient) as client,
        client.subscribe("c", after="earliest") as events,
    ):

        def publish() -> None:
            for number in range(1, count + 1):
                client.publish("c", number, timeout=60)
                time.sleep(0.005)

        publisher = threading.Thread(target=publish)
        publisher.start()
        found: list[Message | Lost] = []
        for end, interrupt in ((80, instance.crash), (160, instance.restart), (240, instance.crash)):
            found += told(events, lambda event, end=end: isinstance(event, Message) and event.data == end)  # type: ignore[misc]
            interrupt()
        found += told(events, lambda event: isinstance(event, Message) and event.data == count)
        publisher.join()
        assert [event.data for event in found if isinstance(event, Message)] == list(range(1, count + 1))
        assert [event.cursor.offset for event in found] == list(range(1, count + 1))


@pytest.mark.slow
def test_what_arrives_through_crashes_is_everything_once_in_order(tmp_path: Path) -> None:
    follow_through_crashes(str(tmp_path))


@pytest.mark.slow
@patched
def test_it_is_the_same_where_the_standard_library_is_patched(tmp_path: str) -> None:
    follow_through_crashes(tmp_path)


@patched
def test_leaving_while_much_is_on_its_way_ends_no_patched_process(tmp_path: str) -> None:
    with Instance(Path(tmp_path)) as instance, Client(instance.url) as client:
        for number in range(3):
            with client.subscribe(f"c{number}", after="earliest") as events:
                for _ in range(3000):
                    events.submit("x")


def test_a_log_that_is_gone_with_its_process_gives_one_notice(tmp_path: Path) -> None:
    with (
        Instance(tmp_path, {"HELIOGRAPH_CHANNELS": "memory://"}) as instance,
        Client(instance.url, chance=impatient) as client,
        client.subscribe("c", after="earliest") as events,
    ):
        for word in ("a", "b"):
            client.publish("c", word)
        assert [e.cursor.offset for e in told(events, lambda e: e.cursor.offset == 2)] == [1, 2]
        instance.crash()
        lost = told(events, lambda event: isinstance(event, Lost))
        assert len(lost) == 1
        published = client.publish("c", "c")
        assert published.cursor.epoch == lost[0].cursor.epoch
        found = told(events, lambda event: isinstance(event, Message))
        assert [(type(event), event.cursor) for event in found] == [(Message, published.cursor)]


def test_several_channels_are_one_stream_and_each_has_its_cursor(instance: Instance) -> None:
    with Client(instance.url) as client:
        first = {name: client.publish(name, f"{name} 1").cursor for name in ("a", "b")}
        client.publish("a", {"a": 2})
        after = {"a": str(first["a"]), "b": "earliest"}
        with client.subscribe("a", "b", "live", after=after) as events:
            got = {(e.channel, json.dumps(e.data)) for e in (message(events) for _ in range(2))}
            assert got == {("a", '{"a": 2}'), ("b", '"b 1"')}
            assert events.publish(["x"], "b").offset == 2
            assert (message(events).data, events.cursors["a"]) == (["x"], f"{first['a'].epoch}:2")


def message(events: Subscription) -> Message:
    found = told(events, lambda event: isinstance(event, Message))[-1]
    assert isinstance(found, Message)
    return found


def test_tokens_and_tickets_open_what_they_name(tmp_path: Path) -> None:
    with Instance(tmp_path, {"HELIOGRAPH_AUTH_SECRET": SECRET}) as instance:
        claims = {
            "sub": "walter",
            "exp": time.time() + 600,
            "publish": ["bowling.*"],
            "subscribe": ["bowling.*"],
        }
        token = jwt.encode(claims, SECRET, "HS256")
        with Client(instance.url, Credentials(token)) as client:
            client.publish("bowling.1", "mark it zero")
            with pytest.raises(Refused, match="403"):
                client.publish("golf", "x")
            with pytest.raises(Refused, match="403"):
                message(client.subscribe("golf"))
            with Client(instance.url, Credentials(ticket=client.ticket)) as guest:
                assert message(guest.subscribe("bowling.1", after="earliest")).data == "mark it zero"
        with Client(instance.url) as stranger, pytest.raises(Refused, match="401"):
            message(stranger.subscribe("bowling.1"))


def test_the_same_key_publishes_once(instance: Instance) -> None:
    with Client(instance.url) as client:
        assert client.publish("key", b"x", key="k") == client.publish("key", b"x", key="k")
        with pytest.raises(Refused, match="422"):
            client.publish("key", b"y", key="k")
        assert message(client.subscribe("key", after="earliest")).content() == b"x"


def command(*arguments: str) -> list[str]:
    return [PYTHON, "-m", "heliograph_client", *arguments]


def lines(process: Process) -> list[dict[str, Any]]:
    text = process.output
    found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith("{")]
    return [line for line in found if line["type"] != "state"]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_goes_on_where_it_was_interrupted(
    instance: Instance, tmp_path: Path, signum: int, status: int
) -> None:
    name = f"interrupted.{status}"
    with Client(instance.url) as client:
        client.publish(name, "one")
        subscribe = command("subscribe", instance.url, name, "--after", "earliest")
        with Process(subscribe, tmp_path / "first") as first:
            first.wait_for_output('"one"')
            assert first.stop(signum) == status
        cursor = first.wait_for_output(rf"{name}: go on with --after (\S+)\n")[1]
        client.publish(name, {"n": 2})
        again = command("subscribe", instance.url, name, "--after", cursor, "--count", "1")
        with Process(again, tmp_path / "second") as second:
            assert second.wait(PATIENCE) == 0
    assert [line["data"] for line in lines(first)] == ["one"]
    assert [(line["type"], line["data"]) for line in lines(second)] == [("message", {"n": 2})]


def test_the_command_publishes_and_says_what_is_wrong_in_one_line(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    publish, subscribe = ("publish", instance.url), ("subscribe", instance.url)
    for arguments, status, output in (
        ((*publish, "command", "hi", "--key", "k"), 0, '"offset": 1,'),
        ((*publish, "command", "hi", "--key", "k"), 0, '"offset": 1,'),
        ((*publish, "command", '{"a": 1}', "--json"), 0, '"offset": 2,'),
        ((*publish, "command", "{", "--json"), 1, "JSONDecodeError"),
        ((*publish, "a b", "hi"), 1, "BadName"),
        ((*subscribe, "command", "--after", "x"), 1, "BadCursor"),
        (("subscribe", "nowhere", "command"), 1, "A URL such as"),
        ((*subscribe, "command", "--token-file", "/nonexistent"), 1, "FileNotFoundError"),
    ):
        assert main(arguments) == status
        printed = capsys.readouterr()
        assert output in (printed.err if status else printed.out)
        assert (printed.out + printed.err).count("\n") == 1


def test_the_command_ends_quietly_when_its_output_is_not_read(instance: Instance, tmp_path: Path) -> None:
    with Client(instance.url) as client:
        client.publish("pipe", 1)
    program = shlex.join(command("subscribe", instance.url, "pipe", "--after", "earliest", "--count", "1"))
    with Process(["bash", "-c", f"set -o pipefail; {program} | true"], tmp_path / "pipe") as process:
        assert process.wait(PATIENCE) == 0
    assert process.output == ""
