"""The access log: a line per exchange, made at once, written in batches by a native thread.

A slow disk or a stopped reader of the pipe must not hold up requests: what waits is bounded, what does not
fit is dropped and counted, and the count is logged.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Final

import gevent
from gevent.hub import get_hub
from gevent.lock import RLock

from heliograph_proxy import eventlog as events
from heliograph_proxy.batches import BatchWriter, timestamp
from heliograph_proxy.clock import wall_time
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.masking import mask_secrets
from heliograph_proxy.settings import LogSettings

#: Lines that may wait: about 20 MB, half a second at twice the rate this proxy reaches.
MAX_WAITING: Final = 50_000

#: A tenth of a second of log is lost at most when the process is killed. Not Final: tests wait less.
BATCH_SECONDS = 0.1

#: -1 ms is HAProxy's mark for a phase that was never reached.
NEVER_REACHED: Final = -0.001


class Record:
    """One exchange, as it will stand in the log. Times are seconds, named as HAProxy names them, and milliseconds in the log."""

    # No dataclass: the __init__ that those make is not compiled.
    def __init__(self, request_id: str, client: str) -> None:
        self.request_id = request_id
        self.client = client
        self.method = "-"
        self.target = "-"
        #: The minor version.
        self.minor = 1
        self.status = 0
        #: What the client was sent, heads included.
        self.sent = 0
        self.backend = "-"
        self.tries = 0
        #: First byte of the request to the end of its head.
        self.TR = 0.0
        #: In the queue.
        self.Tw = NEVER_REACHED
        #: Connecting.
        self.Tc = NEVER_REACHED
        #: From the request sent to the end of the answer's head.
        self.Tr = NEVER_REACHED
        #: In all, from the first byte on.
        self.Ta = 0.0
        #: How it ended: "done", or what went wrong.
        self.ended = "done"
        #: Why it failed, in words, for the page; the log does without.
        self.reason = ""
        #: A tunnel, or a stream of records: how long it lasts says nothing about requests.
        self.stream = False
        #: Of a request that belongs to one, else "".
        self.trace_id = ""
        #: The request's line and fields as they are passed on.
        self.fields = b""


#: `text` as JSON has it.
quoted: Final = encode_basestring_ascii

# The text of the numbers that most exchanges have, and of their times in tenths of a millisecond: formatting them costs more
# than all else.
_NUMBERS: Final = tuple(str(number) for number in range(1000))
_TENTHS: Final = tuple(f"{number / 10:.1f}" for number in range(1000))


def _milliseconds(seconds: float) -> str:
    tenths = int(seconds * 1e4 + 0.5)
    return _TENTHS[tenths] if 0 <= tenths < len(_TENTHS) else f"{seconds * 1e3:.1f}"


def _number(number: int) -> str:
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else str(number)


def json_line(record: Record, now: float) -> str:
    # Written out because json.dumps costs four times as much, for each request. A client is an address or UNIX.
    trace = f'"trace_id": "{record.trace_id}", ' if record.trace_id else ""
    return (
        f'{{"time": "{timestamp(now)}", "request_id": "{record.request_id}", {trace}"client": "{record.client}", '
        f'"method": {quoted(record.method)}, "target": {quoted(record.target)}, "status": {_number(record.status)}, '
        f'"bytes": {_number(record.sent)}, "backend": "{record.backend}", "tries": {_number(record.tries)}, '
        f'"TR": {_milliseconds(record.TR)}, "Tw": {_milliseconds(record.Tw)}, "Tc": {_milliseconds(record.Tc)}, '
        f'"Tr": {_milliseconds(record.Tr)}, "Ta": {_milliseconds(record.Ta)}, "ended": "{record.ended}"}}\n'
    )


def combined_line(record: Record, now: float) -> str:
    """The combined format; what it has no place for follows as key=value."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now))
    request = quoted(f"{record.method} {record.target} HTTP/1.{record.minor}")
    trace = f" trace_id={record.trace_id}" if record.trace_id else ""
    return (
        f"{record.client} - - [{at}] {request} {record.status} {record.sent} "
        f"{_field(_REFERER, record.fields)} {_field(_AGENT, record.fields)} "
        f"request_id={record.request_id}{trace} backend={record.backend} tries={record.tries} "
        f"TR={_milliseconds(record.TR)} Tw={_milliseconds(record.Tw)} Tc={_milliseconds(record.Tc)} "
        f"Tr={_milliseconds(record.Tr)} Ta={_milliseconds(record.Ta)} ended={record.ended}\n"
    )


def _field(pattern: re.Pattern[bytes], fields: bytes) -> str:
    """The value of a field in quotes."""
    found = pattern.search(fields)
    return quoted(mask_secrets(found[1].decode("latin-1"))) if found else '"-"'


_REFERER: Final = re.compile(rb"\r\nReferer: ([^\r]+)", re.IGNORECASE)
_AGENT: Final = re.compile(rb"\r\nUser-Agent: ([^\r]+)", re.IGNORECASE)

CLOSED: Final = -1
STDOUT: Final = 1


def _open(access: str) -> int:
    if not access:
        return CLOSED
    if access == "-":
        return STDOUT
    try:
        return os.open(access, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise SettingsError(access, "", f"the access log cannot be written: {exc.strerror}") from exc


def _close(fd: int) -> None:
    if fd not in (CLOSED, STDOUT):
        os.close(fd)


class AccessLog:
    """Where the lines go. Opening the file is an error of the start."""

    def __init__(self, settings: LogSettings, most: int = MAX_WAITING) -> None:
        self._json = settings.format == "json"
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._writer = BatchWriter(_open(settings.access), most)
        # Held while a thread writes: batches stay in order, and no descriptor is closed, and its number given to
        # another owner, while lines are on their way to it.
        self._writing = RLock()

    def add(self, record: Record) -> None:
        writer = self._writer
        if writer.descriptor != CLOSED:
            now = wall_time()
            writer.add(json_line(record, now) if self._json else combined_line(record, now))

    def start(self) -> None:
        _ = get_hub().threadpool  # made by its first use, which must not come when no descriptor is left
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Write what waits, and end."""
        with self._writing:
            if self._greenlet is not None:
                self._greenlet.kill()
                self._greenlet = None
            self._flush()
            _close(self._writer.descriptor)
            self._writer.descriptor = CLOSED

    def reopen(self, settings: LogSettings) -> None:
        """Go on in another file, or in a new one of the same name after it was rotated. OSError changes
        nothing."""
        fd = _open(settings.access)
        with self._writing:
            self._flush()
            _close(self._writer.descriptor)
            self._writer.descriptor, self._json = fd, settings.format == "json"

    def _run(self) -> None:
        while True:
            gevent.sleep(BATCH_SECONDS)
            self._flush()

    def _flush(self) -> None:
        writer = self._writer
        with self._writing:
            error = "" if writer.empty else writer.flush(_in_thread)
            if error:
                events.log("access-log-failed", reason=error)
            if writer.dropped:
                events.log("access-log-dropped", lines=writer.dropped)
                writer.dropped = 0


def _in_thread(write: Callable[[int, bytes], str], descriptor: int, data: bytes) -> str:
    failed: str = get_hub().threadpool.apply(write, (descriptor, data))
    return failed
