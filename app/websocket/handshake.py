"""The opening handshake of RFC 6455, section 4.2. Pure: a WSGI environ in, a decision out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from app.errors import BadRequest, Problem, UpgradeRequired

VERSION = "13"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

UPGRADE_HEADERS = {"Upgrade": "websocket", "Connection": "Upgrade"}


def asks_for_websocket(environ: Mapping[str, str]) -> bool:
    """Whether a request asks to become a WebSocket: GET, HTTP/1.1, and both headers of the upgrade."""
    return (
        environ.get("REQUEST_METHOD") == "GET"
        and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        and "websocket" in _tokens(environ.get("HTTP_UPGRADE", ""))
        and "upgrade" in _tokens(environ.get("HTTP_CONNECTION", ""))
    )


def handshake_problem(environ: Mapping[str, str]) -> Problem | None:
    """What is wrong with an upgrade request, or None."""
    version = environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
    if version != VERSION:
        return upgrade_required(f"Version {VERSION} of the WebSocket protocol is spoken here.")
    if not _valid_key(environ.get("HTTP_SEC_WEBSOCKET_KEY", "")):
        return BadRequest("Sec-WebSocket-Key must be 16 bytes in base64.")
    if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        return BadRequest("A request that asks for a WebSocket has no body.")
    return None


def upgrade_required(detail: str) -> UpgradeRequired:
    return UpgradeRequired(detail, headers={**UPGRADE_HEADERS, "Sec-WebSocket-Version": VERSION})


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.strip().encode() + GUID).digest()).decode()


def _valid_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.strip(), validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _tokens(header: str) -> list[str]:
    return [token.strip().lower() for token in header.split(",")]
