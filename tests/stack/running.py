"""A whole stack as script/server runs it, on free ports, for tests that talk to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy_tests.processes import PYTHON, ROOT, Process, free_ports

#: Instances of a stack under test: two, so that balancing and failing over show.
INSTANCES = 2

#: What a stack says once it serves, and its state folder.
SERVING = r"serving .+?; state and logs: (.+?)/[\"\n]"

RUN = (PYTHON, "-m", "heliograph.cli", "run", "wsgi:app")


@dataclass(frozen=True)
class Ports:
    nginx: int
    proxy: int
    admin: int
    base: int

    @property
    def all(self) -> list[int]:
        return [self.nginx, self.proxy, self.admin, *range(self.base, self.base + INSTANCES)]

    def settings(self) -> dict[str, str]:
        return {
            "HELIOGRAPH_PORT": str(self.nginx),
            "HELIOGRAPH_PROXY_PORT": str(self.proxy),
            "HELIOGRAPH_ADMIN_PORT": str(self.admin),
            "HELIOGRAPH_PORT_BASE": str(self.base),
            "HELIOGRAPH_INSTANCES": str(INSTANCES),
        }


def choose_ports() -> Ports:
    nginx, proxy, admin, base, *_ = free_ports(3 + INSTANCES)
    return Ports(nginx, proxy, admin, base)


class Stack(Process):
    """A stack's manager with its output in `folder`. `url` is where users go."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        command: tuple[str, ...] = RUN,
        root: Path = ROOT,
        user: int | None = None,
    ) -> None:
        self.ports = choose_ports()
        # A wish for the extension other than the one that is installed would install it anew.
        environment = {**self.ports.settings(), "BUILD_EXTENSION": "", **(settings or {})}
        if root == ROOT:  # where several stacks may run at once, and nothing is to stay
            environment.setdefault("HELIOGRAPH_STATE", str(folder / "state"))
        super().__init__(command, folder / "stack.log", environment, root, user)
        self.root = root

    def __enter__(self) -> Stack:
        return self

    def started(self) -> Stack:
        self.wait_for_output(SERVING)
        return self

    @property
    def var(self) -> Path:
        return self.root / self.wait_for_output(SERVING)[1]

    @property
    def has_nginx(self) -> bool:
        return "starting nginx" in self.output

    def lines(self) -> list[dict[str, object]]:
        """The whole log, where it is not written for a terminal: JSON throughout."""
        return [json.loads(line) for line in self.output.splitlines()]

    def announced(self) -> dict[str, object]:
        return next(line for line in self.lines() if str(line.get("message", "")).startswith("serving "))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.nginx}"

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.proxy}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.admin}"

    @property
    def instance_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{self.ports.base + number}" for number in range(INSTANCES)]

    def pids(self) -> dict[str, int]:
        """The process of each part, by its name."""
        state = json.loads((self.var / "stack.json").read_text())
        return {part["name"]: part["pid"] for part in state["parts"]}
