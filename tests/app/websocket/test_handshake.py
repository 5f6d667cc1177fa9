"""The opening handshake."""

from __future__ import annotations

import pytest

from app.errors import BadRequest, UpgradeRequired
from app.websocket.handshake import accept_key, asks_for_websocket, handshake_problem
from tests.app.websocket.raw import KEY

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
}


def test_the_accept_key_is_that_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


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
    ("changed", "kind"),
    [
        ({}, None),
        ({"CONTENT_LENGTH": "0"}, None),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, UpgradeRequired),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, UpgradeRequired),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, BadRequest),
        ({"HTTP_SEC_WEBSOCKET_KEY": "c2hvcnQ="}, BadRequest),
        ({"HTTP_SEC_WEBSOCKET_KEY": "é" * 24}, BadRequest),
        ({"HTTP_SEC_WEBSOCKET_KEY": KEY + "," + KEY}, BadRequest),
        ({"CONTENT_LENGTH": "5"}, BadRequest),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, BadRequest),
    ],
)
def test_what_is_wrong_with_a_handshake(changed: dict[str, str], kind: type | None) -> None:
    found = handshake_problem({**ENVIRON, **changed})
    assert type(found) is kind if kind else found is None


def test_another_version_is_told_ours() -> None:
    found = handshake_problem({**ENVIRON, "HTTP_SEC_WEBSOCKET_VERSION": "8"})
    assert found is not None
    assert found.headers == {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
