"""What an instance tells its manager, and which of its processes do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

#: Forks as an application does that uses multiprocessing; the child says what its inherited handlers would, and ends.
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import os, sys
import gevent
from heliograph.server.reporting import Reporter
reporter = Reporter(int(sys.argv[1]), lambda: None)
reporter.begin()
reporter.say(b"loaded")
child = gevent.fork()
if child == 0:
    reporter.say(b"stopping")
    reporter._heard(b"leave")
    os._exit(0)
os.waitpid(child, 0)
reporter.say(b"ready")
"""


def test_a_process_that_the_application_forks_does_not_speak_for_the_instance() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=dict(os.environ),
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0
        theirs.close()
        with ours.makefile("rb") as said:
            assert said.read().split() == [b"loaded", b"ready"]
