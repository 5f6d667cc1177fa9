"""Fixtures of the tests that drive whole stacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_tests.processes import Process, free_port

from tests.stack.checkout import open_to_everyone
from tests.stack.front import Nginx, configured
from tests.stack.running import Stack
from tests.stack.upstream import Upstream


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running stack for all tests of a session that leave it as they found it."""
    with Stack(tmp_path_factory.mktemp("stack")).started() as running:
        yield running


@pytest.fixture(scope="session")
def running_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    open_to_everyone(folder)  # as root, the workers are nobody
    upstream, port = Upstream(), free_port()
    with Process(configured(folder, port, upstream.port), folder / "output").wait_for_port(port):
        yield Nginx(port, upstream, folder)
    upstream.close()


@pytest.fixture
def nginx(running_nginx: Nginx) -> Nginx:
    """nginx alone, before an upstream that a test tells what to answer."""
    running_nginx.upstream.reset()
    return running_nginx
