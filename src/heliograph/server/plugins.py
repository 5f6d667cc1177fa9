"""Makes the patch of a process by gevent short. Imported before that, so it imports nothing that waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from typing import Any


@contextmanager
def read_once() -> Iterator[None]:
    """Meanwhile the metadata of the installed packages are read once, however often they are asked for plugins.

    `gevent.monkey.patch_all()` looks for plugins at each module that it patches, 25 times, and reads the metadata of all packages
    each time: 0.3 s of processor time where a hundred packages are installed.
    """
    module: Any = metadata
    read = module.entry_points
    module.entry_points = partial(_select, read())
    try:
        yield
    finally:
        module.entry_points = read


def _select(found: metadata.EntryPoints, **wanted: Any) -> metadata.EntryPoints:
    return found.select(**wanted)
