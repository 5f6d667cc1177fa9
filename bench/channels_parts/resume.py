"""1,000 clients come back at once and resume by 1,000 messages each, on SQLite and on Redis, while others follow other channels."""

from __future__ import annotations

import json
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from bench.channels_parts.load import begun, publishing, run
from bench.channels_parts.servers import instance, redis_server, refuse_errors, sqlite
from bench.harness import PATIENCE, judge
from bench.websocket_parts.servers import Server

CLIENTS, MESSAGES = 1000, 1000

#: Seconds until all have all; milliseconds that 99 % of the messages to others may take meanwhile: nobody notices 0.1 s.
TARGET, LATE = 10.0, 100.0

#: Others, messages a second to each of them, and seconds.
OTHERS, RATE, WATCHED = 10, 50, 6.0


def measure(work: Path) -> None:
    with ExitStack() as stack:
        on_sqlite = stack.enter_context(instance(work, sqlite(work), "heliograph, SQLite"))
        url = stack.enter_context(redis_server(work))
        on_redis = stack.enter_context(instance(work, url, "heliograph, Redis"))
        for server in (on_sqlite, on_redis):
            resume(server)
            refuse_errors(work, server.name)


def resume(server: Server) -> None:
    print(f"\n{CLIENTS:,} clients resume by {MESSAGES:,} messages each: {server.name}")
    cursor = f"{fill(server)}:0"
    alone = run("paced", server.port, "live", OTHERS, RATE, WATCHED)
    with begun("paced", server.port, "live", OTHERS, RATE, WATCHED) as finish:
        found = run("resuming", server.port, "resume1", cursor, CLIENTS, MESSAGES, server.leader)
        beside = finish()
    print(
        f"  in {found['seconds']:.2f} s, {found['served']:.2f} s of CPU; {OTHERS} others meanwhile: "
        f"p50 {beside['p50']:.2f} ms, p99 {beside['p99']:.2f} ms, slowest {beside['longest']:.2f} ms "
        f"(alone: p50 {alone['p50']:.2f} ms, p99 {alone['p99']:.2f} ms)"
    )
    judge("until all have all", found["seconds"], TARGET, "s", at_most=True)
    judge("p99 of others", beside["p99"], LATE, "ms", at_most=True)


def fill(server: Server) -> str:
    """Publish what they will resume by; the channel's epoch."""
    publishing(server, server, "resume", 1, 100, MESSAGES)
    url = f"http://127.0.0.1:{server.port}/channels/resume1?limit=1"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return str(json.load(answer)["epoch"])
