"""The keys as a source or target of a copy.

Redis has no transaction of this size. A source is what it is when each channel is read, up to the top that the channel then has.
Of a target the streams are written first, and the table of channels under another name; one script then puts it in its place,
unless there is one with channels. Each write looks first whether that has become impossible: an instance may publish meanwhile, and
another copy may have begun while this one was stopped. Streams that a copy left which did not end belong to no channel: they expire
as others do, and go when a channel of their name begins. Idempotency keys and used tickets wait in a list until the table is in its
place: such a key without its message would keep a publisher who tries again from publishing.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from gevent.event import AsyncResult
from heliograph_proxy.sentences import full_stop

from heliograph.channels.engines.copied import CopiedChannel, CopiedKey, Source, Target, not_empty
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.plan import Segment, StoredKey
from heliograph.channels.engines.redis.pipeline import PipelinedConnection, checked
from heliograph.channels.engines.redis.presence import TOKEN
from heliograph.channels.engines.redis.schema import KEY, LOG, PREFIX, SIZES, TABLE
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.location import Location
from heliograph.channels.message import Kind
from heliograph.channels.records import Appended

#: Fields and keys that Redis is asked for at once, and messages.
_SCANNED, _MESSAGES = 500, 16

#: Commands and bytes that are sent before their answers are read.
_BATCH, _BATCH_BYTES = 500, 1 << 20

_COPY = PREFIX + "copying"
_TABLE, _SIZES, _KEYS = _COPY + ":channels", _COPY + ":sizes", _COPY + ":keys"
_DRAFTS = (_TABLE, _SIZES, _KEYS)

#: Milliseconds after which what a killed copy left is forgotten.
_DRAFT_TTL = 60_000

# KEYS: whose draft it is, table. ARGV[1]: the copy.
_GUARD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lost' end
if redis.call('HLEN', KEYS[2]) > 3 then return 'used' end
"""

#: KEYS[3]: what is written to. ARGV[2…]: the command, and what follows its key.
_WRITE = (
    _GUARD
    + """
redis.call(ARGV[2], KEYS[3], unpack(ARGV, 3))
return 'ok'
"""
)

#: KEYS[3…]: sizes, the drafts of table and sizes. ARGV[2…]: run, era, birth.
_FINISH = (
    _GUARD
    + """
redis.call('HSET', KEYS[4], '=run', ARGV[2], '=era', ARGV[3], '=birth', ARGV[4])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
for index = 2, 3 do
  if redis.call('EXISTS', KEYS[index + 2]) == 1 then
    redis.call('PERSIST', KEYS[index + 2])
    redis.call('RENAME', KEYS[index + 2], KEYS[index])
  end
end
return 'ok'
"""
)

#: KEYS: whose draft it is, and the drafts. ARGV: the copy.
_FORGET = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', unpack(KEYS)) end"

_WITHOUT_KEYS = "All channels were copied, but not all idempotency keys and used tickets."
_INTERRUPTED = "The copy was interrupted for too long, or another one writes to this Redis now."


@contextmanager
def source(location: Location) -> Iterator[RedisSource]:
    with _connected(location) as connection:
        yield RedisSource(connection)


@contextmanager
def target(location: Location, history_ttl: float) -> Iterator[RedisTarget]:
    with _connected(location) as connection:
        made = RedisTarget(connection, location.shown, history_ttl)
        if cast(int, connection.request("HLEN", TABLE)) > 3:  # run, era and birth
            raise not_empty(location.shown)
        if connection.request("SET", _COPY, made.name, "NX", "PX", _DRAFT_TTL) is None:
            raise LogUnavailable(
                "Another copy writes to this Redis now, or was killed less than a minute ago."
            )
        try:
            connection.request("DEL", *_DRAFTS)
            yield made
            made.finish()
        except BaseException:
            with contextlib.suppress(LogUnavailable):
                connection.request("EVAL", _FORGET, 1 + len(_DRAFTS), _COPY, *_DRAFTS, made.name)
            raise
        made.set_keys()


@contextmanager
def _connected(location: Location) -> Iterator[PipelinedConnection]:
    connection = PipelinedConnection(location.url)
    try:
        connection.attempted.wait()
        if connection.connection is None:
            raise LogUnavailable(full_stop(connection.state))
        yield connection
    finally:
        connection.close()


class RedisSource(Source):
    def __init__(self, connection: PipelinedConnection) -> None:
        self._connection, self._request = connection, connection.request

    def epochs(self) -> tuple[str, str]:
        """A script of the engine brings them up to date."""
        connection, server = self._connection, self._connection.server
        state = (server.run, new_half(), new_half(), int(server.durable))
        self._request("EVALSHA", connection.digests["tops"], 1, TABLE, *state)
        era, birth = cast(list[bytes], self._request("HMGET", TABLE, "=era", "=birth"))
        return era.decode(), birth.decode()

    def channels(self) -> Iterator[CopiedChannel]:
        seen = set[bytes]()  # a field may come twice
        for flat in self._scanned("HSCAN", TABLE):
            for name, stored in zip(flat[::2], flat[1::2], strict=True):
                if not name.startswith(b"=") and name not in seen:
                    seen.add(name)
                    birth, top, at = stored.split()
                    yield CopiedChannel(name.decode(), birth.decode(), int(top), int(at) / 1e6)

    def segments(self, channel: CopiedChannel) -> Iterator[Segment]:
        """Each message has its own time."""
        start = "-"
        while channel.top:
            entries = cast(
                list[tuple[bytes, list[bytes]]],
                self._request("XRANGE", LOG + channel.name, start, channel.top, "COUNT", _MESSAGES),
            )
            for id_, (_, kind, _, stamp, _, data, *_) in entries:
                messages = [(Kind(int(kind)), data)]
                yield Segment(channel.name, int(id_.split(b"-")[0]), int(stamp) / 1e6, messages, len(data))
            if len(entries) < _MESSAGES:
                return
            start = f"({entries[-1][0].decode()}"

    def idempotency_keys(self) -> Iterator[CopiedKey]:
        for name, value, left in self._expiring(KEY):
            channel, _, id_ = name.removeprefix(KEY).rpartition(":")
            body, epoch, offset, stamp = value.decode().split()
            answer = Appended(epoch, int(offset), int(stamp) / 1e6)
            yield CopiedKey(channel, bytes.fromhex(id_), StoredKey(bytes.fromhex(body), answer), left)

    def tickets(self) -> Iterator[tuple[str, float]]:
        for name, _, left in self._expiring(TOKEN):
            yield name.removeprefix(TOKEN), left

    def _expiring(self, prefix: str) -> Iterator[tuple[str, bytes, float]]:
        """Keys that are there all the time, their values and seconds. One may come twice."""
        for names in self._scanned("SCAN", match=f"{prefix}*"):
            for name in names:
                value, left = self._request("GET", name), cast(int, self._request("PTTL", name))
                if isinstance(value, bytes) and left > 0:
                    yield name.decode(), value, left / 1000

    def _scanned(self, *command: str, match: str = "*") -> Iterator[list[bytes]]:
        at = b"0"
        while True:
            answer = self._request(*command, at, "MATCH", match, "COUNT", _SCANNED)
            at, found = cast(tuple[bytes, list[bytes]], answer)
            yield found
            if at == b"0":
                return


class RedisTarget(Target):
    """`name` is that of this copy."""

    def __init__(self, connection: PipelinedConnection, shown: str, history_ttl: float) -> None:
        self.name = secrets.token_hex(8)
        self._connection, self._shown, self._ttl = connection, shown, history_ttl
        self._epochs = ("", "")
        self._waiting: list[AsyncResult[object]] = []
        self._bytes = 0
        self._digest = connection.request("SCRIPT", "LOAD", _WRITE)

    def begin(self, era: str, birth: str) -> None:
        self._epochs = (era, birth)

    def add(self, channel: CopiedChannel, segments: Iterable[Segment]) -> None:
        stream, total = LOG + channel.name, 0
        self._write("DEL", stream)
        for segment in segments:
            for offset, (kind, data) in enumerate(segment.messages, segment.first):
                entry = ("k", int(kind), "t", _stamp(segment.time), "d", data, "b", total)
                self._write("XADD", stream, f"{offset}-0", *entry)
                total += len(data)
        left = channel.time + self._ttl - time.time()
        self._write("PEXPIRE", stream, max(1, int(left * 1000)))
        self._write("HSET", _TABLE, channel.name, f"{channel.birth} {channel.top} {_stamp(channel.time)}")
        self._write("HSET", _SIZES, channel.name, total)

    def add_key(self, key: CopiedKey) -> None:
        answer = key.kept.answer
        value = f"{key.kept.body.hex()} {answer.epoch} {answer.offset} {_stamp(answer.time)}"
        self._keep(f"{KEY}{key.channel}:{key.id.hex()}", value, key.left)

    def add_ticket(self, token: str, left: float) -> None:
        self._keep(TOKEN + token, "1", left)

    def _keep(self, name: str, value: str, left: float) -> None:
        self._write("RPUSH", _KEYS, name, value, time.time() + left)

    def finish(self) -> None:
        """Put the table in its place. Raises LogUnavailable."""
        self._keep_draft()
        keys = (_COPY, TABLE, SIZES, _TABLE, _SIZES)
        arguments = (self.name, self._connection.server.run, *self._epochs)
        self._require_written(self._connection.request("EVAL", _FINISH, len(keys), *keys, *arguments))

    def set_keys(self) -> None:
        """All but those that are there already. Raises LogUnavailable."""
        try:
            while parts := cast("list[bytes]", self._connection.request("LPOP", _KEYS, 3 * _BATCH)):
                for name, value, ends in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
                    if (left := int((float(ends) - time.time()) * 1000)) > 0:
                        self._send("SET", name, value, "NX", "PX", left)
                self._send("PEXPIRE", _KEYS, _DRAFT_TTL)
                self._wait()
        except LogUnavailable as exc:
            raise LogUnavailable(f"{_WITHOUT_KEYS} {exc}") from exc

    def _write(self, command: str, key: str, *arguments: object) -> None:
        self._send_guarded(command, key, *arguments)
        if len(self._waiting) >= _BATCH or self._bytes >= _BATCH_BYTES:
            self._keep_draft()

    def _keep_draft(self) -> None:
        """It lives on, and all that was sent is answered. Raises LogUnavailable."""
        for key in (_COPY, *_DRAFTS):
            self._send_guarded("PEXPIRE", key, _DRAFT_TTL)
        self._wait()

    def _send_guarded(self, command: str, key: str, *arguments: object) -> None:
        self._send("EVALSHA", self._digest, 3, _COPY, TABLE, key, self.name, command, *arguments)

    def _send(self, *command: object) -> None:
        answer: AsyncResult[object] = AsyncResult()
        self._waiting.append(answer)
        self._bytes += sum(len(part) for part in command if isinstance(part, bytes))
        self._connection.send(command, answer.set)

    def _wait(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for answer in waiting:
            self._require_written(checked(answer.get()))

    def _require_written(self, verdict: object) -> None:
        """Raises LogUnavailable."""
        if verdict == b"used":
            raise not_empty(self._shown)
        if verdict == b"lost":
            raise LogUnavailable(_INTERRUPTED)


def _stamp(seconds: float) -> int:
    """Microseconds."""
    return round(seconds * 1e6)
