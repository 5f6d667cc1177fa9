"""`python -m bench.loads.sleepers PORT COUNT LEAST`: WebSockets that say nothing and answer pings.

At the end all of them must still be open, and at least LEAST pings have been answered.
"""

from __future__ import annotations

import select
import sys

from bench.loads.messages import answer_ping, dial_many
from bench.loads.resident import READY, raise_descriptor_limit, until_told


def main(port: int, count: int, least: int) -> None:
    raise_descriptor_limit(count + 100)
    wires = {wire.fileno(): wire for wire in dial_many(port, "/ws/echo", count)}
    poll, pings, trouble = select.epoll(), 0, ""
    for number in wires:
        poll.register(number, select.EPOLLIN)
    with until_told():
        while True:
            for number, _ in poll.poll():
                try:
                    answer_ping(wires[number])
                    pings += 1
                except OSError as exc:
                    trouble = str(exc)
                    poll.unregister(number)
    if not trouble and pings < least:
        trouble = f"only {pings} pings came to {count} connections"
    print(trouble or READY, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
