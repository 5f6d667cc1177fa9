"""The manager over the stand-ins that a JSON file describes: `python -m tests.stack.standin_manager FILE`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from heliograph.stack.lines import LineForm, Style
from heliograph.stack.listeners import Listeners
from heliograph.stack.manager import Manager
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.relay import StackLog
from heliograph.stack.spawning import Surroundings
from heliograph.stack.watch import Watch
from tests.stack import standin

ROOT = Path(__file__).resolve().parents[2]


def plan(item: dict[str, str], log: str) -> Plan:
    program = (sys.executable, "-I", "-S", standin.__file__)
    return Plan(
        item["name"],
        PartKind(item["kind"]),
        (*program, item["name"], item["port"], log, item["behaviour"]),
        host="127.0.0.1",
        port=int(item["port"]),
        patience=float(item["patience"]),
        watch=Watch(interval=0.1, timeout=0.3, misses=3, patience=1.0, lag=0.5),
    )


def main(description: Path) -> int:
    described = json.loads(description.read_text())
    stages = [[plan(item, described["log"]) for item in stage] for stage in described["stages"]]
    log = StackLog(LineForm(Style.TEXT, [one.name for stage in stages for one in stage]))
    manager = Manager(stages, Surroundings(ROOT, os.environ, Listeners()), log, lambda _: None)

    async def announce() -> None:
        log.say("everything answers")

    try:
        return asyncio.run(manager.run(announce, lambda: None))
    finally:
        log.finish()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
