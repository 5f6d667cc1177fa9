"""What a client may send on a channel's WebSocket, and what it is told when it sends something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.heliograph.channels.served.talking import (
    PATIENCE,
    new_channel,
    talking,
)
from tests.serving import Server

BAD_FRAMES = [
    ("nonsense", "bad-document"),
    ("[]", "bad-document"),
    ("{}", "bad-document"),
    ('{"type": "publish"}', "bad-document"),
    ('{"type": "subscribe", "data": 1}', "bad-document"),
    ('{"type": "publish", "data": 1, "more": 1}', "bad-document"),
    ('{"type": "publish", "data": NaN}', "bad-document"),
    ('{"type": "publish", "data": 1, "key": 5}', "bad-document"),
    ('{"type": "publish", "data": 1, "key": ""}', "bad-option"),
    (json.dumps({"type": "publish", "data": 1, "ref": "x" * 300}), "bad-document"),
    ('{"type": "publish", "data": ' + "[" * 50_000 + "]" * 50_000 + "}", "bad-document"),
    (json.dumps({"type": "publish", "data": "x" * 65_537}), "message-too-long"),
    (b'{"type": "publish", "data": 1}', "bad-document"),
]


@pytest.mark.parametrize(("frame", "name"), BAD_FRAMES, ids=lambda value: str(value)[:40])
def test_a_bad_frame_is_answered_with_a_problem_and_the_connection_stays(
    alone: Server, frame: str | bytes, name: str
) -> None:
    with talking(alone, new_channel()) as (_, talk):
        talk.socket.send(frame)
        answer = talk.next()
        assert (answer["type"], answer["problem"]["type"]) == ("error", f"/problems/{name}")
        assert "ref" in answer
        talk.publish("good", "r")
        assert talk.answer() == {"type": "published", "offset": 1, "ref": "r"}


def test_the_ref_of_a_refused_message_comes_back(alone: Server) -> None:
    with talking(alone, new_channel()) as (_, talk):
        talk.socket.send('{"ref": {"a": 1.0}, "type": "publish"}')
        assert talk.next()["ref"] == {"a": 1.0}


def test_numbers_keep_their_digits(alone: Server) -> None:
    channel = new_channel()
    with talking(alone, channel) as (_, talk):
        talk.socket.send(
            '{"type": "publish", "data": {"pi": 3.141592653589793238462643383279, "half": "\\ud800"}}'
        )
        texts = [talk.socket.recv(PATIENCE), talk.socket.recv(PATIENCE)]
        assert any(
            '"data": {"pi": 3.141592653589793238462643383279, "half": "\\ud800"}' in str(t) for t in texts
        )
        talk.publish("\ud800")
        assert talk.answer()["offset"] == 2


def test_a_client_that_publishes_too_often_is_told_and_its_connection_stays(tmp_path: Path) -> None:
    with Server(tmp_path, {"HELIOGRAPH_RATE": "5"}) as server:
        server.started()
        with talking(server, "a") as (_, talk):
            for number in range(20):
                talk.publish(number, number)
            answers = [talk.answer() for _ in range(20)]
            assert [answer["type"] for answer in answers].count("published") in range(5, 12)
            problem = next(answer["problem"] for answer in answers if answer["type"] == "error")
            assert (problem["type"], problem["status"], problem["limit"]) == (
                "/problems/too-many-requests",
                429,
                5,
            )
