"""Channels as server-sent events."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import until

from tests.heliograph.channels.served.conftest import Two
from tests.heliograph.channels.served.talking import (
    PATIENCE,
    get,
    new_channel,
    post,
    present,
    publish,
    refused,
    streaming,
    talking,
    wait_for_count,
)
from tests.serving import HOST, Server


def test_events_have_cursors_and_data_as_it_was_published(alone: Server) -> None:
    channel = new_channel()
    with streaming(alone, channel) as stream:
        headers = stream.response.headers
        assert headers["Content-Type"].startswith("text/event-stream")
        assert headers["X-Accel-Buffering"] == "no"
        assert "no-store" in headers["Cache-Control"]
        cursor = publish(alone, channel, "two\nlines\r\n")[0]
        assert stream.next() == ("message", "two\nlines\n")
        assert stream.last_id == cursor
        assert 1000 <= stream.retry <= 5000
        post(alone, channel, '{"n":\n 1.0}', "application/json")
        post(alone, channel, b"\xff", "application/octet-stream")
        publish(alone, channel, "", "id: x\n\nevent: lost")
        assert stream.data(4) == ['{"n":\n 1.0}', '{"base64": "/w=="}', "", "id: x\n\nevent: lost"]


def test_a_stream_resumes_by_its_last_id(alone: Server) -> None:
    channel = new_channel()
    cursors = publish(alone, channel, *"abc")
    with streaming(alone, channel, f"after={cursors[0]}") as stream:
        assert stream.data(2) == ["b", "c"]
    with streaming(alone, channel, "after=earliest", **{"Last-Event-ID": cursors[1]}) as stream:
        publish(alone, channel, "d")
        assert stream.data(2) == ["c", "d"]
    with streaming(alone, channel, "after=earliest", **{"Last-Event-ID": ""}) as stream:
        assert stream.data(4) == list("abcd")


def test_a_stream_that_ends_before_its_first_message_can_be_resumed_too(alone: Server) -> None:
    channel = new_channel()
    publish(alone, channel, "before")
    with streaming(alone, channel) as stream:
        assert stream.response.raw.readline().startswith(b"retry: ")
        assert stream.response.raw.readline() == b"\n"
        line = stream.response.raw.readline().decode()
    name, _, cursor = line.strip().partition(": ")
    assert name == "id"
    publish(alone, channel, "missed")
    with streaming(alone, channel, **{"Last-Event-ID": cursor}) as stream:
        assert stream.data(1) == ["missed"]


def test_what_cannot_be_resumed_is_an_event_with_the_new_cursor(alone: Server) -> None:
    channel = new_channel()
    top = publish(alone, channel, "a", "b")[1]
    with streaming(alone, channel, **{"Last-Event-ID": "another:1"}) as stream:
        kind, data = stream.next()
        assert (kind, stream.last_id) == ("lost", top)
        assert data == f'{{"epoch": "{top.partition(":")[0]}", "offset": 2}}'
        publish(alone, channel, "c")
        assert stream.next() == ("message", "c")


def test_history_that_is_lost_while_connected_is_an_event(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.started()
        publish(server, "a", "1")
        with streaming(server, "a") as stream:
            wait_for_count(server, "a", 1)
            for path in tmp_path.glob("channels.db*"):
                if path.is_file():
                    path.unlink()
            publish(server, "a", "2")
            assert stream.next()[0] == "lost"


@pytest.mark.slow
def test_a_silent_stream_has_a_comment_every_15_s(two: Two) -> None:
    with streaming(two[0], new_channel()) as stream:
        began, text = time.monotonic(), b""
        while b"\n:" not in text:
            text += stream.response.raw.readline()
        assert 14 < time.monotonic() - began < 18


def test_a_client_that_hangs_up_is_noticed_at_once(alone: Server) -> None:
    channel = new_channel()
    with streaming(alone, channel):
        assert present(alone, channel)["count"] == 1
        assert present(alone, channel)["subscribers"][0]["transport"] == "sse"
    began = time.monotonic()
    wait_for_count(alone, channel, 0)
    assert time.monotonic() - began < 10


def test_who_does_not_read_is_ended_and_nobody_else_notices(alone: Server) -> None:
    channel = new_channel()
    with talking(alone, channel) as (_, good), alone.connect() as slow:
        slow.send(f"GET /channels/{channel}/events HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        wait_for_count(alone, channel, 2)
        text = "x" * 60_000
        for number in range(250):
            publish(alone, channel, f"{number} {text}")
            assert good.data(1)[0].startswith(f"{number} ")
        wait_for_count(alone, channel, 1)
        assert len(slow.rest()) < 250 * 60_000


def test_messages_of_another_instance_arrive_in_order(two: Two) -> None:
    channel = new_channel()
    with streaming(two[0], channel) as stream:
        publish(two[1], channel, *map(str, range(100)))
        assert stream.data(100) == [str(number) for number in range(100)]


@pytest.mark.parametrize("headers", [{"Last-Event-ID": "nonsense"}, {"Last-Event-ID": "e:01"}])
def test_a_bad_cursor_is_a_problem(alone: Server, headers: dict[str, str]) -> None:
    problem = refused(get(alone, "/channels/a/events", **headers), 400, "bad-cursor")
    assert problem["option"] == "Last-Event-ID"
    refused(get(alone, "/channels/a/events?after=x"), 400, "bad-cursor")


def test_streams_end_when_the_instance_stops(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.started()
        with streaming(server, "a") as stream:
            assert present(server, "a")["count"] == 1
            server.send(signal.SIGTERM)
            with pytest.raises(EOFError):
                stream.next()
        assert server.wait() == 0
        assert server.logged(path="/channels/a/events")["complete"] is True
    assert "Traceback" not in server.output


def test_streams_are_counted_by_transport(alone: Server) -> None:
    channel = new_channel()
    with streaming(alone, channel), talking(alone, channel):
        text = requests.get(f"{alone.url}/metrics", timeout=PATIENCE).text
        assert 'heliograph_channels_subscribers{transport="sse"} 1.0' in text
        assert 'heliograph_channels_subscribers{transport="websocket"} 1.0' in text
        before = alone.metrics()["heliograph_channels_delivered_total"]
        publish(alone, channel, "a")
        until(lambda: alone.metrics()["heliograph_channels_delivered_total"] == before + 2, "both deliveries")
