"""Fixtures: servers that run for the whole session. After every test that used one, nothing of it may be left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import Server

#: A server with limits that a test can reach.
SMALL = {
    "HELIOGRAPH_INSTANCE": "small1",
    "HELIOGRAPH_MAX_BODY": "3MiB",
    "HELIOGRAPH_SPOOL_MAX": "8MiB",
    "HELIOGRAPH_MAX_OUTPUT": "2MiB",
    "HELIOGRAPH_CODEC_JOBS": "1",
    "HELIOGRAPH_WS_MAX_MESSAGE": "64KiB",
    "HELIOGRAPH_ALLOWED_ORIGINS": "https://pages.example, https://port.example:443",
    "HELIOGRAPH_ALLOWED_HOSTS": "heliograph.example *.wild.example",
    "HELIOGRAPH_TRUSTED_PROXIES": "10.0.0.0/8",
}


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), {"HELIOGRAPH_INSTANCE": "test1"}) as server:
        yield server.started()
    assert "Traceback" not in server.output


@pytest.fixture(scope="session")
def running_small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("small"), SMALL) as server:
        yield server.started()
    assert "Traceback" not in server.output


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """Gunicorn with conf/gunicorn.conf.py and no other settings than the instance's name."""
    with running.nothing_left():
        yield running


@pytest.fixture
def small(running_small: Server) -> Iterator[Server]:
    """The same with SMALL limits."""
    with running_small.nothing_left():
        yield running_small
