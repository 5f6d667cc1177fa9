"""What every exchange works with, put together once at the start."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.accesslog import AccessLog
from proxy.balancer import Balancer
from proxy.connections import Connections
from proxy.failed import Failed
from proxy.http1.requests import RequestParser
from proxy.metrics import Metrics
from proxy.settings import Settings
from proxy.sticky import Sticky
from proxy.sweeper import Sweeper


@dataclass(slots=True)
class Runtime:
    settings: Settings
    parser: RequestParser
    balancer: Balancer
    connections: Connections
    access_log: AccessLog
    sweeper: Sweeper
    sticky: Sticky | None
    metrics: Metrics = field(default_factory=Metrics)
    failed: Failed = field(default_factory=Failed)
    #: No connection is kept alive anymore.
    stopping: bool = False
