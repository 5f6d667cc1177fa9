"""What importing the channels and their engines loads, and what is said when the client of a server is not installed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BLOCKING = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
from heliograph.channels.engines import open_log
from heliograph.channels.errors import LocationError
from heliograph.channels.location import parse_location
from heliograph.channels.records import Limits
try:
    open_log(parse_location({url!r}), Limits())
except LocationError as exc:
    print(exc)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_no_client_of_a_server_is_loaded_before_it_is_needed() -> None:
    code = "import sys, heliograph.channels, heliograph.channels.engines; print(*sys.modules)"
    assert not {"redis", "psycopg", "flask"} & set(run(code).split())


@pytest.mark.parametrize(
    ("url", "blocked", "extra"),
    [
        ("redis://localhost/0", ["redis"], "redis"),
        ("rediss://localhost/0", ["redis"], "redis"),
        ("postgresql://localhost/x", ["psycopg"], "postgres"),
    ],
)
def test_an_engine_without_its_package_names_the_extra(url: str, blocked: list[str], extra: str) -> None:
    scheme = url.partition(":")[0]
    assert run(BLOCKING.format(blocked=blocked, url=url)) == (
        f"{scheme}:// needs a package that is not installed: pip install 'heliograph[{extra}]'\n"
    )


@pytest.mark.parametrize("url", ["memory://", "sqlite:///x/channels.db"])
def test_the_other_engines_need_no_client(url: str) -> None:
    assert run(BLOCKING.format(blocked=["redis", "psycopg"], url=url)) == ""


def test_a_process_does_not_start_without_the_package_and_says_so_in_one_line() -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from heliograph.channels.options import ChannelsOptions\n"
        "from heliograph.settings import from_environment\n"
        "from_environment((ChannelsOptions,))"
    )
    environ = {**os.environ, "HELIOGRAPH_CHANNELS": "redis://u:secret@host/0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "HELIOGRAPH_CHANNELS='redis://host/0': "
        "redis:// needs a package that is not installed: pip install 'heliograph[redis]'\n"
    )
