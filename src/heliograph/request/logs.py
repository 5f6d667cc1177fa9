"""Access and error logs as JSON lines (or text), written in batches by a native thread.

A write to a slow terminal or a full pipe must not stop the event loop, so callers only append to a bounded buffer. When the
buffer is full, lines are dropped and counted, and the next batch says how many. What is still buffered when the process ends is
written then.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

import gevent

from heliograph.request.threads import in_thread

#: Lines that may wait. At 300 bytes a line this is 3 MB, and a second of the busiest instance.
MAX_BUFFERED = 10_000

#: Seconds between batches: short enough to watch a log live, long enough to fold hundreds of requests into one write.
BATCH_INTERVAL = 0.05

#: The id of the request that this greenlet works for, for every line it logs.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class BatchWriter:
    """Appends lines to a file descriptor without ever blocking the event loop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._scheduled = False
        atexit.register(self.flush)

    def write(self, line: str) -> None:
        """Queue one line (without line end). Drops it when the buffer is full."""
        if len(self._lines) >= MAX_BUFFERED:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._scheduled:
            self._scheduled = True
            gevent.spawn_later(BATCH_INTERVAL, self._write_batches)

    def flush(self) -> None:
        """Write what waits, blocking. For the end of the process."""
        _write_all(self._descriptor, self._take())

    def _write_batches(self) -> None:
        try:
            while batch := self._take():
                in_thread(_write_all, self._descriptor, batch)
                gevent.sleep(BATCH_INTERVAL)
        finally:
            self._scheduled = False

    def _take(self) -> bytes:
        lines, self._lines = self._lines, deque()
        if self._dropped:
            lines.append(json.dumps({"level": "warning", "message": f"{self._dropped} log lines dropped"}))
            self._dropped = 0
        return "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except OSError:  # the reader is gone: there is nobody left to tell
            return


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{timestamp(record.created)} {record.levelname} {record.name}: {record.getMessage()}"
        if request_id.get():
            text += f" [{request_id.get()}]"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def formatter(style: str) -> logging.Formatter:
    return JsonFormatter() if style == "json" else TextFormatter()


class BatchHandler(logging.Handler):
    """Sends log records to a BatchWriter."""

    def __init__(self, writer: BatchWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.write(self.format(record))


class AccessLog:
    """One line for each request, on standard output. Fields: those of `write`'s mapping, after the time.

    In ASCII: what clients send cannot end a line for any reader, nor give orders to a terminal (U+0085, U+2028, U+009B).
    """

    def __init__(self, style: str, writer: BatchWriter) -> None:
        self._json = style == "json"
        self._writer = writer

    def write(self, fields: Mapping[str, object]) -> None:
        if self._json:
            self._writer.write(json.dumps({"time": timestamp(time.time()), **fields}))
        else:
            pairs = " ".join(f"{key}={json.dumps(value)}" for key, value in fields.items())
            self._writer.write(f"{timestamp(time.time())} {pairs}")


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_writers: dict[int, BatchWriter] = {}


def writer(descriptor: int) -> BatchWriter:
    """The process's one writer for a descriptor, so that lines of two applications never mix."""
    if descriptor not in _writers:
        _writers[descriptor] = BatchWriter(descriptor)
    return _writers[descriptor]


def configure(style: str) -> AccessLog:
    """Send the ``heliograph`` loggers to standard error; return the access log, which goes to standard output."""
    logger = logging.getLogger("heliograph")
    handler = BatchHandler(writer(sys.__stderr__.fileno() if sys.__stderr__ else 2))
    handler.setFormatter(formatter(style))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return AccessLog(style, writer(sys.__stdout__.fileno() if sys.__stdout__ else 1))
