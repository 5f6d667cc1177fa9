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
from heliograph_proxy.masking import mask_secrets

from heliograph.request.threads import in_thread

#: Lines that may wait. At 300 bytes a line this is 3 MB, and a second of the busiest instance.
MAX_BUFFERED = 10_000

#: Seconds between batches: short enough to watch a log live, long enough to fold hundreds of requests into one write.
BATCH_INTERVAL = 0.05

#: The id of the request that this greenlet works for, for every line it logs.
request_id: ContextVar[str] = ContextVar("request_id", default="")

#: The trace to which that request belongs, if its `traceparent` names one.
trace_id: ContextVar[str] = ContextVar("trace_id", default="")


class ScheduledWriter:
    """Appends lines to a file descriptor without ever blocking the event loop: a greenlet writes them soon."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._batches = BatchWriter(descriptor, MAX_BUFFERED)
        self._scheduled = False

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
    """One JSON object a line: time, level, logger, message, request_id and trace_id, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_secrets(record.getMessage()),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        if trace_id.get():
            line["trace_id"] = trace_id.get()
        if record.exc_info:
            line["traceback"] = mask_secrets(self.formatException(record.exc_info))
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"{timestamp(record.created)} {record.levelname} {record.name}: {mask_secrets(record.getMessage())}"
        if request_id.get():
            text += f" [{request_id.get()}]"
        if trace_id.get():
            text += f" [trace {trace_id.get()}]"
        if record.exc_info:
            text += "\n" + mask_secrets(self.formatException(record.exc_info))
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


#: Loggers of servers that write request lines, which may have a ticket in them.
_SERVERS = ("gunicorn.error", "gunicorn.access", "werkzeug")


_PLAIN = logging.Formatter()


def mask_record(record: logging.LogRecord) -> bool:
    """A filter for loggers whose formatter is not ours: it lets every record pass, without secrets."""
    record.msg, record.args = mask_secrets(record.getMessage()), ()
    if record.exc_info:  # a formatter takes what stands here
        record.exc_text = mask_secrets(_PLAIN.formatException(record.exc_info))
    return True


class Logs:
    """The logs of one application: `requests` goes to standard output, the ``heliograph`` loggers to standard error.

    These loggers and descriptors belong to the process. Applications that are open at the same time have one writer for each
    descriptor, so that their lines never mix, and the loggers write in the style of the one that was opened last.
    """

    def __init__(self, style: str) -> None:
        self._errors = _writer(sys.__stderr__.fileno() if sys.__stderr__ else 2)
        self._access = _writer(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        self._handler = BatchHandler(self._errors)
        self._handler.setFormatter(formatter(style))
        self.requests = RequestLog(style, self._access)
        for name in _SERVERS:
            logging.getLogger(name).addFilter(mask_record)
        _open.append(self)
        _direct_loggers()

    @property
    def writers(self) -> tuple[ScheduledWriter, ScheduledWriter]:
        return self._errors, self._access

    @property
    def handler(self) -> logging.Handler:
        return self._handler

    def close(self) -> None:
        """Write what waits, and give back what no other application uses."""
        if self not in _open:
            return
        _open.remove(self)
        _direct_loggers()
        self._handler.close()
        others = [writer for one in _open for writer in one.writers]
        for writer in self.writers:
            if writer not in others:
                writer.flush()


#: Those of this process that are open, oldest first.
_open: list[Logs] = []


def _writer(descriptor: int) -> ScheduledWriter:
    found = (writer for one in _open for writer in one.writers if writer.descriptor == descriptor)
    return next(found, None) or ScheduledWriter(descriptor)


def _direct_loggers() -> None:
    logger = logging.getLogger("heliograph")
    logger.handlers[:] = [_open[-1].handler] if _open else []
    logger.propagate = not _open
    logger.setLevel(logging.INFO if _open else logging.NOTSET)


@atexit.register
def flush_all() -> None:
    """Write what waits in the logs of all applications of this process, blocking."""
    for one in _open:
        for writer in one.writers:
            writer.flush()
