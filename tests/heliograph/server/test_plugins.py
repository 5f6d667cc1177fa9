"""What gevent asks of the installed packages while it patches a process: they are read once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from importlib import metadata

entry_points, distributions, reads = metadata.entry_points, metadata.distributions, []
metadata.distributions = lambda **wanted: (reads.append(wanted), distributions(**wanted))[1]

from gevent import monkey
from heliograph.server import plugins

with plugins.read_once():
    monkey.patch_all()
assert all(map(monkey.is_module_patched, ("socket", "ssl", "threading", "subprocess", "select", "time")))
assert metadata.entry_points is entry_points
assert len(reads) == 1, reads
"""


def test_everything_is_patched_and_packages_are_read_once() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
