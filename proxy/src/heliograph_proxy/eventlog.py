"""What happens to the proxy and its backends, as JSON lines on stderr: rare, so written at once.

Where stderr is a pipe without a reader, what it has no room for is dropped: requests do not wait for it.
"""

from __future__ import annotations

import json
import os
import select
import time
import traceback
from typing import Any

from heliograph_proxy.masking import mask_secrets

_STDERR = 2

_room = select.poll()
_room.register(_STDERR, select.POLLOUT)


#: Lines are for people. Set once, at the start of the process.
as_text = False


def log(event: str, **details: Any) -> None:
    """One event. A stderr that was closed must not end the proxy."""
    try:
        _write(_line(event, details))
    except OSError:
        return


def log_from_thread(event: str, **details: Any) -> None:
    """The same from a native thread, which may wait for the reader of stderr."""
    try:
        os.write(_STDERR, _line(event, details))
    except OSError:
        return


def _line(event: str, details: dict[str, Any]) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    shown = {
        name: mask_secrets(value) if isinstance(value, str) else value for name, value in details.items()
    }
    if as_text:
        pairs = (f" {name}={json.dumps(value, default=str)}" for name, value in shown.items())
        return f"{at} proxy: {event}{''.join(pairs)}\n".encode()
    return (json.dumps({"time": at, "event": event, **shown}, default=str) + "\n").encode()


def _write(data: bytes) -> None:
    # A pipe with any room for a poll has it for this many bytes: such a write does not wait.
    while data and _room.poll(0):
        written = os.write(_STDERR, data[: select.PIPE_BUF])
        data = data[written:]


def log_exception(event: str, exc: BaseException, **details: Any) -> None:
    """A mistake of ours, with its traceback."""
    log(event, **details, traceback="".join(traceback.format_exception(exc)))
