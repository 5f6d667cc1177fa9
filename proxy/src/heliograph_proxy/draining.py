"""What is left when the time to drain is over: WebSockets get a close frame, everything else is cut."""

from __future__ import annotations

from typing import Any

import gevent

from heliograph_proxy import eventlog as events
from heliograph_proxy.session import ClientSession
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.tunnel import Tunnel

#: A proxy that was replaced ends what is left over this time: all clients at once would come back at once.
CLOSE_SPREAD_SECONDS = 10.0

#: How long a client and its backend may take to answer a close frame and to end.
CLOSE_SECONDS = 3.0

#: With the greenlet that serves it.
Sessions = dict[ClientSession, Any]

#: By their clients' connections.
Tunnels = dict[SocketStream, Tunnel]


def end_sessions(sessions: Sessions, tunnels: Tunnels, spread: float) -> None:
    """Evenly over `spread` seconds. Returns when all have ended."""
    left = list(sessions.items())
    events.log("drain-ended", cut=len(left))
    pause = spread / len(left)
    closing: list[gevent.Greenlet[..., None]] = []
    for session, greenlet in left:
        if closing:
            gevent.sleep(pause)
        if not sessions:
            break
        closing.append(gevent.spawn(_end, tunnels.get(session.stream), greenlet))
    gevent.joinall(closing)


def _end(tunnel: Tunnel | None, greenlet: gevent.Greenlet[..., Any]) -> None:
    if tunnel is not None and tunnel.close_websocket():
        greenlet.join(CLOSE_SECONDS)
    greenlet.kill()
