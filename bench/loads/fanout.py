"""`python -m bench.loads.fanout PORT SUBSCRIBERS BURST SECONDS LEADER`: messages to many subscribers, as fast as they arrive.

BURST messages are published, and when all of them have reached everybody the next ones, until SECONDS are over. Prints one line of
JSON: deliveries, seconds, and how many this process worked and how many the server's processes, whose group LEADER leads.
"""

from __future__ import annotations

import json
import os
import sys
import time

from bench.harness import processor_seconds
from bench.loads.crowd import Crowd, Poster, posters

#: Requests to publish that are under way at once, at most.
PUBLISHERS = 8


def burst(crowd: Crowd, publishers: dict[int, Poster], messages: int, subscribers: int) -> None:
    """Publish so many, and wait until everybody got them."""
    left, missing, asked = messages, messages * subscribers, 0
    for poster in publishers.values():
        if left:
            poster.post()
            left, asked = left - 1, asked + 1
    while missing or asked:
        before = missing
        for number, got in crowd.events():
            before = -1
            if got:
                missing -= got
                continue
            if not publishers[number].answered():
                continue
            asked -= 1
            if left:
                publishers[number].post()
                left, asked = left - 1, asked + 1
        if before == missing and before >= 0:
            raise ConnectionError(f"{missing} messages did not arrive")


def main(port: int, subscribers: int, size: int, seconds: float, leader: int) -> None:
    channel = f"fan{os.getpid()}"  # a new one each time: broadcaster forgets who comes to one that is just being left
    crowd = Crowd(port, f"/ws/channels/{channel}", subscribers)
    publishers = posters(crowd, f"/channels/{channel}", min(PUBLISHERS, size))
    crowd.settle(next(iter(publishers.values())))
    burst(crowd, publishers, size, subscribers)
    bursts, worked, served = 0, time.process_time(), processor_seconds(leader)
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        burst(crowd, publishers, size, subscribers)
        bursts += 1
    took = time.perf_counter() - began
    if set(crowd.counts.values()) != {(bursts + 1) * size}:
        raise ConnectionError("some subscribers got more messages than others")
    found = {
        "deliveries": bursts * size * subscribers,
        "seconds": took,
        "worked": time.process_time() - worked,
        "served": processor_seconds(leader) - served,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
