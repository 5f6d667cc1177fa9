"""Two instances on SQLite: from one to the other, 10,000 acknowledged messages a second, by HTTP, a million, and a death."""

from __future__ import annotations

import functools
import json
import os
import signal
import statistics
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.channels_parts.load import Round, begun, costing, median, publishing, run
from bench.channels_parts.servers import flask_hello, instance, refuse_errors, sqlite
from bench.harness import (
    PATIENCE,
    ROUNDS,
    alternate,
    compare,
    judge,
    members,
    needs,
    resident,
    wrk,
)
from bench.websocket_parts.servers import Server

#: Milliseconds from one instance to the other, half of the messages.
HOP_TARGET = 3.0
HOPS = 500

#: Acknowledged messages a second by WebSocket; times a Flask hello by HTTP; times the memory after the first of the many messages.
ACKNOWLEDGED_TARGET, HTTP_TARGET, MEMORY_TARGET = 10_000, 0.5, 1.1

#: WebSockets that publish, how many messages each has under way, and messages in a round.
PUBLISHERS, WINDOW, MESSAGES = 4, 250, 50_000

#: Messages after which memory is looked at, twice.
FIRST, ALL = 100_000, 1_000_000

POST = """\
wrk.method = "POST"
wrk.body = string.rep("x", 64)
wrk.headers["Content-Type"] = "text/plain"
"""


def measure(work: Path) -> None:
    needs("wrk", "wrk")
    url = sqlite(work)
    with ExitStack() as stack:
        one = stack.enter_context(instance(work, url, "heliograph one"))
        two = stack.enter_context(instance(work, url, "heliograph two"))
        hops(one, two)
        pipelined(one, two)
        hello = stack.enter_context(flask_hello(work))
        by_http(work, one, hello)
        memory(one, two)
        for server in (one, two):
            refuse_errors(work, server.name)
        death(one, two)


def hops(one: Server, two: Server) -> None:
    print(f"\nFrom one instance to the other ({ROUNDS} rounds of {HOPS} messages, one after the other)")
    there: list[Callable[[], list[float]]] = [
        functools.partial(run, "hop", source.port, target.port, "hop", HOPS)
        for source, target in ((one, two), (one, one))
    ]
    far, near = ([statistics.quantiles(each, n=100) for each in rounds] for rounds in alternate(there))
    for name, found in (("to the other", far), ("to the same", near)):
        p50, p99 = (statistics.median(each[part] for each in found) for part in (49, 98))
        print(f"  {name:<22} p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    judge("p50", statistics.median(each[49] for each in far), HOP_TARGET, "ms", at_most=True)


def pipelined(one: Server, two: Server) -> None:
    print(
        f"\nAcknowledged messages over {PUBLISHERS} WebSockets, {WINDOW} under way on each, one channel followed at the other "
        f"instance (medians of {ROUNDS} rounds)"
    )
    judge_rate(
        [publishing(one, two, "pipe", PUBLISHERS, WINDOW, MESSAGES) for _ in range(ROUNDS)],
        ACKNOWLEDGED_TARGET,
    )


def judge_rate(rounds: list[Round], target: float) -> None:
    one = median(rounds)
    print(
        f"  {one.rate:,.0f} a second, {one.cpu:.1f} us CPU each, {one.busy:.0%} of a core   load {one.load:.0%}"
    )
    judge("acknowledged a second", one.rate, target, "")


def by_http(work: Path, one: Server, hello: Server) -> None:
    script = work / "post.lua"
    script.write_text(POST)
    ratio = compare(
        "Messages by POST, beside a Flask hello in the same worker",
        lambda: costing(one.leader, lambda: wrk(f"http://127.0.0.1:{one.port}/channels/posted", script)),
        lambda: costing(hello.leader, lambda: wrk(f"http://127.0.0.1:{hello.port}/")),
        (one.name, hello.name),
    )
    judge("requests per second", ratio.rate, HTTP_TARGET, "×")


def memory(one: Server, two: Server) -> None:
    """It must not grow with the number of messages."""
    found = []
    for messages in (FIRST, ALL - FIRST):
        publishing(one, two, "many", PUBLISHERS, WINDOW, messages)
        found.append(sum(map(resident, members(one.leader))) / (1 << 20))
    print(
        f"\nMemory of an instance: {found[0]:.1f} MiB after {FIRST:,} messages, {found[1]:.1f} MiB after {ALL:,}"
    )
    judge("memory, later by before", found[1] / found[0], MEMORY_TARGET, "×", at_most=True)


def death(one: Server, two: Server) -> None:
    """Kill the first instance's worker while it acknowledges; the other one must have all that was acknowledged."""
    arguments = (one.port, two.port, "killed", PUBLISHERS, WINDOW, ALL, one.leader)
    with begun("pipelined", *arguments) as finish:
        while top(two, "killed1") < MESSAGES // PUBLISHERS:
            time.sleep(0.05)
        os.kill(max(members(one.leader)), signal.SIGKILL)
        acknowledged = finish()["acknowledged"]
    lost = sum(max(0, count - top(two, channel)) for channel, count in acknowledged.items())
    print(f"\nAn instance killed (SIGKILL) after {sum(acknowledged.values()):,} acknowledgements")
    judge("acknowledged and lost", lost, 0, "", at_most=True)


def top(server: Server, channel: str) -> int:
    """The channel's highest offset."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{server.port}/channels/{channel}?limit=1", timeout=PATIENCE
    ) as answer:
        return int(json.load(answer)["top"])
