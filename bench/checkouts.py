"""This checkout beside another one of the project: `script/bench checkouts FOLDER [part…]`. Nothing may get slower.

The other checkout needs its environment in `.venv`, as its own script/bench makes it. Each round starts both servers
anew, in another order, since two starts of the same code differ by more than what is looked for here. A ratio above 1
means that this checkout is faster or takes less processor time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.channels_parts.load import fan_out
from bench.harness import ROOT, Unavailable, alternate, folder, free_ports, members, running, wrk
from bench.proxy_parts.fronts import Front, nginx_backend
from bench.proxy_parts.small import with_cost
from bench.websocket_parts.load import echoes
from bench.websocket_parts.servers import Server, cores
from heliograph.settings import environment
from heliograph.stack.render import proxy_toml

ROUNDS = 11

#: Seconds of a round of messages.
SECONDS = 2.0

#: How much slower is within what rounds of the same code differ by.
TOLERANCE = 0.97

SUBSCRIBERS, CONNECTIONS, SIZE = 1000, 32, 64

#: Encodes and decodes 20 MB of Python's sources and prints both times in seconds.
CODECS = """
import sysconfig, time, wirecodes
from pathlib import Path
files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
text = b"".join(file.read_bytes() for file in files)[:20_000_000]
codec = wirecodes.get("huffman")
began = time.perf_counter(); packed = codec.encode(text)
middle = time.perf_counter(); codec.decode(packed)
print(middle - began, time.perf_counter() - middle)
"""


@dataclass(frozen=True)
class Figure:
    """Units a second, and microseconds of processor time for each; 0 where it was not measured."""

    rate: float
    cpu: float = 0.0


@dataclass(frozen=True)
class Checkout:
    root: Path

    @property
    def python(self) -> str:
        return sys.executable if self.root == ROOT else str(self.root / ".venv/bin/python")


def main(arguments: Sequence[str] = ()) -> None:
    """Raises Unavailable."""
    if not arguments:
        raise Unavailable("takes the folder of another checkout, then names of parts: " + ", ".join(PARTS))
    other, names = Checkout(Path(arguments[0]).resolve()), arguments[1:] or list(PARTS)
    if not Path(other.python).exists():
        raise Unavailable(f"{other.root} has no .venv; run its script/bench once")
    if unknown := [name for name in names if name not in PARTS]:
        raise Unavailable(f"has no part {unknown[0]}; there are: {', '.join(PARTS)}")
    for name in names:
        with folder() as work:
            PARTS[name](work, (Checkout(ROOT), other))


def report(title: str, rounds: Sequence[Sequence[Figure]]) -> None:
    """The medians of both, and the ratios of rate and processor time, with what is slower marked."""
    (rate, cpu), (before, cpu_before) = (
        (statistics.median(one.rate for one in each), statistics.median(one.cpu for one in each))
        for each in rounds
    )
    found = {"rate": rate / before}
    if cpu:
        found["CPU"] = cpu_before / cpu
    text = ", ".join(f"{name} {value:.3f} ×" for name, value in found.items())
    slower = "" if min(found.values()) >= TOLERANCE else "   SLOWER"
    print(
        f"{title:<28} {text}   (this {rate:,.1f}/s {cpu:.2f} us, other {before:,.1f}/s {cpu_before:.2f} us){slower}",
        flush=True,
    )


@contextmanager
def proxy_of(checkout: Checkout, work: Path, backend: int) -> Iterator[Front]:
    port, admin = free_ports(2)
    pattern = (checkout.root / "conf/proxy.toml").read_text()
    file = work / f"proxy{port}.toml"
    file.write_text(
        proxy_toml(pattern, f"127.0.0.1:{port}", f"127.0.0.1:{admin}", {"web1": f"127.0.0.1:{backend}"})
    )
    command = [checkout.python, "-m", "heliograph_proxy", "run", "-c", str(file)]
    log = work / f"proxy{port}.log"
    with running(command, f"http://127.0.0.1:{port}/", log, environment(), checkout.root) as pid:
        yield Front(str(checkout.root), port, pid)


@contextmanager
def instance_of(checkout: Checkout, work: Path) -> Iterator[Server]:
    (port,) = free_ports(1)
    settings = {
        **environment(),
        "HELIOGRAPH_CHANNELS": "memory://",
        "HELIOGRAPH_RATE": "0",
        "HELIOGRAPH_SPOOL": str(work / "spool"),
    }
    command = [
        checkout.python,
        "-m",
        "gunicorn",
        "-c",
        "conf/gunicorn.conf.py",
        "--bind",
        f"127.0.0.1:{port}",
        "wsgi:app",
    ]
    log = work / f"instance{port}.log"
    with running(command, f"http://127.0.0.1:{port}/healthz", log, settings, checkout.root) as leader:
        _, others = cores()
        for pid in members(leader):
            os.sched_setaffinity(pid, others)
        yield Server(str(checkout.root), port, leader)


def small(work: Path, checkouts: Sequence[Checkout]) -> None:
    with nginx_backend(work) as (backend,):

        def measure(checkout: Checkout) -> Figure:
            with proxy_of(checkout, work, backend) as front:
                wrk(front.url)  # what the first requests allocate and compile is not measured
                found = with_cost(front, lambda: wrk(front.url))
            return Figure(found.rate, found.cpu)

        in_turn("proxy, small answers", measure, checkouts)


def in_turn(title: str, measure: Callable[[Checkout], Figure], checkouts: Sequence[Checkout]) -> None:
    report(title, alternate([lambda c=each: measure(c) for each in checkouts], ROUNDS))  # type: ignore[misc]


def instance(work: Path, checkouts: Sequence[Checkout]) -> None:
    """HTTP without a proxy in front."""

    def measure(server: Server) -> Figure:
        front = Front(server.name, server.port, server.leader)
        found = with_cost(front, lambda: wrk(f"{front.url}/healthz"))
        return Figure(found.rate, found.cpu)

    messages("instance, small answers", measure, work, checkouts)


def messages(
    title: str, measure: Callable[[Server], Figure], work: Path, checkouts: Sequence[Checkout]
) -> None:
    def started(checkout: Checkout) -> Figure:
        with instance_of(checkout, work) as server:
            measure(server)
            return measure(server)

    in_turn(title, started, checkouts)


def echo(work: Path, checkouts: Sequence[Checkout]) -> None:
    def measure(server: Server) -> Figure:
        found = echoes(server, CONNECTIONS, SIZE, SECONDS)
        return Figure(found.rate, found.cpu)

    messages("WebSocket echo, 64 bytes", measure, work, checkouts)


def fanout(work: Path, checkouts: Sequence[Checkout]) -> None:
    for burst in (200, 1):

        def measure(server: Server, burst: int = burst) -> Figure:
            found = fan_out(server, SUBSCRIBERS, burst, SECONDS)
            return Figure(found.rate, found.cpu)

        messages(f"fan-out, bursts of {burst}", measure, work, checkouts)


def codecs(work: Path, checkouts: Sequence[Checkout]) -> None:
    def times(checkout: Checkout) -> tuple[float, float]:
        done = subprocess.run(
            [checkout.python, "-c", CODECS], cwd=work, capture_output=True, text=True, check=True
        )
        encode, decode = map(float, done.stdout.split())
        return encode, decode

    rounds = alternate([lambda c=each: times(c) for each in checkouts], ROUNDS)  # type: ignore[misc]
    for which, title in enumerate(("Huffman, encode 20 MB", "Huffman, decode 20 MB")):
        report(title, [[Figure(1 / found[which]) for found in each] for each in rounds])


PARTS: Mapping[str, Callable[[Path, Sequence[Checkout]], None]] = {
    "proxy": small,
    "instance": instance,
    "echo": echo,
    "fanout": fanout,
    "codecs": codecs,
}
