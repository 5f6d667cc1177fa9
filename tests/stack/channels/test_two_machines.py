"""Two machines with a stack each, and Redis on a third. One of them is cut off and joined again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import redis
import requests
from proxy_tests.processes import Process, until

from tests.stack.channels.following import (
    PATIENCE,
    Journal,
    SocketFollower,
    Steady,
    StreamFollower,
    new_channel,
    told,
)
from tests.stack.channels.networks import Machine, Network
from tests.stack.running import RUN, Stack

PORT = 6379

Began = TypeVar("Began", Journal, Steady)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """With a Redis at the server."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is missing")
    with Network(2) as made:
        command = ["ip", "netns", "exec", made.server, "redis-server", "--port", str(PORT), "--save", ""]
        command += ["--bind", "0.0.0.0", "--protected-mode", "no", "--dir", str(tmp_path)]
        with Process(command, tmp_path / "redis"):
            until(partial(made.machines[0].inside, partial(answers, made.machines[0].address)), "Redis")
            yield made


def answers(address: str) -> bool:
    try:
        with redis.Redis(address, PORT) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def stack_at(machine: Machine, folder: Path) -> Stack:
    folder.mkdir()
    settings = {
        "HELIOGRAPH_CHANNELS": f"redis://{machine.address}:{PORT}/0",
        "HELIOGRAPH_RATE": "0",
        "HELIOGRAPH_INSTANCES": "1",
    }
    return Stack(folder, settings, command=machine.command(*RUN))


def ready(machine: Machine, stack: Stack) -> tuple[int, str]:
    """What the instance of a machine says of itself."""
    answer = machine.inside(lambda: requests.get(f"{stack.instance_urls[0]}/readyz", timeout=10))
    return answer.status_code, answer.json()["checks"]["channels"]


class Traffic(ExitStack):
    """Steady publishing at one machine, with followers at all of them."""

    def __init__(self, stacks: dict[Machine, Stack], publisher: Machine) -> None:
        super().__init__()
        channel = new_channel()
        self.followers: list[Journal] = [
            self.begun(machine, kind(stack.url, channel))
            for machine, stack in stacks.items()
            for kind in (SocketFollower, StreamFollower)
        ]
        self.steady = self.begun(publisher, Steady(stacks[publisher].url, channel, pause=0.02))

    def begun(self, machine: Machine, thread: Began) -> Began:
        """Start a thread inside a machine; what it starts is there, too."""
        machine.inside(thread.start)
        self.push(thread.__exit__)
        return thread

    def reached(self, number: int) -> bool:
        return all(one.reached(number) for one in self.followers)

    def everything_once(self) -> None:
        """Check what the followers were told by now, up to what was published last, and wait for that."""
        self.steady.finish()
        last = self.steady.last
        until(lambda: self.reached(last), f"message {last} at all followers", PATIENCE)
        assert self.steady.acknowledged == list(range(1, last + 1))
        for one in self.followers:
            assert one.told == list(range(1, last + 1)), told(one.told)


@pytest.mark.slow
def test_a_machine_that_is_cut_off_says_so_and_misses_nothing_once_it_is_joined_again(
    network: Network, tmp_path: Path
) -> None:
    one, two = network.machines
    with ExitStack() as running:
        stacks = {
            machine: running.enter_context(stack_at(machine, tmp_path / machine.wire))
            for machine in (one, two)
        }
        for stack in stacks.values():
            stack.started()
        to_one, to_two = (running.enter_context(Traffic(stacks, machine)) for machine in (one, two))
        for traffic in (to_one, to_two):
            traffic.steady.go_on(30)
            until(partial(traffic.reached, 30), "messages everywhere", PATIENCE)
        assert [ready(machine, stack) for machine, stack in stacks.items()] == [(200, "ok")] * 2
        network.cut(one)
        to_two.steady.go_on(50)
        # At first the log only does not answer.
        until(lambda: "Redis" in ready(one, stacks[one])[1], "the machine that names what it lacks", PATIENCE)
        assert ready(one, stacks[one])[0] == 503
        assert ready(two, stacks[two]) == (200, "ok")
        url = f"{stacks[one].url}/channels/another"
        refused = one.inside(lambda: requests.post(url, "x", timeout=PATIENCE))
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/channels-unavailable")
        missing = to_two.steady.last
        to_two.steady.go_on(50)
        assert not to_two.reached(missing), "some of the followers are behind the cut"
        network.join(one)
        until(lambda: ready(one, stacks[one]) == (200, "ok"), "the machine that came back", PATIENCE)
        for traffic in (to_one, to_two):
            traffic.steady.go_on(20)
            traffic.everything_once()
        assert not any("Traceback" in stack.output for stack in stacks.values())
