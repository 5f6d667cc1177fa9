"""Certificates for tests, signed by themselves."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path


def make(folder: Path, name: str = "here", *, passphrase: str = "") -> Files:
    """For 127.0.0.1."""
    files = Files(folder / f"{name}.pem", folder / f"{name}.key")
    protection = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
    request = ["openssl", "req", "-x509", *_EC, *protection, "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    out = ["-out", str(files.certificate), "-keyout", str(files.key)]
    subprocess.run([*request, *names, *out], check=True, capture_output=True)
    return files
