"""What comparisons share: peers as processes, wrk as the load, alternating rounds, medians, a table of ratios.

Figures of one machine mean little on another, and a machine's speed changes by the minute. So everything that is compared
runs at the same time, is measured in turn, several times, and what is printed last is a ratio.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from heliograph.stack.children import signal_group, spawn

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent

#: Odd, so that the median is a round that was measured.
ROUNDS = 5

#: Long enough for the pace to settle, short enough for many rounds.
SECONDS = 3

CONNECTIONS = 32

#: Of a core; a peer that got less waited for the load, for its backend or for somebody else's processes.
BUSY = 0.85

#: How long a peer may take to answer, and to end.
PATIENCE = 30.0


class Unavailable(Exception):
    """This machine lacks what a comparison needs. Its text is one line."""


@dataclass(frozen=True)
class Sample:
    """One round: requests per second, and milliseconds that half and 99 % of the requests took at most."""

    rate: float
    p50: float
    p99: float
    #: Microseconds of processor time a request, of the process that was measured; 0 where nobody looked.
    cpu: float = 0.0

    @property
    def busy(self) -> float:
        """The part of one core that the process used: near 1, or something else was the limit."""
        return self.cpu * self.rate / 1e6


def run_parts(
    comparison: str, parts: Mapping[str, Callable[[Path], None]], names: Sequence[str] = ()
) -> None:
    """Run the named parts of a comparison, or all, each with a folder for its files.

    Unavailable at once for an unknown name, and at the end when a part could not be measured.
    """
    unknown = [name for name in names if name not in parts]
    if unknown:
        raise Unavailable(f"has no part {unknown[0]}; there are: {', '.join(parts)}")
    failed = []
    for name in names or parts:
        try:
            with folder() as work:
                parts[name](work)
        except Unavailable as exc:
            print(f"script/bench {comparison} {name}: {exc}", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        raise Unavailable(f"could not be measured: {', '.join(failed)}")


def needs(binary: str, package: str) -> str:
    path = shutil.which(binary) or shutil.which(binary, path="/usr/sbin:/sbin")
    if not path:
        raise Unavailable(f"{binary} is not installed (on Debian and Ubuntu: apt-get install {package})")
    return path


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for configurations and logs, gone afterwards; nginx's workers may reach it."""
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextlib.contextmanager
def running(
    command: Sequence[str], url: str, log: Path, environment: Mapping[str, str], cwd: Path = ROOT
) -> Iterator[int]:
    """A server that answers `url` with 200, or a Redis, until the block ends; gives the id of its process and process group."""
    with log.open("ab") as output:
        process = spawn(command, cwd=cwd, environment=environment, output=output.fileno())
    try:
        _await_answer(url, process, log)
        yield process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if _answers(url):
                return
        time.sleep(0.05)
    raise Unavailable(f"{' '.join(process.args)} does not answer {url}: {log.read_text()[-500:]}")  # type: ignore[arg-type]


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "redis":
        with socket.create_connection((str(parts.hostname), parts.port or 6379), PATIENCE) as wire:
            wire.sendall(b"PING\r\n")
            return wire.recv(64) == b"+PONG\r\n"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return bool(answer.status == 200)


def wrk(url: str, script: Path | None = None) -> Sample:
    """One round of load from one thread. Raises Unavailable when answers are not all 2xx, so nothing fast is wrong."""
    command = [needs("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    command += ["-s", str(script)] if script else []
    text = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise Unavailable(f"{url} did not answer everything with 2xx:\n{text}")
    return Sample(
        _number(r"Requests/sec:\s+([\d.]+)", text), _milliseconds("50%", text), _milliseconds("99%", text)
    )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise Unavailable(f"wrk printed something else than expected:\n{text}")
    return float(found[1])


def _milliseconds(quantile: str, text: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", text)
    if not found:
        raise Unavailable(f"wrk printed something else than expected:\n{text}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def alternate(measures: Sequence[Callable[[], T]], rounds: int = ROUNDS) -> list[list[T]]:
    """What each gave in each round, measured in turn, changing who begins."""
    found: list[list[T]] = [[] for _ in measures]
    for number in range(rounds):
        order = range(len(measures))
        for which in order if number % 2 == 0 else reversed(order):
            found[which].append(measures[which]())
    return found


def compare(
    title: str, ours: Callable[[], Sample], peer: Callable[[], Sample], names: tuple[str, str]
) -> Sample:
    """Measure both in turn, print the medians and their ratios; the ratios."""
    mine, theirs = (median(part) for part in alternate((ours, peer)))
    width = max(map(len, names))
    print(f"\n{title} ({ROUNDS} rounds of {SECONDS} s each, {CONNECTIONS} connections, medians)")
    for name, sample in zip(names, (mine, theirs), strict=True):
        cost = f"   {sample.cpu:>5.1f} us CPU each, {sample.busy:.0%} of a core" if sample.cpu else ""
        print(
            f"  {name:<{width}}  {sample.rate:>9,.0f} req/s   p50 {sample.p50:>7.2f} ms   p99 {sample.p99:>7.2f} ms{cost}"
        )
    found = Sample(
        mine.rate / theirs.rate,
        mine.p50 / theirs.p50,
        mine.p99 / theirs.p99,
        mine.cpu / theirs.cpu if theirs.cpu else 0.0,
    )
    shown = f"   {found.cpu:>5.2f} ×" if found.cpu else ""
    print(
        f"  {'ratio':<{width}}  {found.rate:>8.2f} ×       p50 {found.p50:>6.2f} ×     p99 {found.p99:>6.2f} ×{shown}",
        flush=True,
    )
    if mine.cpu and min(mine.busy, theirs.busy) < BUSY:
        print(
            "  not the servers alone were the limit: the ratio of processor times says more than that of rates"
        )
    return found


def median(samples: Sequence[Sample]) -> Sample:
    """Of each figure by itself."""
    return Sample(
        statistics.median(sample.rate for sample in samples),
        statistics.median(sample.p50 for sample in samples),
        statistics.median(sample.p99 for sample in samples),
        statistics.median(sample.cpu for sample in samples),
    )


def members(leader: int) -> list[int]:
    """The processes of a group; nginx's worker is in its master's."""
    return [pid for pid, fields in _stats() if int(fields[2]) == leader]


def processor_seconds(leader: int) -> float:
    """What a group of processes has used until now, in user and in kernel mode."""
    ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in _stats() if int(fields[2]) == leader)
    return ticks / os.sysconf("SC_CLK_TCK")


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Each process, and what proc(5) tells in its `stat`, from its state on."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            yield int(path.parent.name), path.read_text().rpartition(")")[2].split()


def timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def judge(what: str, value: float, target: float, unit: str, at_most: bool = False) -> None:
    met = value <= target if at_most else value >= target
    wanted = f"{'at most' if at_most else 'at least'} {target:g} {unit}"
    print(f"  {what:<32} {value:>8.2f} {unit:<3} ({wanted}: {'met' if met else 'MISSED'})", flush=True)


def reset_peak(pid: int) -> int:
    """Let a process's peak of memory begin anew (proc(5), clear_refs); its memory now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    """The most memory that a process had, in bytes."""
    return _memory(pid, "VmHWM")


def resident(pid: int) -> int:
    """The memory that a process has now, in bytes."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))
