"""Our application, and at /greenlets how many greenlets of its process are alive. For `gunicorn -c conf/gunicorn.conf.py`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from greenlet import greenlet

from wsgi import app as application


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects())


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/greenlets":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
        return [str(alive()).encode()]
    answer: Iterable[bytes] = application(environ, start_response)
    return answer
