"""What views share: one `Services` for each application, made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from app.codec.work import Jobs
from heliograph.channels.service import Channels
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.metrics import Metrics
from heliograph.request.spool import Spool
from heliograph.settings import Settings

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
