"""Settings of this checkout's application: what the codecs may use. Pure."""

from __future__ import annotations

from heliograph.defaults import PerCore
from heliograph.settings import GIB, Options, integer, option, size


class CodecOptions(Options):
    """Bounds of the codecs' work."""

    max_output: int = option(size(), GIB, "bytes that an input may encode or decode to")
    max_ratio: int = option(
        integer(1, 10**9), 1000, "how many times its length an input may decode to, from 100 MiB on"
    )
    codec_jobs: int = option(
        integer(1, 256), PerCore(2), "conversions that run at once; one client has at most three quarters"
    )
