"""Channels over WebSocket: subscribe, resume, publish, and the plain texts of /events."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket as sockets
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.heliograph.channels.served.conftest import Two
from tests.heliograph.channels.served.talking import (
    PATIENCE,
    Talk,
    get,
    new_channel,
    post,
    present,
    publish,
    refused,
    talking,
    wait_for_count,
)
from tests.serving import Server


def closed(talk: Talk) -> tuple[int, str]:
    """Code and reason with which the server closes, whatever comes before."""
    with pytest.raises(ConnectionClosed) as caught:
        list(talk.rest())
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_a_subscription_is_live_and_has_what_is_published_from_then_on(alone: Server) -> None:
    channel = new_channel()
    cursor = publish(alone, channel, "before")[0]
    with talking(alone, channel) as (first, talk):
        epoch, _, offset = cursor.partition(":")
        assert first == {
            "type": "subscribed",
            "channel": channel,
            "epoch": epoch,
            "offset": int(offset),
            "recovered": None,
        }
        answer = post(alone, channel, '{"n": [1.50]}', "application/json").json()
        text = talk.socket.recv(PATIENCE)
        assert '"data": {"n": [1.50]}}' in text
        assert json.loads(text) == {
            "type": "message",
            "channel": channel,
            "offset": 2,
            "time": answer["time"],
            "data": {"n": [1.5]},
        }
        post(alone, channel, b"\x00\xff", "application/octet-stream")
        publish(alone, channel, "text")
        assert talk.data(2) == [{"base64": "AP8="}, "text"]


def test_a_resume_is_complete_and_goes_on_live(alone: Server) -> None:
    channel = new_channel()
    cursors = publish(alone, channel, *"abcde")
    with talking(alone, channel, f"after={cursors[1]}") as (first, talk):
        assert (first["recovered"], first["offset"]) == (True, 2)
        publish(alone, channel, "f")
        assert talk.data(4) == ["c", "d", "e", "f"]
    with talking(alone, channel, "after=earliest") as (first, talk):
        assert (first["recovered"], first["offset"]) == (True, 0)
        assert talk.data(6) == list("abcdef")


def test_a_resume_from_the_top_has_nothing_to_replay(alone: Server) -> None:
    channel = new_channel()
    top = publish(alone, channel, "a")[0]
    with talking(alone, channel, f"after={top}") as (first, talk):
        assert (first["recovered"], first["offset"]) == (True, 1)
        publish(alone, channel, "b")
        assert talk.data(1) == ["b"]


def test_a_resume_of_a_long_history_is_whole_and_in_order(alone: Server) -> None:
    channel = new_channel()
    for start in range(0, 2400, 800):  # so that little waits to be sent
        with talking(alone, channel) as (_, talk):
            for number in range(start, start + 800):
                talk.publish(number)
            kinds = [talk.next()["type"] for _ in range(1600)]
            assert kinds.count("published") == kinds.count("message") == 800
    with talking(alone, channel, "after=earliest") as (_, talk):
        assert talk.data(2400) == list(range(2400))


@pytest.mark.parametrize("cursor", ["another:1", "{epoch}:3"])
def test_what_cannot_be_resumed_says_so_and_goes_on_from_the_top(alone: Server, cursor: str) -> None:
    channel = new_channel()
    epoch = publish(alone, channel, "a", "b")[0].partition(":")[0]
    with talking(alone, channel, f"after={cursor.format(epoch=epoch)}") as (first, talk):
        assert (first["epoch"], first["offset"], first["recovered"]) == (epoch, 2, False)
        publish(alone, channel, "c")
        assert talk.data(1) == ["c"]


def test_a_trimmed_offset_cannot_be_resumed_from(tmp_path: Path) -> None:
    with Server(tmp_path, {"HELIOGRAPH_HISTORY_SIZE": "3"}) as server:
        server.started()
        cursors = publish(server, "a", *"12345")
        with talking(server, "a", f"after={cursors[0]}") as (first, talk):
            assert (first["recovered"], first["offset"]) == (False, 5)
        with talking(server, "a", f"after={cursors[1]}") as (first, talk):
            assert (first["recovered"], talk.data(3)) == (True, ["3", "4", "5"])


def test_history_that_is_lost_while_connected_is_one_notice(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.started()
        publish(server, "a", "1", "2")
        with (
            talking(server, "a") as (first, talk),
            connect(f"{server.websocket_url}/events?channel=a") as plain,
        ):
            wait_for_count(server, "a", 2)
            for path in tmp_path.glob("channels.db*"):
                if path.is_file():
                    path.unlink()
            publish(server, "a", "3")
            notice = talk.next()
            assert (notice["type"], set(notice)) == ("lost", {"type", "epoch", "offset"})
            assert notice["epoch"] != first["epoch"]
            publish(server, "a", "4")
            offset = notice["offset"]
            while (message := talk.next())["data"] != "4":
                offset += 1
                assert (message["type"], message["offset"]) == ("message", offset)
            assert message["offset"] == offset + 1
            assert closed(Talk(plain)) == (1013, "messages were lost")


def test_publishing_is_acknowledged_in_order_and_each(alone: Server) -> None:
    with talking(alone, new_channel()) as (_, talk):
        refs = [1, "two", None, {"three": [3.0]}, 4.50]
        for number, ref in enumerate(refs):
            talk.publish(number, ref)
        answers = [found for _ in range(10) if (found := talk.next())["type"] == "published"]
        assert answers == [{"type": "published", "offset": n + 1, "ref": ref} for n, ref in enumerate(refs)]


def test_many_on_their_way_keep_their_order(alone: Server) -> None:
    channel = new_channel()
    with talking(alone, channel) as (_, talk), talking(alone, channel) as (_, other):
        for number in range(900):
            talk.publish(number, number)
        assert other.data(900) == list(range(900))
        found = [talk.next() for _ in range(1800)]
        assert [answer["ref"] for answer in found if answer["type"] == "published"] == list(range(900))


def test_all_subscribers_on_both_instances_see_the_same_order(two: Two) -> None:
    channel = new_channel()
    with talking(two[0], channel) as (_, one), talking(two[1], channel) as (_, other):
        for number in range(200):
            one.publish(f"one {number}")
            other.publish(f"other {number}")
        seen = []
        for talk in (one, other):
            messages: list[tuple[int, str]] = []
            while len(messages) < 400:
                if (found := talk.next())["type"] == "message":
                    messages.append((found["offset"], found["data"]))
            seen.append(messages)
        assert seen[0] == seen[1]
        assert [offset for offset, _ in seen[0]] == list(range(1, 401))
        assert [data for _, data in seen[0] if data.startswith("one")] == [f"one {n}" for n in range(200)]


def test_who_does_not_read_is_closed_with_3008_and_nobody_else_notices(alone: Server) -> None:
    channel = new_channel()
    with (
        talking(alone, channel) as (_, good),
        talking(alone, channel, max_queue=1, compression=None, sock=small_socket(alone)) as (_, slow),
    ):
        text = "x" * 60_000
        for number in range(200):
            publish(alone, channel, f"{number} {text}")
            assert good.data(1)[0].startswith(f"{number} ")
        assert closed(slow) == (3008, "too slow")


def small_socket(server: Server) -> sockets.socket:
    """A connection whose client takes little without reading."""
    client = sockets.socket()
    client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 << 10)
    client.connect(("127.0.0.1", server.port))
    return client


def test_a_slow_client_loses_nothing_by_coming_back(alone: Server) -> None:
    channel = new_channel()
    with talking(alone, channel, max_queue=1, compression=None, sock=small_socket(alone)) as (first, slow):
        text = "x" * 60_000
        publish(alone, channel, *(f"{number} {text}" for number in range(150)))
        cursor, seen = f"{first['epoch']}:{first['offset']}", []
        with contextlib.suppress(ConnectionClosed):
            for message in map(json.loads, slow.rest()):
                seen.append(message["data"].partition(" ")[0])
                cursor = f"{first['epoch']}:{message['offset']}"
        assert len(seen) < 150
    with talking(alone, channel, f"after={cursor}") as (again, talk):
        assert again["recovered"] is True
        seen += [data.partition(" ")[0] for data in talk.data(150 - len(seen))]
    assert seen == [str(number) for number in range(150)]


def test_who_subscribes_is_seen_on_both_instances(two: Two) -> None:
    channel = new_channel()
    with talking(two[0], channel), talking(two[1], channel):
        for server in two:
            found = present(server, channel)
            assert found["count"] == 2
            assert {row["instance"] for row in found["subscribers"]} == {"one", "two"}
            assert {row["transport"] for row in found["subscribers"]} == {"websocket"}
            assert all(row["id"] and row["since"] for row in found["subscribers"])
    wait_for_count(two[0], channel, 0)


@pytest.mark.slow
def test_a_dead_instances_subscribers_are_gone_within_60_s(tmp_path: Path) -> None:
    settings = {"HELIOGRAPH_CHANNELS": f"sqlite:///{tmp_path}/c.db"}
    (tmp_path / "other").mkdir()
    with Server(tmp_path, settings) as server, Server(tmp_path / "other", settings) as other:
        server.started()
        other.started()
        with talking(other, "a"), talking(server, "a"):
            assert present(server, "a")["count"] == 2
            for pid in other.tree():
                os.kill(pid, signal.SIGKILL)
            wait_for_count(server, "a", 1, patience=60.0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ws/channels/bad%20name", 400),
        ("/ws/channels/a?after=nonsense", 400),
        ("/events?channel=a/b", 400),
    ],
)
def test_bad_requests_are_refused_before_the_upgrade(alone: Server, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(alone.websocket_url + path)
    assert caught.value.response.status_code == status
    assert caught.value.response.headers["Content-Type"] == "application/problem+json"


def test_a_page_of_elsewhere_may_not_subscribe(alone: Server) -> None:
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{alone.websocket_url}/ws/channels/a", origin=Origin("https://evil.example"))
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/ws/channels/a", "/events?channel=a"])
def test_a_plain_get_is_told_to_upgrade(alone: Server, path: str) -> None:
    answer = get(alone, path)
    refused(answer, 426, "upgrade-required")
    assert answer.headers["Upgrade"] == "websocket"


def test_a_stopping_instance_says_1012_and_leaves_nothing_behind(tmp_path: Path) -> None:
    settings = {"HELIOGRAPH_CHANNELS": f"sqlite:///{tmp_path}/c.db"}
    with Server(tmp_path, settings) as server:
        server.started()
        with talking(server, "a") as (_, talk):
            talk.publish("last")
            assert talk.answer()["offset"] == 1
            server.send(signal.SIGTERM)
            assert closed(talk)[0] == 1012
        assert server.wait() == 0
    assert "Traceback" not in server.output
    assert not [path for folder in tmp_path.glob("c.db*") if folder.is_dir() for path in folder.iterdir()]
    with Server(tmp_path, settings) as server:
        server.started()
        assert present(server, "a")["count"] == 0
        assert get(server, "/channels/a").json()["messages"][0]["data"] == "last"
