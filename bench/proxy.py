"""Our proxy beside nginx: small answers, Gunicorn, bandwidth, tunnels, 10,000 idle clients, slow clients.

`script/bench proxy` runs all parts, `script/bench proxy tunnel idle` those two. Both proxies run at the same time, are
measured in turn, and what is judged is a ratio wherever there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from heliograph_proxy import COMPILED

from bench.harness import run_parts
from bench.proxy_parts import bandwidth, gunicorn, idle, slow, small, tunnel

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
    """Raises Unavailable."""
    print(f"Our proxy runs {'compiled' if COMPILED else 'interpreted'}.", flush=True)
    run_parts("proxy", PARTS, names)
