"""What signals mean to those who wait for requests: the proxy, and the manager of a stack. Pure."""

from __future__ import annotations

import signal

#: QUIT too: other servers end in order with it.
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

#: What operators know from other servers. By themselves they would end or stop the process.
WITHOUT_MEANING = (
    signal.SIGWINCH,
    signal.SIGTTIN,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGIO,
    signal.SIGPWR,
)
