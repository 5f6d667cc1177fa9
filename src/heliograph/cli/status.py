"""`heliograph status`: what runs, whether it answers, and how the proxy uses it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from heliograph_proxy.private import PROBE

from heliograph.cli.arguments import CommandParser, ending_in_one_line
from heliograph.cli.running import FoundStack, find
from heliograph.cli.tables import table
from heliograph.stack import admin
from heliograph.stack.plan import HEALTH, PartKind
from heliograph.stack.render import at
from heliograph.stack.watch import Question, ask

#: Seconds that a part may take to answer.
PATIENCE = 5.0

COLUMNS = ("part", "address", "process", "up", "memory", "answers", "state", "requests", "failures")

MINUTE, HOUR, DAY = 60, 3600, 86_400


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        "status", "Shows the running stack of this folder. Status 1: a part does not answer."
    )
    given = parser.takes_state().takes_json().parse_args(arguments)
    with ending_in_one_line():
        found = describe(find(given.state))
    print(json.dumps(found, indent=1) if given.json else shown(found))
    return 0 if all(part["answers"] for part in found["parts"]) else 1


def describe(found: FoundStack) -> dict[str, Any]:
    """What --json prints."""
    answers = asyncio.run(_answers(found.state["parts"]))
    answering = {
        part["kind"] for part, answered in zip(found.state["parts"], answers, strict=True) if answered
    }
    backends = _backends(found) if PartKind.PROXY.value in answering else {}
    parts = [
        {**part, "answers": answered, **_process(part["pid"]), "backend": backends.get(part["name"])}
        for part, answered in zip(found.state["parts"], answers, strict=True)
    ]
    manager = {"pid": found.state["pid"], **_process(found.state["pid"])}
    return {**found.state, "state": str(found.path), "manager": manager, "parts": parts}


def _backends(found: FoundStack) -> dict[str, dict[str, Any]]:
    """As the proxy sees the instances; nothing where it does not answer, which shows in its own line."""
    try:
        return {one["name"]: one for one in admin.ask(found.admin, "GET", "/status")["backends"]}
    except (admin.AdminError, OSError, ValueError, KeyError, TypeError):
        return {}


async def _answers(parts: Sequence[Mapping[str, Any]]) -> list[bool]:
    async def answers(part: Mapping[str, Any]) -> bool:
        path = HEALTH if part["kind"] == PartKind.INSTANCE.value else PROBE
        return (await ask(Question(part["host"], part["port"], path), PATIENCE)).status > 0

    return await asyncio.gather(*map(answers, parts))


def _process(pid: int | None) -> dict[str, float | None]:
    """For how many seconds it runs, and the bytes of it and its children."""
    import psutil  # noqa: PLC0415 (large)

    try:
        process = psutil.Process(pid) if pid else None
        if process is None:
            return {"uptime": None, "memory": None}
        memory = sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
        return {"uptime": round(time.time() - process.create_time(), 1), "memory": memory}
    except psutil.Error:
        return {"uptime": None, "memory": None}


def shown(found: Mapping[str, Any]) -> str:
    manager = found["manager"]
    first = f"{found['url']} has been served for {_duration(manager['uptime'])} by process {manager['pid']}, in {found['state']}"
    rows = [COLUMNS, *map(_row, found["parts"])]
    return "\n".join([first, "", *table(rows)])


def _row(part: Mapping[str, Any]) -> tuple[str, ...]:
    backend = part["backend"] or {}
    health = "" if backend.get("healthy", True) else ", unhealthy"
    memory = "" if part["memory"] is None else f"{part['memory'] / (1 << 20):.0f} MiB"
    return (
        part["name"],
        at(part["host"], part["port"]),
        str(part["pid"] or ""),
        _duration(part["uptime"]),
        memory,
        "yes" if part["answers"] else "NO",
        f"{backend.get('state', '')}{health}",
        str(backend.get("requests", "")),
        str(backend.get("failures", "")),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
