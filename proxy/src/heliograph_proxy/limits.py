"""The limit of open descriptors of this process. Pure."""

from __future__ import annotations

import resource


def raise_descriptor_limit() -> int:
    """Raise the limit of open descriptors to the hard limit, which needs no privilege; return it.

    Each connection is a descriptor, and the usual soft limit of 1024 is far below what one process can hold.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
