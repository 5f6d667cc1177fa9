"""Gunicorn's logger in the format of our logs. All of its options work: files, syslog, statsd, its own configurations."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.instrument.statsd import Statsd

from heliograph.request.logs import formatter
from heliograph.request.options import RequestOptions
from heliograph.server import gunicorn_options
from heliograph.settings import from_environment


class InstanceLogger(Statsd):  # type: ignore[misc]
    """The first thing that Gunicorn makes of a configuration, so options are checked here, before any other line is written."""

    def __init__(self, cfg: Any) -> None:
        gunicorn_options.check(cfg)
        if cfg.daemon and cfg.errorlog != "-":
            cfg.set("capture_output", True)  # there is no other place for what the application logs
        super().__init__(cfg)

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return
        ours = formatter(from_environment((RequestOptions,))[RequestOptions].log)
        for handler in self.error_log.handlers:
            handler.setFormatter(ours)
        if not logging.root.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(ours)
            logging.root.addHandler(handler)
            logging.root.setLevel(logging.INFO)
