"""A process that publishes on channel `a`, many at once, and prints a line for each acknowledgement: epoch, offset, text, a dot."""

# ruff: noqa: E402 (the patches come first)
from gevent import monkey

monkey.patch_all()

import os
import sys

from gevent.event import Event

from heliograph.channels.engines import open_log
from heliograph.channels.location import parse_location
from heliograph.channels.message import Kind, new_append
from heliograph.channels.records import Appended, Limits, Outcome

#: Appends in flight.
WINDOW = 50


def main(url: str) -> None:
    log = open_log(parse_location(url), Limits(history_size=10**6))
    in_flight, more = 0, Event()

    def submit(n: int) -> None:
        text = f"{os.getpid()}:{n}."

        def done(outcome: Outcome) -> None:
            nonlocal in_flight
            in_flight -= 1
            if isinstance(outcome, Appended):
                os.write(1, f"{outcome.epoch} {outcome.offset} {text}\n".encode())
            more.set()

        log.submit(new_append("a", Kind.TEXT, text.encode()), done)

    n = 0
    while True:
        while in_flight >= WINDOW:
            more.clear()
            more.wait()
        in_flight += 1
        submit(n)
        n += 1


main(sys.argv[1])
