"""What holds for all tests, and servers that run for the whole session. After a test that used one, nothing of it may be left."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from itertools import zip_longest

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, expect, sync_playwright

from heliograph.request import logs
from tests.serving import Server

# The same examples in each run: a test that fails says something about the change, not about luck.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# A shell that starts us in the background has it ignored, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Folders whose tests start whole stacks and browsers: they take longest.
LONG = ("tests/packaging/", "tests/stack/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin long files early, so that none of them is left to the end, and short ones between them: each core has work then."""
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    long = [file for file in files if file.startswith(LONG)]
    short = [file for file in files if not file.startswith(LONG)]
    order = [file for pair in zip_longest(long, short) for file in pair if file is not None]
    items[:] = [item for file in order for item in files[file]]


@pytest.fixture(autouse=True)
def lines_of_this_test() -> Iterator[None]:
    """What a test logs through an application in this process is written before the next test begins."""
    yield
    logs.flush_all()


PROGRAMS = f"{os.environ.get('PATH', '')}:/usr/bin"

#: The one without windows first: a page costs a third of the processor time there.
CHROMIUM = shutil.which("chromium-headless-shell", path=PROGRAMS) or shutil.which("chromium", path=PROGRAMS)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
)

#: Milliseconds that a page may take to show what is expected. Generous: a busy machine must not fail a test.
PAGE_PATIENCE = 20_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all: playwright runs once a thread, and each test has a context of its own anyway."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    expect.set_options(timeout=PAGE_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


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
