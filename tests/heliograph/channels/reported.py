"""What is logged at a level, and above it."""

from __future__ import annotations

import logging


class Reported(logging.Handler):
    def __init__(self, level: int = logging.ERROR) -> None:
        super().__init__(level)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("heliograph").addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        logging.getLogger("heliograph").removeHandler(self)


def about_trimming(lines: list[str]) -> list[str]:
    return [line for line in lines if "trimmed" in line]
