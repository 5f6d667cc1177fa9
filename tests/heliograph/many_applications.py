"""Makes, uses and drops applications one after another; prints what they left behind. Usage: many_applications.py FOLDER"""

from gevent import monkey

monkey.patch_all()

import atexit  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from flask import Flask  # noqa: E402
from greenlet import greenlet  # noqa: E402

from app.application import GROUPS, create_app  # noqa: E402
from heliograph import Heliograph  # noqa: E402
from heliograph.settings import load  # noqa: E402


def make_use_and_drop(folder: str, channels: str) -> None:
    app = create_app(load({"HELIOGRAPH_CHANNELS": channels, "HELIOGRAPH_SPOOL": folder}, GROUPS))
    client = app.test_client()
    assert client.post("/channels/a", data="x", content_type="text/plain").status_code == 201
    assert client.get("/readyz").status_code == 200
    with client.post("/codecs/base64/encode", data="x" * 1_100_000) as answer:  # through the spool
        assert answer.status_code == 200
    with client.get("/channels/a/events?after=earliest", buffered=False) as events:
        assert next(events.iter_encoded())
    app.extensions["heliograph"].close()


def left() -> dict[str, int]:
    """What there is in this process that an application could have made."""
    gevent.sleep(0.1)
    gc.collect()
    objects = gc.get_objects()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        # Without those that stand for threads: the watch over the loop has one from its first report on.
        "greenlets": sum(isinstance(one, greenlet) and one.parent is not None for one in objects),
        "handlers": len(logging.getLogger("heliograph").handlers),
        "called at exit": atexit._ncallbacks(),
        "applications": sum(isinstance(one, Flask | Heliograph) for one in objects),
    }


folder = sys.argv[1]
#: The event loop's own threads come and go with the load: here there is one.
gevent.get_hub().threadpool.maxsize = 1
for count in (4, 50):
    for number in range(count):
        make_use_and_drop(folder, "memory://" if number % 2 else f"sqlite:///{folder}/{number}.db")
    print(json.dumps(left()))
