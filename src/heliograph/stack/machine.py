"""What this machine allows: descriptors, waiting connections, files that others may read."""

from __future__ import annotations

import stat
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


def open_to_all(folder: Path) -> bool:
    """Whether any user may reach and list a folder, going by its mode and its parents'."""
    if not all(step.stat().st_mode & stat.S_IXOTH for step in (folder, *folder.parents)):
        return False
    return bool(folder.stat().st_mode & stat.S_IROTH)
