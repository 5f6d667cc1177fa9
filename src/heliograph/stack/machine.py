"""What this machine allows: descriptors and waiting connections."""

from __future__ import annotations

from pathlib import Path

#: A relayed connection is one of the client's and one to the layer behind.
_DESCRIPTORS_PER_CLIENT = 2


def limits(descriptors: int) -> str:
    """The limits that bound a stack here, for people."""
    text = (
        f"Limits: {descriptors} descriptors a process (the hard limit, ulimit -Hn), "
        f"so about {descriptors // _DESCRIPTORS_PER_CLIENT} clients through each layer"
    )
    try:
        backlog = Path("/proc/sys/net/core/somaxconn").read_text().strip()
    except OSError:
        return f"{text}."
    return f"{text}; {backlog} connections waiting to be accepted (net.core.somaxconn)."
