"""Nothing is lost whatever happens to the instances of a stack, and no subscriber holds up another."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from heliograph_client import Client
from proxy_tests.processes import descendants, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.heliograph.cli.calling import called
from tests.stack.channels.following import (
    PATIENCE,
    SocketFollower,
    StreamFollower,
    Watched,
    new_channel,
    number_of,
)
from tests.stack.checkout import copy_checkout
from tests.stack.running import Stack
from tests.stack.test_rolling import ABNORMAL

#: Close code of a subscriber that cannot keep up.
TOO_SLOW = 3008

#: Seconds from an acknowledgement to the event at a subscriber, with nothing else going on. One that waited in a buffer of nginx or
#: of the proxy would come with the next comment, 15 s later.
PROMPT = 0.5


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """In a checkout of its own, where script/rolling finds it. On SQLite, the default."""
    folder = tmp_path_factory.mktemp("instances")
    with Stack(folder, {"HELIOGRAPH_RATE": "0"}, root=copy_checkout(folder)).started() as running:
        yield running
    assert "Traceback" not in running.output


def backends(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
    return found


@pytest.mark.slow
def test_a_rolling_restart_costs_nobody_a_message(stack: Stack) -> None:
    before = stack.pids()
    with Watched(stack.url, [stack.url]) as watched:
        ended = called("rolling", cwd=stack.root)
        assert ended.returncode == 0, ended.stderr
        watched.caught_up()
        watched.everything_once()
    after = stack.pids()
    assert all(before[name] != after[name] for name in ("web1", "web2"))
    assert all(one.interruptions for one in watched.followers), "each was at an instance that was restarted"


@pytest.mark.slow
def test_an_instance_killed_with_9_costs_nobody_a_message(stack: Stack) -> None:
    with Watched(stack.url, [stack.url]) as watched:
        victim = max(backends(stack), key=lambda one: one["tunnels"])["name"]
        pid = stack.pids()[victim]
        watched.steady.go_on(50)
        for process in [*descendants(pid), pid]:
            os.kill(process, signal.SIGKILL)
        watched.caught_up()
        until(lambda: stack.pids()[victim] != pid, "another instance in its place")
        until(lambda: all(one["healthy"] for one in backends(stack)), "health")
        watched.caught_up()
        watched.everything_once()
    assert any(one.interruptions for one in watched.followers)


def test_a_subscriber_that_stops_reading_is_closed_and_resumes_and_holds_up_nobody(stack: Stack) -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    sock.connect(("127.0.0.1", stack.ports.nginx))
    with Watched(stack.url, [stack.url], 1, padding=60_000) as watched, sock:
        url = f"{stack.websocket_url}/ws/channels/{watched.channel}?after=earliest"
        with connect(url, sock=sock, compression=None, max_queue=1) as slow:
            presence = f"{stack.url}/channels/{watched.channel}/presence"
            others = len(watched.followers)
            until(lambda: requests.get(presence, timeout=10).json()["count"] == others + 1, "presence")
            until(lambda: requests.get(presence, timeout=10).json()["count"] == others, "its end", PATIENCE)
            watched.caught_up(5)
            frames, code = rest(slow)
        watched.everything_once()
    assert code == TOO_SLOW
    assert [one.interruptions for one in watched.followers] == [0] * others
    heard = [message_of(frame) for frame in frames[1:]]
    assert [number for number, _ in heard] == list(range(1, len(heard) + 1))
    last = watched.steady.last
    with SocketFollower(stack.url, watched.channel, cursor(frames)) as again:
        until(lambda: again.reached(last), "the rest")
    assert again.told == list(range(len(heard) + 1, last + 1))


def rest(websocket: ClientConnection) -> tuple[list[str | bytes], int]:
    """The frames until it is closed, and the close code."""
    frames: list[str | bytes] = []
    try:
        while True:
            frames.append(websocket.recv(PATIENCE))
    except ConnectionClosed as exc:
        return frames, exc.rcvd.code if exc.rcvd else ABNORMAL


def message_of(frame: str | bytes) -> tuple[int, int]:
    """Number and offset."""
    found = json.loads(frame)
    return number_of(found["data"]), found["offset"]


def cursor(frames: list[str | bytes]) -> str:
    """Behind the last of the frames of a subscription."""
    first = json.loads(frames[0])
    return f"{first['epoch']}:{message_of(frames[-1])[1]}"


def test_events_arrive_at_once_through_nginx_and_proxy_and_resume_by_their_last_id(stack: Stack) -> None:
    channel = new_channel()
    with Client(stack.url) as client:
        client.publish(channel, "1")
        with StreamFollower(stack.url, channel) as follower:
            until(lambda: follower.reached(1), "the first message")
            waits = [published_to_told(client, channel, number, follower) for number in range(2, 12)]
        assert statistics.median(waits) < PROMPT
        assert follower.told == list(range(1, 12))
        client.publish(channel, "12")
        with StreamFollower(stack.url, channel, follower.cursor) as again:
            until(lambda: again.reached(12), "the message that came meanwhile")
        assert again.told == [12]


def published_to_told(client: Client, channel: str, number: int, follower: StreamFollower) -> float:
    """Seconds from the acknowledgement of a message until a subscriber was told."""
    client.publish(channel, str(number))
    start = time.monotonic()
    until(lambda: follower.reached(number), f"message {number}")
    return time.monotonic() - start
