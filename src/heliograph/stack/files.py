"""What nginx is told to read: looked at before anything starts, so that what is wrong with it is one line."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from heliograph.given import SettingError, where
from heliograph.stack.front import Certificate, StaticFolder
from heliograph.stack.options import StackOptions, StackSettings

#: What OpenSSL calls a key that is another certificate's.
_MISMATCH = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}


def static_folders(
    settings: StackSettings, root: Path, environ: Mapping[str, str]
) -> tuple[StaticFolder, ...]:
    """Those that are set, by absolute paths. Raises SettingError for one that is not there."""
    for static in settings.static:
        if not (root / static.folder).is_dir():
            raise _error(environ, "static", static.folder, "a folder that is there is allowed")
    return tuple(replace(one, folder=str((root / one.folder).absolute())) for one in settings.static)


def certificate(settings: StackSettings, root: Path, environ: Mapping[str, str]) -> Certificate | None:
    """The one that is set, after a look at it; None where none is. Raises SettingError."""
    given = {"tls_cert": settings.tls_cert, "tls_key": settings.tls_key}
    if not any(given.values()):
        return None
    for name, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if not given[name]:
            shown = where(environ, StackOptions.definitions[other].name)
            raise _error(environ, name, "", f"{shown} is set, which needs this file, too")
    paths = {name: root / text for name, text in given.items()}
    for name, path in paths.items():
        _require_readable(environ, name, path, given[name])
    _require_pair(environ, paths["tls_cert"], paths["tls_key"], given)
    return Certificate(str(paths["tls_cert"].absolute()), str(paths["tls_key"].absolute()))


def _require_readable(environ: Mapping[str, str], name: str, path: Path, shown: str) -> None:
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise _error(environ, name, shown, f"the file cannot be read: {exc.strerror}") from exc
    what, wanted = (
        ("certificate", b"CERTIFICATE-----") if name == "tls_cert" else ("private key", b"PRIVATE KEY-----")
    )
    if wanted not in text:
        raise _error(environ, name, shown, f"there is no {what} in PEM in this file")


def _require_pair(environ: Mapping[str, str], certificate: Path, key: Path, given: Mapping[str, str]) -> None:
    asked = []

    def passphrase() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, passphrase)
    except (ssl.SSLError, OSError) as exc:
        name = "tls_key"
        if asked:
            reason = "the key has a passphrase, for which nobody is asked; store it without one"
        elif getattr(exc, "reason", "") in _MISMATCH:
            reason = f"the key does not match the certificate {given['tls_cert']}"
        else:
            name = "tls_cert"
            told = getattr(exc, "reason", "") or exc.strerror or str(exc)
            reason = f"certificate and key cannot be used: {told.replace('_', ' ').lower()}"
        raise _error(environ, name, given[name], reason) from exc


def _error(environ: Mapping[str, str], name: str, shown: str, reason: str) -> SettingError:
    return SettingError(where(environ, StackOptions.definitions[name].name), shown, reason)
