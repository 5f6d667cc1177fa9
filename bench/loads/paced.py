"""`python -m bench.loads.paced PORT CHANNEL SUBSCRIBERS RATE SECONDS`: RATE messages a second to all, and how long each takes.

Prints one line of JSON: p50, p99 and the longest of all deliveries, in milliseconds from just before the POST is written until the
message has been read; and how much of a core this process used.
"""

from __future__ import annotations

import array
import json
import sys
import time

from bench.loads.crowd import Crowd, Poster, posters, quantile

#: Requests to publish that may be under way at once: a server may answer later than the next message is due.
PUBLISHERS = 16


#: Seconds until a server that does not keep up is given up.
OVERTIME = 10.0


class Pace:
    """`delays` of all deliveries, in seconds."""

    def __init__(self, crowd: Crowd, publishers: dict[int, Poster]) -> None:
        self._crowd, self._publishers = crowd, publishers
        self._idle = list(publishers.values())
        self._sent: list[float] = []
        self.delays = array.array("d")

    def run(self, rate: float, count: int) -> None:
        """Publish `count` messages and wait until everybody has them. Raises ConnectionError after OVERTIME."""
        clock, crowd = time.perf_counter, self._crowd
        began, missing = clock(), count * len(crowd.counts)
        while missing or len(self._idle) < len(self._publishers):
            wait = 1.0
            if len(self._sent) < count and self._idle:
                wait = began + len(self._sent) / rate - clock()
                if wait <= 0:
                    self._post(began + len(self._sent) / rate, clock())
                    continue
            for number, got in crowd.events(min(1.0, wait)):
                if got:
                    self._arrived(clock(), crowd.counts[number], got)
                    missing -= got
                elif self._publishers[number].answered():
                    self._idle.append(self._publishers[number])
            if clock() > began + count / rate + OVERTIME:
                raise ConnectionError(f"{missing} messages were late by {OVERTIME:g} s")

    def _post(self, due: float, now: float) -> None:
        """A message that had to wait for an answer to another one is late from when it was due."""
        self._sent.append(due if len(self._idle) == 1 else now)
        self._idle.pop(0).post()

    def _arrived(self, now: float, count: int, got: int) -> None:
        """The last `got` of `count` messages."""
        for sent in self._sent[count - got : count]:
            self.delays.append(now - sent)


def main(port: int, channel: str, subscribers: int, rate: float, seconds: float) -> None:
    crowd = Crowd(port, f"/ws/channels/{channel}", subscribers)
    publishers = posters(crowd, f"/channels/{channel}", PUBLISHERS)
    crowd.settle(next(iter(publishers.values())))
    pace = Pace(crowd, publishers)
    worked, began = time.process_time(), time.perf_counter()
    pace.run(rate, int(rate * seconds))
    took, worked = time.perf_counter() - began, time.process_time() - worked
    delays = sorted(pace.delays)
    found = {
        "p50": 1000 * quantile(delays, 0.5),
        "p99": 1000 * quantile(delays, 0.99),
        "longest": 1000 * delays[-1],
        "load": worked / took,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
