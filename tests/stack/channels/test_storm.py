"""A thousand subscribers are cut off at once, and all of them come back by their cursors at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_tests.processes import PYTHON, Process, descendants, until

from tests.servers import RedisServer
from tests.stack.channels.following import PATIENCE, SocketFollower, Steady, new_channel
from tests.stack.running import Stack

CROWD = 1000

#: Messages before the storm, which everybody reads from the beginning, and while everybody is away.
BEFORE, MEANWHILE = 200, 20


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is missing")
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """On Redis, which counts what is read."""
    folder = tmp_path_factory.mktemp("storm")
    settings = {"HELIOGRAPH_CHANNELS": redis_server.url, "HELIOGRAPH_RATE": "0"}
    with Stack(folder, settings).started() as running:
        yield running
    assert "Traceback" not in running.output


class Crowd(Process):
    def __init__(self, port: int, channel: str, folder: Path) -> None:
        command = [PYTHON, "-m", "tests.stack.channels.crowd", str(port), channel, str(CROWD)]
        super().__init__(command, folder / "crowd")

    def __enter__(self) -> Crowd:
        return self

    @property
    def state(self) -> dict[str, Any]:
        lines = self.output.rpartition("\n")[0].splitlines()
        assert self.running(), self.output[-2000:]
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"connected": 0, "lowest": 0}
        return found

    def has(self, offset: int) -> bool:
        """Whether all are connected and have everything up to there."""
        state = self.state
        return bool(state["connected"] == CROWD and state["lowest"] >= offset)


def reads(server: RedisServer) -> int:
    """How often the server read from a stream: for a full page 16 times."""
    with server.client() as client:
        return int(client.info("commandstats").get("cmdstat_xrange", {"calls": 0})["calls"])


def kill_instances(stack: Stack) -> None:
    pids = stack.pids()
    for pid in (pids["web1"], pids["web2"]):
        for process in [*descendants(pid), pid]:
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
def test_a_thousand_who_come_back_at_once_miss_nothing_and_share_what_is_read(
    stack: Stack, redis_server: RedisServer, tmp_path: Path
) -> None:
    channel = new_channel()
    steady = Steady(stack.url, channel, pause=0.1)
    for _ in range(BEFORE):
        steady.publish_next()
    with SocketFollower(stack.url, channel) as calm, steady:
        port = stack.ports.nginx
        with Crowd(port, channel, tmp_path) as crowd:
            until(lambda: crowd.has(BEFORE), "everybody", PATIENCE)
            before = reads(redis_server)
            kill_instances(stack)
            steady.go_on(MEANWHILE)
            until(lambda: crowd.has(steady.last), "everybody again", PATIENCE)
            state = crowd.state
            assert reads(redis_server) - before < CROWD / 2, "far fewer than there are subscribers"
    assert (state["lost"], state["wrong"]) == (0, [])
    assert state["connections"] >= 2 * CROWD
    assert calm.told == list(range(1, len(calm.told) + 1))
    assert steady.acknowledged == list(range(1, steady.last + 1))
