"""The project in this folder as `heliograph run` would run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from heliograph.stack import options, reading, sources
from heliograph.stack.plan import Layout


def here() -> Path:
    """This folder, from which modules can be imported then, such as the one in which the application declares its settings."""
    root = Path.cwd()
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return root


def layout(root: Path, environ: Mapping[str, str]) -> Layout:
    """Who listens where. Raises SettingError, RenderError."""
    settings = options.load(environ, os.cpu_count() or 1)
    found = sources.find(root, environ)
    return reading.layout_of(settings, root, found, environ)


def main_name(environ: Mapping[str, str]) -> str:
    """The name of its application."""
    name: str = options.StackOptions.definitions["app"].read(environ)
    return name
