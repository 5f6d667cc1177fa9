"""`python -m bench.loads.resuming PORT CHANNEL CURSOR CLIENTS MESSAGES LEADER`: clients that come back at once with an old cursor.

Prints a line of JSON when each of them got MESSAGES: seconds since the first connected, and how many this process worked and how
many the server's processes, whose group LEADER leads.
"""

from __future__ import annotations

import json
import sys
import time

from bench.harness import processor_seconds
from bench.loads.crowd import Crowd
from bench.loads.messages import PATIENCE


def main(port: int, channel: str, cursor: str, clients: int, messages: int, leader: int) -> None:
    worked, served = time.process_time(), processor_seconds(leader)
    began = time.perf_counter()
    crowd = Crowd(port, f"/ws/channels/{channel}?after={cursor}", clients)
    while sum(crowd.counts.values()) < clients * messages:
        if time.perf_counter() > began + PATIENCE:
            raise ConnectionError(f"after {PATIENCE:g} s {sum(crowd.counts.values())} messages had come")
        for _ in crowd.events():
            pass
    took = time.perf_counter() - began
    if set(crowd.counts.values()) != {messages}:
        raise ConnectionError("some got more messages than others")
    found = {
        "seconds": took,
        "worked": time.process_time() - worked,
        "served": processor_seconds(leader) - served,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
