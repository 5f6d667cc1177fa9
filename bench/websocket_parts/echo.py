"""Echoes over 32 connections, beside four peers: messages a second of each, and ours in ratio to theirs."""

from __future__ import annotations

import functools
import statistics
from contextlib import ExitStack
from pathlib import Path

from bench.harness import BUSY, CONNECTIONS, ROUNDS, alternate, judge
from bench.websocket_parts.load import Round, echoes
from bench.websocket_parts.servers import COMMANDS, OURS, RIVAL, serving

SIZES = {"64 B": 64, "4 KiB": 4096, "64 KiB": 65536}

#: Times `websockets` on uvloop: what is asked, and what is aimed at.
TARGET, AIM = 1.0, 1.2

#: Of each round.
SECONDS = 2.0

#: Of a core: a load that used more may have been the limit itself.
SATURATED = 0.97


def measure(work: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(work, name)) for name in COMMANDS]
        for title, size in SIZES.items():
            rounds = alternate(
                [functools.partial(echoes, server, CONNECTIONS, size, SECONDS) for server in servers]
            )
            show(title, {server.name: median(found) for server, found in zip(servers, rounds, strict=True)})


def median(rounds: list[Round]) -> Round:
    """Of each figure by itself."""
    return Round(
        statistics.median(one.rate for one in rounds),
        statistics.median(one.cpu for one in rounds),
        statistics.median(one.load for one in rounds),
    )


def show(title: str, found: dict[str, Round]) -> None:
    print(
        f"\nEcho of {title} of text over {CONNECTIONS} connections (medians of {ROUNDS} rounds of {SECONDS:g} s)"
    )
    own = found[OURS]
    for name, one in found.items():
        print(
            f"  {name:<24} {one.rate:>9,.0f} msg/s   {one.cpu:>8.1f} us CPU each, {one.busy:>4.0%} of a core   "
            f"load {one.load:>4.0%}   ours is {own.rate / one.rate:>7.2f} × as fast, {one.cpu / own.cpu:>7.2f} × by CPU"
        )
        if one.load > SATURATED:
            print(f"  {'':<24} here the load may have been the limit: the ratio of CPU says more")
    rival = found[RIVAL]
    if min(own.busy, rival.busy) < BUSY:
        print(
            "  not the servers alone were the limit: the ratio by CPU says more than that of messages a second"
        )
    judge(f"beside {RIVAL}", own.rate / rival.rate, TARGET, "×")
    if own.rate / rival.rate < AIM:
        print(f"  the aim is {AIM:g} ×")
