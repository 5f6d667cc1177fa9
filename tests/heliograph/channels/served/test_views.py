"""Channels over HTTP: publish, read, list."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import until
from websockets.sync.client import connect

from tests.heliograph.channels.served.conftest import Two
from tests.heliograph.channels.served.talking import (
    PATIENCE,
    get,
    new_channel,
    post,
    publish,
    refused,
    streaming,
    talking,
    wait_for_count,
)
from tests.serving import CLOSE, Server


def push(server: Server, body: bytes, **headers: str) -> requests.Response:
    return requests.post(
        f"{server.url}/push", body, headers={"Content-Type": "application/json", **headers}, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        (
            "application/json",
            b' {"n": 1.10, "big": 123456789012345678901} ',
            '{"n": 1.10, "big": 123456789012345678901}',
        ),
        ("application/json; charset=utf-8", b'"text"', '"text"'),
        ("application/json", b"null", "null"),
        ("text/plain", "grüße ☃".encode(), '"grüße ☃"'),
        ("text/html", b"<p>", '"<p>"'),
        ("text/plain", b"", '""'),
        ("application/octet-stream", b"\x00\xff", '{"base64": "AP8="}'),
        ("image/png", b"", '{"base64": ""}'),
        ("", b"bytes", '{"base64": "Ynl0ZXM="}'),
    ],
)
def test_what_is_published_is_read_as_it_was(alone: Server, kind: str, body: bytes, data: str) -> None:
    channel = new_channel()
    answer = post(alone, channel, body, kind)
    assert answer.status_code == 201
    found = answer.json()
    assert (set(found), found["channel"], found["offset"]) == (
        {"channel", "epoch", "offset", "time"},
        channel,
        1,
    )
    assert abs(found["time"] - time.time()) < PATIENCE
    history = get(alone, f"/channels/{channel}")
    assert history.headers["Content-Security-Policy"] == "sandbox"
    assert f'"data": {data}}}]' in history.text.replace('"data":  ', '"data": ').replace("} }]", "}}]")
    assert history.json()["messages"][0]["time"] == found["time"]


def test_the_history_is_read_in_pages(alone: Server) -> None:
    channel = new_channel()
    cursors = publish(alone, channel, *"abcde")
    first = get(alone, f"/channels/{channel}?limit=2").json()
    assert (first["channel"], first["top"], first["recovered"]) == (channel, 5, True)
    assert [message["data"] for message in first["messages"]] == ["a", "b"]
    assert [message["offset"] for message in first["messages"]] == [1, 2]
    rest = get(alone, f"/channels/{channel}?after={cursors[1]}").json()
    assert [message["data"] for message in rest["messages"]] == ["c", "d", "e"]
    assert get(alone, f"/channels/{channel}?after=earliest").json()["messages"][0]["data"] == "a"
    end = get(alone, f"/channels/{channel}?after={cursors[4]}").json()
    assert (end["recovered"], end["messages"]) == (True, [])


def test_a_cursor_of_elsewhere_or_of_the_future_is_not_recovered(alone: Server) -> None:
    channel = new_channel()
    epoch = publish(alone, channel, "a")[0].partition(":")[0]
    for cursor in ("another:1", f"{epoch}:2"):
        page = get(alone, f"/channels/{channel}?after={cursor}").json()
        assert (page["recovered"], page["messages"], page["top"], page["epoch"]) == (False, [], 1, epoch)


def test_a_channel_nobody_used_has_top_0_and_an_epoch(alone: Server) -> None:
    page = get(alone, f"/channels/{new_channel()}").json()
    assert (page["top"], page["messages"]) == (0, [])
    assert page["epoch"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b'"hello"', "hello"),
        (b'{"a": 1}', {"a": 1}),
        (b"[1.0]", [1.0]),
        (b"null", None),
        (b'{"base64": "AP8="}', {"base64": "AP8="}),
    ],
)
def test_push_answers_with_what_it_was_sent(alone: Server, message: bytes, shown: object) -> None:
    channel = new_channel()
    answer = push(alone, b'{"channel": "%b", "message": %b}' % (channel.encode(), message))
    found = answer.json()
    assert (answer.status_code, found["channel"], found["message"], found["offset"]) == (
        200,
        channel,
        shown,
        1,
    )
    assert set(found) == {"channel", "message", "epoch", "offset"}
    assert b'"message": ' + message in answer.content
    assert get(alone, f"/channels/{channel}").json()["messages"][0]["data"] == shown


def test_what_is_pushed_is_json_wherever_it_arrives(alone: Server) -> None:
    channel = new_channel()
    with (
        streaming(alone, channel) as stream,
        talking(alone, channel) as (_, talk),
        connect(f"{alone.websocket_url}/events?channel={channel}") as plain,
    ):
        push(alone, b'{"channel": "%b", "message": "he said \\"hi\\""}' % channel.encode())
        assert plain.recv(PATIENCE) == r'"he said \"hi\""'
        assert stream.data(1) == [r'"he said \"hi\""']
        assert talk.data(1) == ['he said "hi"']
        post(alone, channel, "bare")
        assert plain.recv(PATIENCE) == "bare"


def test_push_takes_the_default_channel(alone: Server) -> None:
    found = push(alone, b'{"message": {"n": 1}}')
    assert (found.status_code, found.json()["channel"], found.json()["message"]) == (
        200,
        "lebowski",
        {"n": 1},
    )
    offset = found.json()["offset"]
    page = get(alone, f"/channels/lebowski?after={found.json()['epoch']}:{offset - 1}").json()
    assert page["messages"][0]["data"] == {"n": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"channel": "a"}',
        b'{"channel": 5, "message": 1}',
        b'{"channel": null, "message": 1}',
        b'{"message": 1, "x": 2}',
    ],
)
def test_push_refuses_other_members(alone: Server, body: bytes) -> None:
    refused(push(alone, body), 400, "bad-document")


def test_what_there_is_and_how_many_subscribe(alone: Server) -> None:
    used, watched = new_channel(), new_channel()
    publish(alone, used, "a", "b")
    with talking(alone, watched):
        rows = {row["channel"]: row for row in get(alone, "/channels").json()["channels"]}
        assert (rows[used]["top"], rows[used]["subscribers"]) == (2, 0)
        assert (rows[watched]["top"], rows[watched]["subscribers"]) == (0, 1)
        assert rows[watched]["epoch"]


def test_the_list_comes_in_pages_of_a_hundred_by_name(alone: Server) -> None:
    prefix = new_channel()
    names = [f"{prefix}:{number:03}" for number in range(130)]
    with requests.Session() as session:
        for name in reversed(names):
            answer = session.post(f"{alone.url}/channels/{name}", b"x", timeout=PATIENCE)
            assert answer.status_code == 201
    page = get(alone, f"/channels?prefix={prefix}:").json()["channels"]
    assert [row["channel"] for row in page] == names[:100]
    rest = get(alone, f"/channels?prefix={prefix}:&after={names[99]}").json()["channels"]
    assert [row["channel"] for row in rest] == names[100:]
    assert len(get(alone, f"/channels?prefix={prefix}:&limit=1000").json()["channels"]) == 130
    assert get(alone, f"/channels?prefix={prefix}-&limit=1").json() == {"channels": []}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "after=a/b", "prefix=%00", f"after={'x' * 129}"]
)
def test_bad_pages_of_the_list_are_problems(alone: Server, query: str) -> None:
    refused(get(alone, f"/channels?{query}"), 400, "bad-option")


def test_the_same_key_and_body_publish_once_on_either_instance(two: Two) -> None:
    channel = new_channel()
    answers = [post(two[n % 2], channel, "once", **{"Idempotency-Key": "k"}) for n in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    for body, kind in (("another", "text/plain"), ("once", "application/octet-stream")):
        refused(post(two[1], channel, body, kind, **{"Idempotency-Key": "k"}), 422, "key-reused")
    assert post(two[1], channel, "once", **{"Idempotency-Key": "l"}).json()["offset"] == 2
    assert post(two[1], new_channel(), "another", **{"Idempotency-Key": "k"}).status_code == 201


def test_a_key_counts_for_http_push_and_websocket_alike(two: Two) -> None:
    channel = new_channel()
    assert (
        post(two[0], channel, '{"n": 1}', "application/json", **{"Idempotency-Key": "k"}).json()["offset"]
        == 1
    )
    body = b'{"channel": "%b", "message": {"n": 1}}' % channel.encode()
    assert push(two[1], body, **{"Idempotency-Key": "k"}).json()["offset"] == 1
    with talking(two[1], channel) as (_, talk):
        talk.publish({"n": 1}, ref=1, key="k")
        assert talk.answer() == {"type": "published", "offset": 1, "ref": 1}
        talk.publish({"n": 2}, ref=2, key="k")
        assert talk.answer()["problem"]["type"] == "/problems/key-reused"
        publish(two[0], channel, "next")
        assert talk.data(1) == ["next"]


BAD_POSTS = [
    ("bad%20name", b"x", "text/plain", 400, "bad-channel"),
    ("x" * 129, b"x", "text/plain", 400, "bad-channel"),
    ("%D9%A3", b"x", "text/plain", 400, "bad-channel"),
    ("ok", b"a=1", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
    ("ok", b"", "multipart/form-data; boundary=x", 415, "unsupported-media-type"),
    ("ok", b"x" * 65_537, "text/plain", 413, "body-too-large"),
    ("ok", b"a\xff", "text/plain", 400, "bad-text"),
    ("ok", b"{", "application/json", 400, "bad-document"),
    ("ok", b"", "application/json", 400, "bad-document"),
    ("ok", b"NaN", "application/json", 400, "bad-document"),
    ("ok", b"1 2", "application/json", 400, "bad-document"),
    ("ok", b'"\xff"', "application/json", 400, "bad-document"),
    ("ok", b"[" * 60_000, "application/json", 400, "bad-document"),
]


@pytest.mark.parametrize(("channel", "body", "kind", "status", "name"), BAD_POSTS)
def test_bad_posts_are_problems(
    alone: Server, channel: str, body: bytes, kind: str, status: int, name: str
) -> None:
    refused(post(alone, channel, body, kind), status, name)


def test_a_message_of_exactly_the_limit_is_taken(alone: Server) -> None:
    assert post(alone, new_channel(), b"x" * 65_536).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 129])
def test_a_bad_key_is_a_problem(alone: Server, key: str) -> None:
    assert (
        refused(post(alone, "ok", "x", **{"Idempotency-Key": key}), 400, "bad-option")["option"]
        == "Idempotency-Key"
    )


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"[]", "bad-document"),
        (b'{"channel": "a"}', "bad-document"),
        (b'{"channel": "a", "message": 1, "more": 2}', "bad-document"),
        (b'{"channel": "a/b", "message": 1}', "bad-channel"),
    ],
)
def test_bad_pushes_are_problems(alone: Server, body: bytes, name: str) -> None:
    refused(push(alone, body), 400, name)


def test_a_push_that_is_too_long_is_a_problem(alone: Server) -> None:
    refused(push(alone, b'{"channel": "a", "message": "%b"}' % (b"x" * 65_537)), 413, "message-too-long")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("after=nonsense", "bad-cursor"),
        ("after=", "bad-cursor"),
        ("after=e:-1", "bad-cursor"),
        ("after=e:9223372036854775808", "bad-cursor"),
        ("limit=0", "bad-option"),
        ("limit=1001", "bad-option"),
        ("limit=x", "bad-option"),
    ],
)
def test_bad_reads_are_problems(alone: Server, query: str, name: str) -> None:
    refused(get(alone, f"/channels/ok?{query}"), 400, name)


def test_a_page_of_elsewhere_may_not_publish(alone: Server) -> None:
    refused(post(alone, "ok", "x", Origin="https://evil.example"), 403, "foreign-origin")
    refused(push(alone, b"{}", **{"Sec-Fetch-Site": "cross-site"}), 403, "foreign-origin")


def test_a_history_that_is_removed_is_gone_and_subscribers_are_told(alone: Server) -> None:
    channel = new_channel()
    [cursor] = publish(alone, channel, "x")
    with talking(alone, channel) as (_, socket), streaming(alone, channel) as stream:
        wait_for_count(alone, channel, 2)
        foreign = requests.delete(
            f"{alone.url}/channels/{channel}", headers={"Origin": "https://evil.example"}, timeout=PATIENCE
        )
        refused(foreign, 403, "foreign-origin")
        answer = requests.delete(f"{alone.url}/channels/{channel}", timeout=PATIENCE)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "Content-Type" not in answer.headers
        after = get(alone, f"/channels/{channel}").json()
        assert (after["top"], after["messages"]) == (0, [])
        assert not cursor.startswith(after["epoch"])
        assert socket.next() == {"type": "lost", "epoch": after["epoch"], "offset": 0}
        assert stream.next()[0] == "lost"
        assert publish(alone, channel, "y") == [f"{after['epoch']}:1"]
        assert socket.next()["data"] == "y"
    refused(requests.delete(f"{alone.url}/channels/no%20name", timeout=PATIENCE), 400, "bad-channel")


def test_without_a_secret_a_ticket_is_any_text_and_not_looked_at(alone: Server) -> None:
    answer = requests.post(f"{alone.url}/channels/ticket", timeout=PATIENCE)
    assert answer.json()["ticket"]
    assert answer.headers["Cache-Control"] == "no-store"
    with talking(alone, new_channel(), f"ticket={answer.json()['ticket']}") as (first, _):
        assert first["type"] == "subscribed"


def test_the_start_says_that_everything_is_open(alone: Server) -> None:
    assert "channels are open to every client that can connect" in alone.output


def test_a_channel_too_many_is_refused_and_those_there_are_go_on(tmp_path: Path) -> None:
    settings = {"HELIOGRAPH_CHANNELS": f"sqlite:///{tmp_path}/c.db", "HELIOGRAPH_MAX_CHANNELS": "3"}
    with Server(tmp_path, settings) as server:
        server.started()
        clients = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(8)]
        for name, own in zip("abc", clients, strict=False):
            publish(server, name, "x", **own)
        problem = refused(post(server, "d", "x", **clients[3]), 429, "too-many-channels")
        assert "A client" not in problem["detail"]
        assert post(server, "c", "x").status_code == 201
        with (
            talking(server, "d", headers=clients[3]),
            talking(server, "e", headers=clients[4]),
            streaming(server, "f", **clients[5]),
        ):
            refused(get(server, "/channels/g/events", **clients[6]), 429, "too-many-channels")
            with talking(server, "d"):
                wait_for_count(server, "d", 2)


def test_a_log_that_cannot_be_opened_is_503_with_a_reason_and_heals(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("a file where the folder would be")
    with Server(tmp_path, {"HELIOGRAPH_CHANNELS": f"sqlite:///{blocked}/channels.db"}) as server:
        server.wait_for_port(server.port)
        answer = post(server, "a", "x")
        assert refused(answer, 503, "channels-unavailable")
        assert answer.headers["Retry-After"]
        ready = get(server, "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "unready")
        assert ready.json()["checks"]["channels"] != "ok"
        refused(get(server, "/channels/a/events"), 503, "channels-unavailable")
        blocked.unlink()
        assert post(server, "a", "x").status_code == 201
        until(
            lambda: get(server, "/readyz").status_code == 200,
            "a second: readiness is not asked for more often",
        )
    assert "Traceback" not in server.output


@pytest.mark.parametrize("path", ["/channels/a/b", "/channels/", "/channels/a/events/x"])
def test_other_paths_below_are_not_found(alone: Server, path: str) -> None:
    refused(get(alone, path), 404, "not-found")


def test_a_channel_may_be_called_ticket_or_events(alone: Server) -> None:
    assert get(alone, "/channels/ticket").json()["top"] == 0
    assert push(alone, b'{"channel": "ticket", "message": 1}').status_code == 200
    assert publish(alone, "events", "x")


def test_head_of_a_stream_ends(alone: Server) -> None:
    answer = alone.raw(b"HEAD /channels/a/events HTTP/1.1\r\n" + CLOSE + b"\r\n", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
