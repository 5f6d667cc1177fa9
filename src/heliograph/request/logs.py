"""Access and error logs as JSON lines (or text), written in batches by a native thread.

A write to a slow terminal or a full pipe must not stop the event loop, so callers only append to a bounded buffer. When the
buffer is full, lines are dropped and counted, and the next batch says how many. What is still buffered when the process ends is
written then.
"""

from __future__ import annotations

import atexit
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar

import gevent
from heliograph_proxy.batches import BatchWriter, timestamp

from heliograph.request.threads import in_thread

#: Lines that may wait. At 300 bytes a line this is 3 MB, and a second of the busiest instance.
MAX_BUFFERED = 10_000

#: Seconds between batches: short enough to watch a log live, long enough to fold hundreds of requests into one write.
BATCH_INTERVAL = 0.05

#: The id of the request that this greenlet works for, for every line it logs.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class ScheduledWriter:
    """Appends lines to a file descriptor without ever blocking the event loop: a greenlet writes them soon."""

    def __init__(self, descriptor: int) -> None:
        self._batches = BatchWriter(descriptor, MAX_BUFFERED)
        self._scheduled = False
        atexit.register(self.flush)

    def write(self, line: str) -> None:
        """Queue one line (without line end). Drops it when the buffer is full."""
        self._batches.add(f"{line}\n")
        if not self._scheduled:
            self._scheduled = True
            gevent.spawn_later(BATCH_INTERVAL, self._write_batches)

    def flush(self) -> None:
        """Write what waits, blocking. For the end of the process."""
        if not self._batches.empty:
            self._batches.flush(_at_once, self._note())

    def _write_batches(self) -> None:
        batches = self._batches
        try:
            while not batches.empty:
                if batches.flush(in_thread, self._note()):
                    batches.dropped = 0  # the reader is gone: no count can be told
                gevent.sleep(BATCH_INTERVAL)
        finally:
            self._scheduled = False

    def _note(self) -> str:
        """The line that tells how many were dropped, if any were."""
        dropped, self._batches.dropped = self._batches.dropped, 0
        if not dropped:
            return ""
        return json.dumps({"level": "warning", "message": f"{dropped} log lines dropped"}) + "\n"


def _at_once(write: Callable[[int, bytes], str], descriptor: int, data: bytes) -> str:
    return write(descriptor, data)


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
    """Sends log records to a ScheduledWriter."""

    def __init__(self, writer: ScheduledWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.write(self.format(record))


class RequestLog:
    """One line for each request, on standard output. Fields: those of `write`'s mapping, after the time.

    In ASCII: what clients send cannot end a line for any reader, nor give orders to a terminal (U+0085, U+2028, U+009B).
    """

    def __init__(self, style: str, writer: ScheduledWriter) -> None:
        self._json = style == "json"
        self._writer = writer

    def write(self, fields: Mapping[str, object]) -> None:
        if self._json:
            self._writer.write(json.dumps({"time": timestamp(time.time()), **fields}))
        else:
            pairs = " ".join(f"{key}={json.dumps(value)}" for key, value in fields.items())
            self._writer.write(f"{timestamp(time.time())} {pairs}")


_writers: dict[int, ScheduledWriter] = {}


def writer(descriptor: int) -> ScheduledWriter:
    """The process's one writer for a descriptor, so that lines of two applications never mix."""
    if descriptor not in _writers:
        _writers[descriptor] = ScheduledWriter(descriptor)
    return _writers[descriptor]


def configure(style: str) -> RequestLog:
    """Send the ``heliograph`` loggers to standard error; return the access log, which goes to standard output."""
    logger = logging.getLogger("heliograph")
    handler = BatchHandler(writer(sys.__stderr__.fileno() if sys.__stderr__ else 2))
    handler.setFormatter(formatter(style))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return RequestLog(style, writer(sys.__stdout__.fileno() if sys.__stdout__ else 1))
