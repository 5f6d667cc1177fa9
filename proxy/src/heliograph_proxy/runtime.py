"""What every exchange works with, put together once at the start."""

from __future__ import annotations

from dataclasses import dataclass, field

from heliograph_proxy.accesslog import AccessLog
from heliograph_proxy.admin.failures import FailureLog
from heliograph_proxy.balancing.balancer import Balancer
from heliograph_proxy.clients import ClientBounds
from heliograph_proxy.connections import Connections
from heliograph_proxy.held import HeldBytes
from heliograph_proxy.http1.requests import RequestParser
from heliograph_proxy.looplag import LoopLag
from heliograph_proxy.metrics import ProxyMetrics
from heliograph_proxy.requestids import RequestIds
from heliograph_proxy.settings import ProxySettings
from heliograph_proxy.sticky import Sticky
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.tunnel import Tunnel
from heliograph_proxy.waits import Sweeper


@dataclass(slots=True)
class Runtime:
    settings: ProxySettings
    parser: RequestParser
    balancer: Balancer
    connections: Connections
    access_log: AccessLog
    sweeper: Sweeper
    held: HeldBytes
    clients: ClientBounds
    sticky: Sticky | None
    metrics: ProxyMetrics = field(default_factory=ProxyMetrics)
    failed: FailureLog = field(default_factory=FailureLog)
    request_ids: RequestIds = field(default_factory=RequestIds)
    lag: LoopLag = field(default_factory=LoopLag)
    #: No connection is kept alive anymore.
    stopping: bool = False
    #: Another process serves on the same sockets.
    replaced: bool = False
    #: While stopping: seconds that a connection without a request may still bring one, which a close would lose. 0: none.
    last_request: float = 0.0
    #: How many processes this program has been, each the successor of the one before.
    generation: int = 1
    #: The tunnels by their clients' connections.
    tunnels: dict[SocketStream, Tunnel] = field(default_factory=dict)
