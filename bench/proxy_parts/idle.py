"""10,000 clients that asked once and stay connected: memory for each, and how quickly a new one is answered."""

from __future__ import annotations

import http.client
import statistics
import time
from pathlib import Path

from bench.harness import PATIENCE, Unavailable, judge, members, processor_seconds, resident, timed
from bench.loads.resident import staying
from bench.proxy_parts.fronts import Front, both, nginx_backend

CLIENTS = 10_000

#: KiB of the process for each; milliseconds for a request on a new connection, half of them.
MEMORY_TARGET, ANSWER_TARGET = 25.0, 5.0

REQUESTS = 1000

#: How long the proxy is watched while nobody asks anything.
QUIET_SECONDS = 3.0


def measure(work: Path) -> None:
    print(f"\n{CLIENTS:,} idle clients")
    with nginx_backend(work) as backend, both(work, backend) as (ours, theirs):
        each, answered = under_idle(ours)
        judge("memory for each", each, MEMORY_TARGET, "KiB", at_most=True)
        judge("p50 of a new request", answered, ANSWER_TARGET, "ms", at_most=True)
        under_idle(theirs)


def under_idle(front: Front) -> tuple[float, float]:
    """KiB that each client takes, and the median of milliseconds of a new request."""
    ask(front.port, REQUESTS)  # what it has made ready for work is no client's memory
    before = memory(front)
    alone = statistics.median(ask(front.port, REQUESTS))
    with staying("idle", front.port, CLIENTS):
        each = (memory(front) - before) / CLIENTS / 1024
        began = processor_seconds(front.pid)
        time.sleep(QUIET_SECONDS)
        used = (processor_seconds(front.pid) - began) / QUIET_SECONDS
        answers = ask(front.port, REQUESTS)
    found = statistics.median(answers)
    print(
        f"  {front.name:<10}  {each:>5.1f} KiB each, {used:.1%} of a core while nobody asks; "
        f"a new request: p50 {found:.2f} ms, "
        f"p99 {statistics.quantiles(answers, n=100)[-1]:.2f} ms (without them p50 {alone:.2f} ms)"
    )
    return each, found


def memory(front: Front) -> int:
    """Bytes of all its processes."""
    return sum(map(resident, members(front.pid)))


def ask(port: int, count: int) -> list[float]:
    """Milliseconds that each of `count` requests took, each on a connection of its own."""
    return [1000 * timed(lambda: visit(port))[0] for _ in range(count)]


def visit(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/", headers={"Connection": "close"})
    answer = connection.getresponse()
    if answer.read() != b"hello":
        raise Unavailable(f"a request was answered with {answer.status}")
    connection.close()
