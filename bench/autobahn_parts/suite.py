"""The Autobahn testsuite's fuzzing client against a server: cases go out to several processes, verdicts come back.

A case has two verdicts: on what the server did, and on how the connection ended.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.autobahn_parts.python27 import with_testsuite
from bench.harness import ROOT, Unavailable
from heliograph.stack.children import signal_group, spawn

#: Chapters 12 and 13, compression, take most of the time: their parts begin first.
CHAPTERS = ("12", "13", "9", "6", "7", "5", "10", "1", "2", "3", "4")

#: Those that take seconds: all but sizes and times (9) and compression (12, 13).
QUICK = ("6", "7", "5", "10", "1", "2", "3", "4")

#: Where the suite itself has no verdict it says INFORMATIONAL.
GOOD = ("OK", "INFORMATIONAL")

#: Cases of bad UTF-8 in the middle of a frame, where a server may wait for the frame's end.
MAY_BE_LATE = ("6.4.3", "6.4.4")

#: Seconds between two looks at the processes.
PAUSE = 0.1

#: Seconds a part may take. Each of its 18 cases gives up by itself after 480 s, most take 10.
PATIENCE = 3600.0

LIST = """
from autobahntestsuite.case import Cases, CaseBasename
for case in Cases: print(case.__name__[len(CaseBasename):].replace('_', '.'))
"""


@dataclass(frozen=True)
class Verdict:
    behaviour: str
    close: str

    def good(self, case: str) -> bool:
        late = self.behaviour == "NON-STRICT" and case in MAY_BE_LATE
        return (self.behaviour in GOOD or late) and self.close in GOOD


#: What a case has that left no verdict.
NONE = Verdict("MISSING", "MISSING")


@dataclass(frozen=True)
class Part:
    """Cases that one process runs, one after the other."""

    name: str
    cases: tuple[str, ...]


def parts(python: Path, chapters: Iterable[str]) -> list[Part]:
    """The suite's cases in these chapters; a chapter of compression is a part for each kind of data or offer."""
    listed = subprocess.run([str(python), "-E", "-c", LIST], capture_output=True, text=True, check=True)
    groups: dict[str, dict[str, list[str]]] = {}
    for case in listed.stdout.split():
        numbers = case.split(".")
        name = ".".join(numbers[:2]) if numbers[0] in ("12", "13") else numbers[0]
        groups.setdefault(numbers[0], {}).setdefault(name, []).append(case)
    return [Part(name, tuple(cases)) for chapter in chapters for name, cases in groups[chapter].items()]


class Agent:
    """One process of the fuzzing client with one part."""

    def __init__(self, python: Path, part: Part, url: str, folder: Path) -> None:
        self.part = part
        self._reports = folder / part.name
        self._log = folder / f"{part.name}.log"
        self._began = time.monotonic()
        spec = folder / f"{part.name}.json"
        spec.write_text(
            json.dumps(
                {
                    "outdir": str(self._reports),
                    "servers": [{"agent": "heliograph", "url": url}],
                    "cases": part.cases,
                    "exclude-cases": [],
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [str(python), "-E", "-u", "-m", "autobahntestsuite.wstest"]
        with self._log.open("wb") as output:
            self._process = spawn(
                [*command, "-m", "fuzzingclient", "-s", str(spec)], cwd=ROOT, output=output.fileno()
            )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        signal_group(self._process.pid, 9)
        self._process.wait()

    def verdicts(self) -> dict[str, Verdict]:
        """Of each of its cases. Unavailable when it ended without a report."""
        index = self._reports / "index.json"
        if not index.exists():
            raise Unavailable(f"Autobahn's client ended without a report: {self._log.read_text()[-800:]}")
        (found,) = json.loads(index.read_text()).values() or [{}]
        return {
            case: Verdict(found[case]["behavior"], found[case]["behaviorClose"]) if case in found else NONE
            for case in self.part.cases
        }


def run(
    urls: Sequence[str],
    chapters: Iterable[str],
    folder: Path,
    at_once: int,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Verdict]:
    """The verdict on each case. `urls` are servers that share the cases; `at_once` processes run at a time."""
    python = with_testsuite()
    waiting = parts(python, chapters)
    total, verdicts, started = sum(len(part.cases) for part in waiting), dict[str, Verdict](), 0
    with ExitStack() as stack:
        agents: list[Agent] = []
        while waiting or agents:
            while waiting and len(agents) < at_once:
                agents.append(Agent(python, waiting.pop(0), urls[started % len(urls)], folder))
                stack.callback(agents[-1].stop)
                started += 1
            time.sleep(PAUSE)
            for agent in [one for one in agents if not one.running()]:
                agents.remove(agent)
                found = agent.verdicts()
                verdicts |= found
                tell(
                    f"{len(verdicts):>4} of {total} cases; {agent.part.name}: {counted(found)} in {agent.seconds:.0f} s"
                )
            if any(agent.seconds > PATIENCE for agent in agents):
                raise Unavailable(f"Autobahn's client runs for more than {PATIENCE:g} s")
    return dict(sorted(verdicts.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def counted(verdicts: Mapping[str, Verdict]) -> str:
    """How often there was which behaviour; a close that was not as it should be counts, too."""
    found = Counter(verdict.behaviour for verdict in verdicts.values())
    closes = Counter(f"close {v.close}" for v in verdicts.values() if v.close not in GOOD)
    return ", ".join(f"{count} {name}" for name, count in (found + closes).most_common())
