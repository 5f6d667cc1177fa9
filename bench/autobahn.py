"""The Autobahn testsuite, all cases, against /ws/echo of instances and of the whole stack: how often which verdict.

`script/bench autobahn direct` and `… stack` run one of the two; numbers of chapters run only those, and `… quick` all but sizes
and compression (chapters 9, 12 and 13), which take most of the time: some 15 minutes each way on two cores.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.autobahn_parts import suite
from bench.harness import Unavailable, folder, free_ports, needs, running
from heliograph.settings import environment

#: As many servers, and twice as many clients: a client waits for most of a case's time.
CORES = os.cpu_count() or 1

#: Cases of chapter 9 send that much.
SETTINGS = {"HELIOGRAPH_WS_MAX_MESSAGE": str(16 << 20)}


@contextlib.contextmanager
def direct(work: Path) -> Iterator[list[str]]:
    """One instance a core, as by hand: the URLs of their echoes."""
    ports = free_ports(CORES)
    command = [sys.executable, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"]
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(
                running(
                    [*command, "--bind", f"127.0.0.1:{port}", "wsgi:app"],
                    f"http://127.0.0.1:{port}/healthz",
                    work / f"{port}.log",
                    {**environment(), **SETTINGS, "HELIOGRAPH_SPOOL": str(work / "spool")},
                )
            )
        yield [f"ws://127.0.0.1:{port}/ws/echo" for port in ports]


@contextlib.contextmanager
def whole_stack(work: Path) -> Iterator[list[str]]:
    """nginx, our proxy and one instance a core, as script/server starts them: the URL of nginx's echo."""
    needs("nginx", "nginx")
    nginx, proxy, admin = free_ports(3)
    settings = {
        **SETTINGS,
        "HELIOGRAPH_PORT": str(nginx),
        "HELIOGRAPH_PROXY_PORT": str(proxy),
        "HELIOGRAPH_ADMIN_PORT": str(admin),
        "HELIOGRAPH_PORT_BASE": str(free_row(CORES)),
        "HELIOGRAPH_INSTANCES": str(max(2, CORES)),
        "HELIOGRAPH_SPOOL": str(work / "spool"),
    }
    with running(
        [sys.executable, "-m", "heliograph.cli", "run"],
        f"http://127.0.0.1:{nginx}/healthz",
        work / "stack.log",
        {**environment(), **settings},
    ):
        yield [f"ws://127.0.0.1:{nginx}/ws/echo"]


def free_row(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        (first,) = free_ports(1)
        with contextlib.suppress(OSError, OverflowError), contextlib.ExitStack() as probes:
            for port in range(first, first + count):
                probes.enter_context(socket.create_server(("127.0.0.1", port)))
            return first


WAYS: dict[str, Callable[[Path], contextlib.AbstractContextManager[list[str]]]] = {
    "direct": direct,
    "stack": whole_stack,
}


def main(names: Sequence[str] = ()) -> None:
    """Unavailable when a case failed."""
    unknown = [name for name in names if name not in (*WAYS, "quick", *suite.CHAPTERS)]
    if unknown:
        raise Unavailable(f"takes direct, stack, quick and numbers of chapters, not {unknown[0]}")
    named = [chapter for chapter in suite.CHAPTERS if chapter in names]
    chapters = suite.QUICK if "quick" in names else named or suite.CHAPTERS
    ways = [way for way in WAYS if way in names] or list(WAYS)
    bad = [judged(way, chapters) for way in ways]
    if any(bad):
        raise Unavailable(f"{sum(bad)} cases are not as they must be")


def judged(way: str, chapters: Sequence[str]) -> int:
    """Run the cases one way, print what came of it; how many are not as they must be."""
    print(f"\nAutobahn testsuite, chapters {', '.join(sorted(chapters, key=int))}: {way}", flush=True)
    began = time.monotonic()
    with folder() as work, WAYS[way](work) as urls:
        verdicts = suite.run(urls, chapters, work, 2 * CORES, lambda line: print(f"  {line}", flush=True))
    print(f"  {way}, {len(verdicts)} cases in {time.monotonic() - began:.0f} s: {suite.counted(verdicts)}")
    notable: dict[tuple[bool, suite.Verdict], list[str]] = {}
    for case, verdict in verdicts.items():
        if verdict.behaviour not in suite.GOOD or verdict.close not in suite.GOOD:
            notable.setdefault((verdict.good(case), verdict), []).append(case)
    for (good, verdict), cases in notable.items():
        print(
            f"  {'allowed' if good else 'WRONG'}: {verdict.behaviour}, close {verdict.close}: {', '.join(cases)}"
        )
    return sum(len(cases) for (good, _), cases in notable.items() if not good)
