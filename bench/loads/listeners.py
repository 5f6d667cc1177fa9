"""`python -m bench.loads.listeners PORT CHANNEL COUNT`: subscribers to whom nothing is said and who answer pings.

At the end all of them must still be open.
"""

from __future__ import annotations

import sys

from bench.loads.crowd import Crowd
from bench.loads.resident import READY, until_told


def main(port: int, channel: str, count: int) -> None:
    crowd = Crowd(port, f"/ws/channels/{channel}", count)
    crowd.subscribed()
    trouble = ""
    with until_told():
        while not trouble:
            try:
                for _ in crowd.events(1.0):
                    trouble = trouble or "a message came that nobody published"
            except OSError as exc:
                trouble = str(exc)
    print(trouble or READY, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
