"""Sticky sessions: a signed cookie that names a backend.

The signature keeps clients from choosing a backend themselves, and from learning by trial which names there
are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from itsdangerous import BadSignature, Signer, TimestampSigner

from heliograph_proxy import eventlog as events
from heliograph_proxy import files
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import StickySettings

#: The key's file in the state folder, where none is configured.
KEY_FILE = "proxy-sticky.key"

#: Bytes of a key that is made here. In hexadecimal it has twice as many characters.
KEY_BYTES = 32

_SALT = "heliograph.proxy.sticky"
#: The names are ours and the cookie travels with each request: short, and without what cookies cannot have.
_SEPARATOR = ":"


class Sticky:
    """Reads and writes the cookie."""

    def __init__(self, settings: StickySettings, secrets: Sequence[str]) -> None:
        """The first secret signs, all verify."""
        self._name = settings.cookie.encode()
        self._ttl = settings.ttl
        self._path = settings.path.encode()
        signer = TimestampSigner if settings.ttl else Signer
        self._signer = signer(secrets[::-1], salt=_SALT, sep=_SEPARATOR)  # it wants the newest last

    def applies(self, target: bytes) -> bool:
        """Whether sessions stick at this target: where a client sends the cookie back (RFC 6265 section
        5.1.4)."""
        if not target.startswith(self._path):
            return False
        return self._path.endswith(b"/") or target[len(self._path) : len(self._path) + 1] in (b"", b"/", b"?")

    def read(self, cookies: bytes) -> str:
        """The backend's name in a Cookie field, or "" if there is none that we signed and that is still
        good."""
        for pair in cookies.split(b";"):
            name, _, value = pair.strip(b" \t").partition(b"=")
            if name == self._name:
                return self._verified(value)
        return ""

    @staticmethod
    def holds(preferred: str, used: Backend, backends: Iterable[Backend], now: float) -> bool:
        """Whether a session has its backend, or will have it again when that is less busy."""
        if preferred == used.name:
            return True
        return any(
            one.name == preferred and one.available(now) and (one.ready or not used.ready) for one in backends
        )

    def write(self, backend: str, *, secure: bool, prefix: str = "") -> bytes:
        """The header line that sets the cookie. `prefix`: what a proxy in front took from the path."""
        signed = self._signer.sign(backend).decode()
        age = f"; Max-Age={self._ttl}" if self._ttl else ""
        https = "; Secure" if secure else ""
        name = self._name.decode()
        path = f"{prefix}{self._path.decode()}"
        return f"Set-Cookie: {name}={signed}; Path={path}; HttpOnly; SameSite=Lax{age}{https}\r\n".encode()

    def _verified(self, value: bytes) -> str:
        try:
            if isinstance(self._signer, TimestampSigner):
                return self._signer.unsign(value, max_age=self._ttl).decode()
            return self._signer.unsign(value).decode()
        except (BadSignature, UnicodeDecodeError):
            return ""


def create(settings: StickySettings, folder: Path) -> Sticky | None:
    """None where sessions do not stick. `folder` keeps the key where none is configured."""
    if not settings.cookie:
        return None
    return Sticky(settings, settings.secret or [kept_key(folder / KEY_FILE)])


def kept_key(file: Path) -> str:
    """The key in this file, which is made where there is no good one."""
    new = not file.exists()
    try:
        secret, wrong = files.keep_secret(file, os.urandom(KEY_BYTES).hex())
    except OSError as exc:
        raise SettingsError(str(file), "sticky.secret", f"cannot be kept: {exc.strerror}") from exc
    if wrong and not new:
        events.log(
            "sticky-key-replaced", file=str(file), reason=f"the key {wrong}; cookies signed before are void"
        )
    return secret
