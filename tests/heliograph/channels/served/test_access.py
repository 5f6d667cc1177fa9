"""Who may do what where there is a secret: two instances, tokens, tickets."""

from __future__ import annotations

import socket as sockets
import time
from typing import Any

import jwt
import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.heliograph.channels.served.conftest import Two
from tests.heliograph.channels.served.talking import (
    PATIENCE,
    SECRET,
    Stream,
    bearer,
    events_ticket,
    get,
    new_channel,
    post,
    publish,
    refused,
    streaming,
    talking,
    token,
)
from tests.heliograph.websocket.raw import KEY
from tests.serving import Server

EVERYWHERE = ["/channels", "/channels/a", "/channels/a/presence", "/channels/a/events"]


def ticket(server: Server, text: str) -> str:
    answer = requests.post(f"{server.url}/channels/ticket", headers=bearer(text), timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["ticket"]
    return found


def handshake(server: Server, path: str, **headers: str) -> int:
    """The status of an upgrade."""
    with (
        sockets.create_connection(("127.0.0.1", server.port)) as sock,
        connect(server.websocket_url + path, sock=sock, additional_headers=headers),
    ):
        return 101


def refusal(server: Server, path: str, **headers: str) -> int:
    """The status that an upgrade is refused with. Not by a library: it would leave its connection open for a while."""
    asked = {
        "Host": "localhost",
        "Connection": "Upgrade, close",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
    answer = server.raw(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status


def closing_code(socket: ClientConnection) -> int:
    """That with which the server closes."""
    with pytest.raises(ConnectionClosed) as caught:
        list(iter(lambda: socket.recv(PATIENCE), None))
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_without_a_token_nothing_goes(guarded: Two) -> None:
    for path in EVERYWHERE:
        answer = get(guarded[0], path)
        refused(answer, 401, "token-needed")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    refused(post(guarded[0], "a", "x"), 401, "token-needed")
    for path in ("/push", "/channels/ticket"):
        refused(requests.post(guarded[0].url + path, timeout=PATIENCE), 401, "token-needed")
    for path in ("/ws/channels/a", "/events?channel=a"):
        assert refusal(guarded[0], path) == 401
    assert "open to every client" not in guarded[0].output


BAD_TOKENS: dict[str, str] = {
    "of another secret": token(secret="x" * 32),
    "expired": token(-1),
    "without exp": token(exp=None),
    "without sub": token(sub=None),
    "not signed": jwt.encode({"sub": "a", "exp": 2_000_000_000}, None, "none"),
    "signed by HS512": jwt.encode({"sub": "a", "exp": 2_000_000_000}, SECRET * 2, "HS512"),
    "with globs that are no list": token(publish="*"),
    "with globs that are no texts": token(subscribe=[5]),
    "with too many globs": token(subscribe=["a"] * 101),
    "with a subject that is no text": token(sub=5),
    "with a time that is none": token(exp="soon"),
    "a ticket": jwt.encode(
        {"aud": "heliograph-ticket", "jti": "x", "sub": "a", "exp": 2_000_000_000, "until": 2_000_000_000},
        SECRET,
        "HS256",
    ),
    "nonsense": "nonsense",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_refused(guarded: Two, kind: str) -> None:
    refused(get(guarded[0], "/channels", **bearer(BAD_TOKENS[kind])), 401, "token-needed")
    assert refusal(guarded[1], "/ws/channels/a", **bearer(BAD_TOKENS[kind])) == 401


def test_another_scheme_is_refused(guarded: Two) -> None:
    refused(get(guarded[0], "/channels", Authorization="Basic eDp5"), 401, "token-needed")
    assert get(guarded[0], "/channels", Authorization=f"bearer  {token()}").status_code == 200


def test_a_token_allows_what_its_globs_fit(guarded: Two) -> None:
    channel = new_channel()
    allowed = bearer(token(publish=[f"{channel}.in"], subscribe=[f"{channel}.*"]))
    assert publish(guarded[0], f"{channel}.in", "x", **allowed)
    body = f'{{"channel": "{channel}.out", "message": 1}}'
    forbidden = [
        post(guarded[0], f"{channel}.out", "x", **allowed),
        requests.delete(f"{guarded[0].url}/channels/{channel}.out", headers=allowed, timeout=PATIENCE),
        requests.post(f"{guarded[0].url}/push", body, headers=allowed, timeout=PATIENCE),
        *(get(guarded[1], path.replace("/a", "/other"), **allowed) for path in EVERYWHERE[1:]),
    ]
    for answer in forbidden:
        refused(answer, 403, "forbidden")
    assert refusal(guarded[0], "/ws/channels/other", **allowed) == 403
    assert refusal(guarded[0], "/events?channel=other", **allowed) == 403
    with talking(guarded[1], f"{channel}.in", "after=earliest", allowed) as (first, talk):
        assert (first["recovered"], talk.data(1)) == (True, ["x"])
    with talking(guarded[1], f"{channel}.out", headers=allowed) as (_, talk):
        talk.publish("x", 7)
        told = talk.answer()
        assert (told["ref"], told["problem"]["type"], told["problem"]["status"]) == (
            7,
            "/problems/forbidden",
            403,
        )


def test_the_list_has_what_one_may_subscribe_to(guarded: Two) -> None:
    channel = new_channel()
    for name in (f"{channel}.a", f"{channel}.b"):
        publish(guarded[0], name, "x", **bearer(token()))
    rows = get(guarded[1], "/channels", **bearer(token(subscribe=[f"{channel}.b", "x*"]))).json()["channels"]
    assert [row["channel"] for row in rows] == [f"{channel}.b"]
    assert get(guarded[1], "/channels", **bearer(token(subscribe=None))).json() == {"channels": []}


def test_pages_of_the_list_have_as_many_as_one_may_see(guarded: Two) -> None:
    channel = new_channel()
    for number in range(12):
        publish(guarded[0], f"{channel}.{number:02}", "x", **bearer(token()))
    globs = [f"{channel}.0?", f"{channel}.1*x", f"{channel}.11"]
    allowed = bearer(token(subscribe=globs))
    found, after = [], ""
    while True:
        page = get(guarded[1], f"/channels?limit=4&after={after}&prefix={channel}", **allowed).json()[
            "channels"
        ]
        found.append([row["channel"].removeprefix(f"{channel}.") for row in page])
        if len(page) < 4:
            break
        after = page[-1]["channel"]
    assert found == [["00", "01", "02", "03"], ["04", "05", "06", "07"], ["08", "09", "11"]]


def test_a_key_is_that_of_its_subject(guarded: Two) -> None:
    channel = new_channel()
    for offset, subject in ((1, "walter"), (2, "donny"), (1, "walter")):
        answer = post(guarded[0], channel, "x", **bearer(token(sub=subject)), **{"Idempotency-Key": "k"})
        assert answer.json()["offset"] == offset


def test_a_ticket_opens_one_stream_on_either_instance(guarded: Two) -> None:
    channel = new_channel()
    allowed = token(subscribe=[channel])
    for first, second in (guarded, guarded[::-1]):
        used = ticket(first, allowed)
        with talking(second, channel, f"ticket={used}") as (told, _):
            assert told["type"] == "subscribed"
        for server in guarded:
            assert refusal(server, f"/ws/channels/{channel}?ticket={used}") == 401
            refused(get(server, f"/channels/{channel}/events?ticket={used}"), 401, "token-needed")
    with streaming(guarded[0], channel, f"ticket={ticket(guarded[1], allowed)}&after=earliest") as stream:
        publish(guarded[0], channel, "x", **bearer(token()))
        assert stream.data(1) == ["x"]
    assert handshake(guarded[0], f"/events?channel={channel}&ticket={ticket(guarded[0], allowed)}") == 101


def test_a_ticket_allows_no_more_than_its_token_and_only_streams(guarded: Two) -> None:
    allowed = token(subscribe=["a"])
    assert refusal(guarded[0], f"/ws/channels/b?ticket={ticket(guarded[0], allowed)}") == 403
    refused(get(guarded[0], f"/channels/a?ticket={ticket(guarded[0], allowed)}"), 401, "token-needed")
    refused(get(guarded[0], "/channels", **bearer(ticket(guarded[0], allowed))), 401, "token-needed")
    assert refusal(guarded[0], f"/ws/channels/a?ticket={allowed}") == 401


def ends(stream: Stream) -> bool:
    """Wait until the server ends a stream."""
    with pytest.raises(EOFError):
        stream.next()
    return True


def test_a_ticket_for_events_serves_reconnects_on_either_instance(guarded: Two) -> None:
    channel = new_channel()
    used = events_ticket(guarded[0], token(publish=[], subscribe=[f"{channel}*"]), channel)
    last = ""
    for number, server in enumerate([*guarded, *guarded[::-1]]):
        with streaming(
            server, channel, f"ticket={used}", **{"Last-Event-ID": last} if last else {}
        ) as stream:
            assert stream.response.headers["Referrer-Policy"] == "no-referrer"
            publish(guarded[0], channel, str(number), **bearer(token()))
            assert stream.data(1) == [str(number)]
            last = stream.last_id


@pytest.mark.parametrize("second", [0, 1])
def test_a_second_use_of_a_ticket_for_events_ends_the_first(guarded: Two, second: int) -> None:
    channel = new_channel()
    used = events_ticket(guarded[1], token(), channel)
    with (
        streaming(guarded[0], channel, f"ticket={used}") as first,
        streaming(guarded[0], channel, f"ticket={events_ticket(guarded[0], token(), channel)}") as other,
        streaming(guarded[second], channel, f"ticket={used}") as later,
    ):
        assert ends(first)
        publish(guarded[0], channel, "x", **bearer(token()))
        assert (later.data(1), other.data(1)) == (["x"], ["x"])
        with streaming(guarded[1 - second], channel, f"ticket={used}"):
            assert ends(later)


def test_a_ticket_for_events_is_good_for_nothing_else(guarded: Two) -> None:
    channel = new_channel()
    used = events_ticket(guarded[0], token(), channel)
    for path in (f"/ws/channels/{channel}", f"/events?channel={channel}"):
        assert refusal(guarded[1], f"{path}{'&' if '?' in path else '?'}ticket={used}") == 401
    for path in (f"/channels/{channel}", f"/channels/{new_channel()}/events", "/channels"):
        refused(get(guarded[0], f"{path}?ticket={used}"), 401, "token-needed")
    refused(post(guarded[0], f"{channel}?ticket={used}", "x"), 401, "token-needed")
    refused(post(guarded[0], channel, "x", **bearer(used)), 401, "token-needed")


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b'{"for": "events"}', 400, "bad-document"),
        (b'{"channel": "a"}', 400, "bad-document"),
        (b'{"for": "sockets", "channel": "a"}', 400, "bad-document"),
        (b'{"for": "events", "channel": 5}', 400, "bad-document"),
        (b'{"for": "events", "channel": "a/b"}', 400, "bad-channel"),
        (b'{"for": "events", "channel": "a", "more": 1}', 400, "bad-document"),
        (b'{"for": "events", "channel": "forbidden"}', 403, "forbidden"),
        (b"[]", 400, "bad-document"),
    ],
)
def test_a_ticket_for_events_needs_a_channel_that_may_be_subscribed_to(
    guarded: Two, body: bytes, status: int, name: str
) -> None:
    answer = requests.post(
        f"{guarded[0].url}/channels/ticket",
        body,
        headers={"Content-Type": "application/json", **bearer(token(subscribe=["a"]))},
        timeout=PATIENCE,
    )
    refused(answer, status, name)


def test_a_ticket_for_events_ends_with_its_token(guarded: Two) -> None:
    used = events_ticket(guarded[0], token(2), "a")
    with streaming(guarded[0], "a", f"ticket={used}") as stream:
        assert ends(stream)
    refused(get(guarded[1], f"/channels/a/events?ticket={used}"), 401, "token-needed")


def test_the_channel_of_the_tickets_is_hidden(guarded: Two) -> None:
    used = events_ticket(guarded[0], token(), "a")
    with streaming(guarded[0], "a", f"ticket={used}"):
        names = [
            row["channel"]
            for row in get(guarded[0], "/channels?limit=1000", **bearer(token())).json()["channels"]
        ]
        assert "a" in names
        assert not [name for name in names if "ticket" in name]
    for path in ("/channels/$tickets", "/channels/$tickets/events", "/channels/$tickets/presence"):
        refused(get(guarded[0], path, **bearer(token())), 400, "bad-channel")


def changed(text: str, **claims: Any) -> str:
    found = jwt.decode(text, SECRET, ["HS256"], audience="heliograph-ticket")
    return jwt.encode({**found, **claims}, SECRET, "HS256")


def test_an_old_ticket_is_refused(guarded: Two) -> None:
    fresh = ticket(guarded[0], token())
    life = jwt.decode(fresh, SECRET, ["HS256"], audience="heliograph-ticket")["exp"] - time.time()
    assert 27 < life <= 30
    assert refusal(guarded[0], f"/ws/channels/a?ticket={changed(fresh, exp=int(time.time()))}") == 401
    assert refusal(guarded[0], f"/ws/channels/a?ticket={changed(fresh, until=time.time())}") == 401
    assert handshake(guarded[0], f"/ws/channels/a?ticket={fresh}") == 101


@pytest.mark.parametrize("path", ["/ws/channels/a", "/events?channel=a"])
def test_a_websocket_is_closed_with_3005_when_its_token_expires(guarded: Two, path: str) -> None:
    with connect(guarded[0].websocket_url + path, additional_headers=bearer(token(2))) as socket:
        assert closing_code(socket) == 3005


def test_a_ticket_expires_with_the_token_that_it_is_for(guarded: Two) -> None:
    with talking(guarded[0], "a", f"ticket={ticket(guarded[0], token(2))}") as (_, talk):
        assert closing_code(talk.socket) == 3005


def test_a_stream_ends_when_its_token_expires(guarded: Two) -> None:
    with streaming(guarded[0], "a", **bearer(token(2))) as stream, pytest.raises(EOFError):
        stream.next()
