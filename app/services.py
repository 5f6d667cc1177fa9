"""What views share: one `Services` for each application, made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from app.channels.service import Channels
from app.jobs import Jobs
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.settings import Settings
from app.spool import Spool

EXTENSION = "heliograph"


@dataclass(frozen=True)
class Services:
    settings: Settings
    spool: Spool
    jobs: Jobs
    metrics: Metrics
    channels: Channels
    lifecycle: Lifecycle


def services() -> Services:
    """Those of the current application."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Services)
    return found
