"""In front of two Gunicorn instances: the same as the comparison `stack`, judged."""

from __future__ import annotations

from pathlib import Path

from bench.harness import compare, free_ports, judge, needs, wrk
from bench.stack import POST_1_KIB, in_front, instances

#: Times nginx's requests per second.
TARGET = 0.97


def measure(work: Path) -> None:
    needs("wrk", "wrk")
    post = work / "post.lua"
    post.write_text(POST_1_KIB)
    ports = free_ports(2)
    names = ("heliograph", "nginx")
    with instances(work, ports), in_front(work, ports) as (ours, theirs):
        for title, target, script in (
            ("GET /echo of two Gunicorn instances", "/echo?message=x", None),
            ("POST /echo of 1 KiB, the same", "/echo", post),
        ):
            ratio = compare(
                title,
                lambda target=target, script=script: wrk(ours + target, script),  # type: ignore[misc]
                lambda target=target, script=script: wrk(theirs + target, script),  # type: ignore[misc]
                names,
            )
            judge("requests per second", ratio.rate, TARGET, "×")
