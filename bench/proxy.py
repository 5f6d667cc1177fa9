"""Our proxy beside nginx: small answers, Gunicorn, bandwidth, tunnels, 10,000 idle clients, slow clients.

`script/bench proxy` runs all parts, `script/bench proxy tunnel idle` those two. Both proxies run at the same time, are
measured in turn, and what is judged is a ratio wherever there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.harness import Unavailable, folder
from bench.proxy_parts import bandwidth, gunicorn, idle, slow, small, tunnel
from proxy import COMPILED

#: In the order they run; each takes a folder for its files.
PARTS: dict[str, Callable[[Path], None]] = {
    "small": small.measure,
    "gunicorn": gunicorn.measure,
    "bandwidth": bandwidth.measure,
    "tunnel": tunnel.measure,
    "idle": idle.measure,
    "slow": slow.measure,
}


def main(names: Sequence[str] = ()) -> None:
    """Unavailable at once for an unknown name, and at the end when a part could not be measured."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise Unavailable(f"has no part {unknown[0]}; there are: {', '.join(PARTS)}")
    print(f"Our proxy runs {'compiled' if COMPILED else 'interpreted'}.", flush=True)
    failed = []
    for name in names or PARTS:
        try:
            with folder() as work:
                PARTS[name](work)
        except Unavailable as exc:
            print(f"script/bench proxy {name}: {exc}", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        raise Unavailable(f"could not be measured: {', '.join(failed)}")
