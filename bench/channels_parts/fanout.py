"""Messages to 1,000 subscribers of one instance, beside FastAPI with broadcaster and nchan: deliveries a second, and how late."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.channels_parts.load import Round, fan_out, median, run
from bench.channels_parts.servers import BROADCASTER, broadcaster, instance, nchan, refuse_errors, sqlite
from bench.harness import BUSY, ROUNDS, Unavailable, alternate, judge
from bench.websocket_parts.servers import Server

SUBSCRIBERS = 1000

#: Messages that are published at once: a burst as the notes on peers have it, and one after the other has arrived.
BURSTS = {"200 messages at once": 200, "one message at a time": 1}

#: Times broadcaster's deliveries; times nchan's is an aim.
TARGET, AIM = 2.5, 1.0

#: Of a round, at least: a burst is always finished.
SECONDS = 2.0

#: Messages a second, for how many seconds, and the milliseconds that 99 % of the deliveries may take at most.
RATE, WATCHED, LATE = 50, 10.0, 30.0

#: Of a core: a load that used more may have been the limit itself.
SATURATED = 0.97


def measure(work: Path) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(instance(work, "memory://"))
        stored = stack.enter_context(instance(work, sqlite(work), "heliograph, SQLite"))
        rival = stack.enter_context(broadcaster(work, "memory://"))
        module = stack.enter_context(nchan(work))
        servers = [ours, stored, rival] + ([module] if module else [])
        for title, burst in BURSTS.items():
            compare(f"{title} to {SUBSCRIBERS:,} subscribers", servers, burst, TARGET)
        print(f"\n{RATE} messages a second to {SUBSCRIBERS:,} subscribers, from POST to delivery")
        for server in servers:
            try:
                p99 = delays(server)
            except Unavailable:
                if server in (ours, stored):
                    raise
                print(f"  {server.name:<22} cannot keep up with that")
            else:
                if server in (ours, stored):
                    judge(f"p99, {server.name}", p99, LATE, "ms", at_most=True)
        for server in (ours, stored):
            refuse_errors(work, server.name)


def compare(title: str, servers: Sequence[Server], burst: int, target: float) -> None:
    """All of them in turn; each of ours is judged beside broadcaster."""
    rounds = alternate(
        [functools.partial(fan_out, server, SUBSCRIBERS, burst, SECONDS) for server in servers]
    )
    found = {server.name: median(each) for server, each in zip(servers, rounds, strict=True)}
    print(f"\n{title} (medians of {ROUNDS} rounds of {SECONDS:g} s)")
    rival = found[BROADCASTER]
    for name, one in found.items():
        print(
            f"  {name:<22} {one.rate:>9,.0f} deliveries/s   {one.cpu:>5.1f} us CPU each, {one.busy:>4.0%} of a core   "
            f"load {one.load:>4.0%}   {one.rate / rival.rate:>5.2f} × broadcaster, {rival.cpu / one.cpu:>5.2f} × by CPU"
        )
        if one.load > SATURATED:
            print(f"  {'':<22} here the load may have been the limit: the ratio of CPU says more")
        elif one.busy < BUSY:
            print(f"  {'':<22} here the server had time left: the ratio of CPU says more")
    for name, one in found.items():
        if name.startswith("heliograph"):
            judge(f"{name}, beside broadcaster", one.rate / rival.rate, target, "×")
            show_aim(one, found)


def show_aim(one: Round, found: dict[str, Round]) -> None:
    peer = next((found[name] for name in found if name.startswith("nchan")), None)
    if peer is not None:
        print(
            f"  {'beside nchan':<32} {one.rate / peer.rate:>8.2f} ×   (the aim is {AIM:g} ×), "
            f"{peer.cpu / one.cpu:.2f} × by CPU"
        )


def delays(server: Server) -> float:
    """Milliseconds that 99 % of all deliveries took at most."""
    found = run("paced", server.port, "paced", SUBSCRIBERS, RATE, WATCHED)
    print(
        f"  {server.name:<22} p50 {found['p50']:>6.2f} ms   p99 {found['p99']:>6.2f} ms   "
        f"slowest {found['longest']:>7.2f} ms   load {found['load']:.0%}"
    )
    return float(found["p99"])
