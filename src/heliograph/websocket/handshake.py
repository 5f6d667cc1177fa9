"""The opening handshake of RFC 6455, section 4.2. Pure: a WSGI environ in, an agreement or a problem out.

`websockets`' `ServerProtocol.accept()` validates and negotiates; what it refuses becomes one of our problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from heliograph.problems import BadRequest, UpgradeRequired
from heliograph.request.environ import list_items
from heliograph.websocket.deflate import Deflate, agreed, factory

VERSION = "13"

ACCEPTED = 101

UPGRADE_HEADERS = {"Upgrade": "websocket", "Connection": "Upgrade"}

SUBPROTOCOL = "Sec-WebSocket-Protocol"

_DEFLATE = factory()


def asks_for_websocket(environ: Mapping[str, str]) -> bool:
    """Whether a request asks to become a WebSocket: GET, HTTP/1.1, and both headers of the upgrade."""
    return (
        "HTTP_UPGRADE" in environ  # first, as most requests have none
        and environ.get("REQUEST_METHOD") == "GET"
        and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
        and "websocket" in list_items(environ["HTTP_UPGRADE"])
        and "upgrade" in list_items(environ.get("HTTP_CONNECTION", ""))
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a client and this server agreed on. `fields` are those of the answer."""

    fields: tuple[tuple[str, str], ...]
    deflate: Deflate | None
    subprotocol: str | None = None
    #: Whether the server has sent the answer already.
    opened: bool = False

    def choosing(self, known: Sequence[str], environ: Mapping[str, Any]) -> Agreement:
        """The same with the first subprotocol of `known` that the client offers; RFC 6455, 4.2.2: none in common, no field."""
        offered = [one.strip() for one in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")]
        chosen = next((one for one in known if one in offered), None)
        if chosen is None:
            return self
        return Agreement((*self.fields, (SUBPROTOCOL, chosen)), self.deflate, chosen)

    def head(self, request_id: str) -> bytes:
        """The whole answer that makes the connection a WebSocket."""
        if self.opened:
            return b""
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            *(f"{name}: {value}" for name, value in self.fields),
            f"X-Request-Id: {request_id}",
            "X-Content-Type-Options: nosniff",
        ]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def agree(environ: Mapping[str, Any], subprotocol: str | None = None) -> Agreement:
    """Validate and negotiate a request for which `asks_for_websocket` holds. Raises BadRequest, UpgradeRequired.

    `subprotocol` is chosen where the client offers it; without one the connection goes on.
    """
    version = environ.get("HTTP_SEC_WEBSOCKET_VERSION", "")
    if version != VERSION:
        raise upgrade_required(f"Version {VERSION} of the WebSocket protocol is spoken here.")
    if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
        raise BadRequest("A request that asks for a WebSocket has no body.")
    chosen = Subprotocol(subprotocol) if subprotocol else None
    protocol = ServerProtocol(
        extensions=[_DEFLATE],
        select_subprotocol=lambda _, offered: chosen if chosen in offered else None,
    )
    response = protocol.accept(Request(environ.get("PATH_INFO", "/"), _fields(environ), "GET", "HTTP/1.1"))
    if response.status_code != ACCEPTED:
        raise BadRequest(f"The handshake is not valid: {protocol.handshake_exc}.")
    deflate = next(
        (agreed(found) for found in protocol.extensions if isinstance(found, PerMessageDeflate)), None
    )
    fields = tuple((name, value) for name, value in response.headers.raw_items() if name != "Date")
    return Agreement(fields, deflate, protocol.subprotocol)


def _fields(environ: Mapping[str, Any]) -> Headers:
    """What the handshake is about. The two fields of the upgrade itself were looked at, with all that they may list."""
    headers = Headers(UPGRADE_HEADERS)
    for name in ("Key", "Version", "Extensions", "Protocol"):
        value = environ.get(f"HTTP_SEC_WEBSOCKET_{name.upper()}")
        if value is not None:
            headers[f"Sec-WebSocket-{name}"] = value.strip()
    return headers


def upgrade_required(detail: str) -> UpgradeRequired:
    return UpgradeRequired(detail, headers={**UPGRADE_HEADERS, "Sec-WebSocket-Version": VERSION})
