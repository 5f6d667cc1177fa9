"""What a program publishes, as the server takes it: a text, bytes, or anything that JSON can say. Pure."""

from __future__ import annotations

import base64
import json
from typing import Any

from heliograph_client.limits import MAX_MESSAGE


class Content:
    """`kind` is a Content-Type. Raises ValueError or TypeError for what cannot be published."""

    def __init__(self, data: Any) -> None:
        if isinstance(data, str):
            self.kind, self.body = "text/plain; charset=utf-8", data.encode()
        elif isinstance(data, bytes | bytearray | memoryview):
            self.kind, self.body = "application/octet-stream", bytes(data)
        else:
            self.kind, self.body = "application/json", _json(data).encode()
        if len(self.body) > MAX_MESSAGE:
            raise ValueError(f"A message has at most {MAX_MESSAGE} bytes, and this one {len(self.body)}.")

    def frame(self, ref: int) -> str:
        """To publish over a WebSocket."""
        return f'{{"type": "publish", "ref": {ref}, "data": {self._member()}}}'

    def _member(self) -> str:
        if self.kind.startswith("text/"):
            return _json(self.body.decode())
        if self.kind == "application/json":
            return self.body.decode()
        return _json({"base64": base64.b64encode(self.body).decode()})


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
