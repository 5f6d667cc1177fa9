"""What schemathesis is kept from: delays, streams and sizes that are allowed, but would take long, become short ones; garbage that
calls itself YAML is sent as bytes.

Values that are not allowed stay as they are: they are what it is for.
"""

from __future__ import annotations

import contextlib
from typing import Any

import schemathesis

#: Operation -> parameter -> the largest value that is left as it is, and the largest that is allowed.
BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "/echo/delay/{seconds}": {"seconds": (0.05, 30)},
    "/echo/stream": {"count": (3, 10_000), "interval": (0.01, 60)},
    "/echo/bytes/{n}": {"n": (10_000, 10 << 30)},
}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    bounds = BOUNDS.get(case.path, {})
    for parameters in (case.path_parameters, case.query):
        for name, (small, allowed) in bounds.items():
            with contextlib.suppress(TypeError, ValueError):
                if parameters and name in parameters and small < float(parameters[name]) <= allowed:
                    parameters[name] = small
    if case.path == "/echo" and "yaml" in str(case.media_type):
        # The echo of garbage that calls itself YAML is right, and ends the thread of schemathesis that reads it.
        case.media_type = "application/octet-stream"
        case.headers["Content-Type"] = case.media_type
    if case.path == "/echo/stream" and case.query is not None:
        case.query.setdefault("count", 2)
