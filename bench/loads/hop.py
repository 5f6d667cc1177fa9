"""`python -m bench.loads.hop FROM TO CHANNEL COUNT`: published at one instance, delivered at another; one message after the other.

FROM and TO are ports. Prints a line of JSON: the milliseconds of each message from just before it is written until it was read.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time

from bench.loads.crowd import MESSAGE, Crowd, posters
from bench.loads.messages import PATIENCE, frame
from bench.loads.pipelined import Subscriber

#: Seconds between two messages, at most: each another time, so that none of them hits a pause of the other side each time.
PAUSE = 0.02

PUBLISH = b'{"type": "publish", "data": "%s"}' % MESSAGE


def main(source: int, target: int, channel: str, count: int) -> None:
    crowd = Crowd(target, f"/ws/channels/{channel}", 1)
    (poster,) = posters(crowd, f"/channels/{channel}", 1).values()
    crowd.settle(poster)
    publisher = Subscriber(source, channel).wire
    question, found = frame(PUBLISH, masked=True), []
    for _ in range(count):
        time.sleep(random.uniform(0, PAUSE))
        _drop(publisher)
        began = time.perf_counter()
        publisher.sendall(question)
        while not any(messages for _, messages in crowd.events()):
            if time.perf_counter() > began + PATIENCE:
                raise ConnectionError("a message did not arrive")
        found.append(1000 * (time.perf_counter() - began))
    print(json.dumps(found), flush=True)


def _drop(wire: socket.socket) -> None:
    """Throw away what the publisher itself is told."""
    while select.select([wire], [], [], 0)[0]:
        if not wire.recv(65536):
            raise ConnectionError("the publisher's connection was closed")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
