"""What every view may use: one `Services` for each application, made by the extension."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from flask import current_app

from heliograph.request.checks import Check, CheckResults
from heliograph.request.homeloop import HomeLoop
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.metrics import RequestMetrics
from heliograph.request.spool import Spool
from heliograph.settings import Settings

EXTENSION = "heliograph.services"


@dataclass(frozen=True)
class Services:
    """`checks` decide on readiness, `facts` are shown by /healthz; features and applications add to both."""

    settings: Settings
    spool: Spool
    metrics: RequestMetrics
    lifecycle: Lifecycle
    checks: dict[str, Check] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    #: Where WebSockets and channels run.
    loop: HomeLoop = field(default_factory=HomeLoop)

    @cached_property
    def readiness(self) -> CheckResults:
        """What `checks` say, for whoever asks: /readyz and /-/health."""
        return CheckResults(self.checks, loop=self.loop)


def services() -> Services:
    """Those of the current application."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Services)
    return found
