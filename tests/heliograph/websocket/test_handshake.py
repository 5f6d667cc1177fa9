"""The opening handshake."""

from __future__ import annotations

import pytest

from heliograph.problems import BadRequest, Problem, UpgradeRequired
from heliograph.websocket.deflate import Deflate
from heliograph.websocket.handshake import agree, asks_for_websocket
from tests.heliograph.websocket.raw import KEY

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
}


@pytest.mark.parametrize(
    ("changed", "asks"),
    [
        ({}, True),
        ({"HTTP_UPGRADE": "h2c, WebSocket"}, True),
        ({"HTTP_CONNECTION": "keep-alive, upgrade"}, True),
        ({"HTTP_UPGRADE": "h2c"}, False),
        ({"HTTP_UPGRADE": "websockets"}, False),
        ({"HTTP_CONNECTION": "close"}, False),
        ({"HTTP_CONNECTION": ""}, False),
        ({"REQUEST_METHOD": "POST"}, False),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, False),
    ],
)
def test_which_requests_ask_for_a_websocket(changed: dict[str, str], asks: bool) -> None:
    assert asks_for_websocket({**ENVIRON, **changed}) is asks


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, UpgradeRequired, "Version 13"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, UpgradeRequired, "Version 13"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "13, 8"}, UpgradeRequired, "Version 13"),
        ({"HTTP_SEC_WEBSOCKET_KEY": None}, BadRequest, "Sec-WebSocket-Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, BadRequest, "Sec-WebSocket-Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "c2hvcnQ="}, BadRequest, "Sec-WebSocket-Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "é" * 24}, BadRequest, "Sec-WebSocket-Key"),
        ({"HTTP_SEC_WEBSOCKET_KEY": KEY + "," + KEY}, BadRequest, "Sec-WebSocket-Key"),
        (
            {"HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate; ="},
            BadRequest,
            "Sec-WebSocket-Extensions",
        ),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a b"}, BadRequest, "Sec-WebSocket-Protocol"),
        ({"CONTENT_LENGTH": "5"}, BadRequest, "no body"),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, BadRequest, "no body"),
    ],
)
def test_what_is_wrong_with_a_handshake(
    changed: dict[str, str | None], kind: type[Problem], words: str
) -> None:
    environ = {key: value for key, value in {**ENVIRON, **changed}.items() if value is not None}
    with pytest.raises(kind, match=words):
        agree(environ)


@pytest.mark.parametrize(
    "changed",
    [{}, {"CONTENT_LENGTH": "0"}, {"HTTP_UPGRADE": "h2c, WebSocket"}, {"HTTP_SEC_WEBSOCKET_KEY": f" {KEY} "}],
)
def test_a_valid_handshake_is_answered_with_the_key_of_the_rfc(changed: dict[str, str]) -> None:
    agreement = agree({**ENVIRON, **changed})
    assert agreement.deflate is None
    assert agreement.head("my-request").decode().splitlines() == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "X-Request-Id: my-request",
        "X-Content-Type-Options: nosniff",
        "",
    ]


def test_another_version_is_told_ours() -> None:
    with pytest.raises(UpgradeRequired) as caught:
        agree({**ENVIRON, "HTTP_SEC_WEBSOCKET_VERSION": "8"})
    assert caught.value.headers == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
    }


BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offer", "answer", "deflate"),
    [
        ("permessage-deflate", f"{BOTH}; server_max_window_bits=12", Deflate(12, 15)),
        (
            "permessage-deflate; client_max_window_bits",
            f"{BOTH}; server_max_window_bits=12",
            Deflate(12, 15),
        ),
        (
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
            f"{BOTH}; server_max_window_bits=9; client_max_window_bits=10",
            Deflate(9, 10),
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            f"{BOTH}; server_max_window_bits=12",
            Deflate(12, 15),
        ),
        # zlib cannot make windows of 256 bytes; the next offer is taken.
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate",
            f"{BOTH}; server_max_window_bits=12",
            Deflate(12, 15),
        ),
        ("permessage-deflate; server_max_window_bits=8", None, None),
        ("permessage-deflate; unheard_of", None, None),
        ("x-webkit-deflate-frame", None, None),
    ],
)
def test_deflate_is_negotiated_without_context(
    offer: str, answer: str | None, deflate: Deflate | None
) -> None:
    agreement = agree({**ENVIRON, "HTTP_SEC_WEBSOCKET_EXTENSIONS": offer})
    assert dict(agreement.fields).get("Sec-WebSocket-Extensions") == answer
    assert agreement.deflate == deflate


@pytest.mark.parametrize(
    ("offered", "ours", "chosen"),
    [
        ("chat, superchat", "chat", "chat"),
        ("superchat", "chat", None),
        ("chat", None, None),
        (None, "chat", None),
    ],
)
def test_a_subprotocol_is_chosen_where_both_know_it(
    offered: str | None, ours: str | None, chosen: str | None
) -> None:
    environ = {**ENVIRON, **({"HTTP_SEC_WEBSOCKET_PROTOCOL": offered} if offered else {})}
    assert dict(agree(environ, ours).fields).get("Sec-WebSocket-Protocol") == chosen
