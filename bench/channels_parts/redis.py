"""On Redis: messages to 1,000 subscribers beside broadcaster's Redis backend, and 5,000 acknowledged messages a second."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bench.channels_parts.fanout import BURSTS, SUBSCRIBERS, TARGET, compare
from bench.channels_parts.instances import MESSAGES, PUBLISHERS, WINDOW, judge_rate
from bench.channels_parts.load import publishing
from bench.channels_parts.servers import broadcaster, instance, redis_server, refuse_errors
from bench.harness import ROUNDS

ACKNOWLEDGED_TARGET = 5_000


def measure(work: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(work))
        ours = stack.enter_context(instance(work, url, "heliograph, Redis"))
        rival = stack.enter_context(broadcaster(work, url))
        for title, burst in BURSTS.items():
            compare(f"Redis: {title} to {SUBSCRIBERS:,} subscribers", [ours, rival], burst, TARGET)
        print(f"\nAcknowledged messages over {PUBLISHERS} WebSockets, {WINDOW} under way on each")
        rounds = [publishing(ours, ours, "pipe", PUBLISHERS, WINDOW, MESSAGES) for _ in range(ROUNDS)]
        judge_rate(rounds, ACKNOWLEDGED_TARGET)
        refuse_errors(work, ours.name)
