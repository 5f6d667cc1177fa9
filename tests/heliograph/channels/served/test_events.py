"""/events: plain texts both ways."""

from __future__ import annotations

import json

import requests
from websockets.sync.client import connect

from tests.heliograph.channels.served.talking import (
    PATIENCE,
    new_channel,
    post,
    publish,
    talking,
)
from tests.serving import Server


def test_events_are_plain_texts_both_ways(alone: Server) -> None:
    channel = new_channel()
    url = f"{alone.websocket_url}/events?channel={channel}"
    with connect(url) as one, connect(url) as other, talking(alone, channel) as (_, talk):
        one.send("grüße")
        assert [one.recv(PATIENCE), other.recv(PATIENCE), talk.data(1)[0]] == ["grüße"] * 3
        other.send(b"\x00\xff")
        assert [one.recv(PATIENCE), talk.data(1)[0]] == [b"\x00\xff", {"base64": "AP8="}]
        post(alone, channel, '{"n":  1.0}', "application/json")
        assert one.recv(PATIENCE) == '{"n":  1.0}'
        one.send("x" * 65_537)
        assert json.loads(one.recv(PATIENCE))["type"] == "/problems/message-too-long"
        one.send("still here")
        assert one.recv(PATIENCE) == "still here"


def test_what_is_published_right_after_the_handshake_arrives(alone: Server) -> None:
    for _ in range(5):
        channel = new_channel()
        with connect(f"{alone.websocket_url}/events?channel={channel}") as socket:
            publish(alone, channel, "at once")
            assert socket.recv(PATIENCE) == "at once"


def test_without_a_channel_events_and_push_meet_on_the_default_one(alone: Server) -> None:
    """As the program of an article has it: what /push takes arrives as JSON."""
    with connect(f"{alone.websocket_url}/events") as socket:
        for message in ("hello", {"n": 1}, None):
            answer = requests.post(f"{alone.url}/push", json={"message": message}, timeout=PATIENCE).json()
            assert (answer["channel"], answer["message"]) == ("lebowski", message)
            assert json.loads(socket.recv(PATIENCE)) == message
