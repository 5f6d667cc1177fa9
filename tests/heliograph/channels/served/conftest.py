"""Fixtures: instances that run for the session, alone and as two on one SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.heliograph.channels.served.talking import SECRET
from tests.serving import Server

Two = tuple[Server, Server]


@pytest.fixture(scope="session", params=["memory", "sqlite"])
def running_alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("alone")
    url = "memory://" if request.param == "memory" else f"sqlite:///{folder}/channels.db"
    settings = {
        "HELIOGRAPH_CHANNELS": url,
        "HELIOGRAPH_INSTANCE": "alone1",
        "HELIOGRAPH_RATE": "0",  # all tests are one client to it
    }
    with Server(folder, settings) as server:
        yield server.started()
    assert "Traceback" not in server.output


def instances(tmp_path_factory: pytest.TempPathFactory, **settings: str) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("two")
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            environment = {
                "HELIOGRAPH_CHANNELS": f"sqlite:///{folder}/channels.db",
                "HELIOGRAPH_INSTANCE": name,
                **settings,
            }
            servers.append(stack.enter_context(Server(folder / name, environment)))
        yield servers[0].started(), servers[1].started()
    for server in servers:
        assert "Traceback" not in server.output


@pytest.fixture(scope="session")
def running_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    yield from instances(tmp_path_factory)


@pytest.fixture(scope="session")
def running_guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Without a leeway, so that tokens end when they say."""
    yield from instances(tmp_path_factory, HELIOGRAPH_AUTH_SECRET=SECRET, HELIOGRAPH_AUTH_LEEWAY="0")


@pytest.fixture
def alone(running_alone: Server) -> Iterator[Server]:
    """One instance, on memory:// and on SQLite."""
    with running_alone.nothing_left():
        yield running_alone


@pytest.fixture
def two(running_two: Two) -> Iterator[Two]:
    """Two instances on one SQLite file."""
    with running_two[0].nothing_left(), running_two[1].nothing_left():
        yield running_two


@pytest.fixture
def guarded(running_guarded: Two) -> Iterator[Two]:
    """The same with SECRET."""
    with running_guarded[0].nothing_left(), running_guarded[1].nothing_left():
        yield running_guarded
