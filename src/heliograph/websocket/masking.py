"""`apply_mask(data, mask)` of RFC 6455, 5.3: by `websockets`' C extension where it was built, else by its Python twin. Pure."""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

__all__ = ["apply_mask"]
