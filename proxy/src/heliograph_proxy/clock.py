"""The clocks as compiled modules read them: a Final is at hand, where an imported name is looked up each time."""

from __future__ import annotations

import time
from typing import Final

#: For deadlines and durations.
monotonic: Final = time.monotonic

#: For people.
wall_time: Final = time.time
