"""What happens to the proxy and its backends, as JSON lines on stderr: rare, so written at once."""

from __future__ import annotations

import json
import os
import time
import traceback
from typing import Any

_STDERR = 2


def log(event: str, **details: Any) -> None:
    """One event. A stderr that nobody takes anymore must not end the proxy."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"time": at, "event": event, **details}, default=str) + "\n"
    try:
        os.write(_STDERR, line.encode())
    except OSError:
        return


def log_exception(event: str, exc: BaseException, **details: Any) -> None:
    """A mistake of ours, with its traceback."""
    log(event, **details, traceback="".join(traceback.format_exception(exc)))
