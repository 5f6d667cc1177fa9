"""A connection for commands: all that are ready go out in one write, and the answers come back in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gevent
import redis
from gevent.event import AsyncResult, Event

from heliograph.channels.engines.redis.connection import Connecting, RawConnection
from heliograph.channels.engines.redis.schema import ALL
from heliograph.channels.errors import Overloaded, Unavailable
from heliograph.channels.log import MAX_WAITING_APPENDS, MAX_WAITING_BYTES, MAX_WAITING_CALLS

#: Seconds in which some answer must come while any command waits for one.
ANSWER_TIMEOUT = 5.0

#: Seconds for the answers that still come at the end.
FINISHING = 1.0

#: The oldest version with everything that the scripts use; Valkey says which version of Redis it is like.
OLDEST = (6, 2)

#: Bytes of one write.
MAX_WRITE = 1 << 20

Answer = object
Heard = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    heard: Heard
    size: int
    since: float


@dataclass(frozen=True)
class Server:
    """`run` is new with each start of the server's process. `durable`: each write is on its disk before the answer."""

    run: str
    durable: bool
    evicts: bool


class Line(Connecting):
    """Commands fail at once while there is no connection, with `Unavailable`."""

    def __init__(self, url: str) -> None:
        self.server = Server("", False, False)
        self.digests: dict[str, str] = {}
        self._waiting: deque[_Waiting] = deque()
        self._outgoing: deque[bytes] = deque()
        self._bytes = 0
        self._heard_at = 0.0
        self._ready = Event()
        super().__init__(url)

    def send(self, command: tuple[object, ...], heard: Heard) -> None:
        """`heard` is called on the event loop with the answer, or with a redis.ResponseError or Unavailable. It must not wait."""
        if self.connection is None:
            heard(Unavailable(f"{self.state}."))
            return
        if len(self._waiting) >= MAX_WAITING_APPENDS + MAX_WAITING_CALLS or self._bytes > MAX_WAITING_BYTES:
            heard(Overloaded("Too many requests wait for Redis."))
            return
        packed = b"".join(self.connection.pack_command(*command))
        self._bytes += len(packed)
        self._waiting.append(_Waiting(heard, len(packed), time.monotonic()))
        self._outgoing.append(packed)
        self._ready.set()

    def ask(self, *command: object) -> object:
        """Send and wait. Raises Unavailable."""
        self.tried.wait()
        result: AsyncResult[object] = AsyncResult()
        self.send(command, result.set)
        return checked(result.get())

    def finish(self) -> None:
        """Wait a moment for the answers to what was sent: they come in their order."""
        result: AsyncResult[object] = AsyncResult()
        self.send(("PING",), result.set)
        result.wait(FINISHING)

    def _prepare(self, connection: RawConnection) -> None:
        info = _info(connection, "server")
        _check_version(info)
        persistence, memory = _info(connection, "persistence"), _info(connection, "memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        always = persistence.get("aof_enabled") == "1" and _appendfsync(connection) == "always"
        self.server = Server(info["run_id"], always, policy.startswith("allkeys"))
        for name, text in ALL.items():
            connection.send_command("SCRIPT", "LOAD", text)
            self.digests[name] = connection.read_response().decode()

    def _serve(self, connection: RawConnection) -> None:
        helpers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self._write, connection),
            gevent.spawn(self._watch),
        ]
        try:
            while True:
                answer: object
                try:
                    answer = connection.read_response()
                except redis.ResponseError as exc:
                    answer = exc
                self._heard_at = time.monotonic()
                waiting = self._waiting.popleft()
                self._bytes -= waiting.size
                waiting.heard(answer)
                if isinstance(answer, redis.exceptions.NoScriptError | redis.ReadOnlyError):
                    raise answer  # the scripts are gone, or this is not the server to write to any more: start again
        finally:
            gevent.killall(helpers, block=False)

    def _write(self, connection: RawConnection) -> None:
        while True:
            self._ready.wait()
            self._ready.clear()
            while self._outgoing:
                parts, size = [], 0
                while self._outgoing and size < MAX_WRITE:
                    parts.append(self._outgoing.popleft())
                    size += len(parts[-1])
                try:
                    connection.send_packed_command([b"".join(parts)], check_health=False)
                except redis.RedisError as exc:
                    self.reset(str(exc))
                    return

    def _watch(self) -> None:
        while True:
            gevent.sleep(ANSWER_TIMEOUT / 5)
            if not self._waiting:
                continue
            if time.monotonic() - max(self._heard_at, self._waiting[0].since) > ANSWER_TIMEOUT:
                self.reset("Redis does not answer")
                return

    def _lost(self) -> None:
        super()._lost()
        waiting, self._waiting = self._waiting, deque()
        self._outgoing.clear()
        self._bytes = 0
        for entry in waiting:
            entry.heard(Unavailable("The connection to Redis was lost before it answered.", uncertain=True))


def checked(answer: object) -> object:
    """Raises Unavailable if an answer is an error."""
    if isinstance(answer, redis.ResponseError):
        raise Unavailable(f"Redis refused: {answer}")
    if isinstance(answer, Unavailable):
        raise answer
    return answer


def _info(connection: RawConnection, section: str) -> dict[str, str]:
    connection.send_command("INFO", section)
    lines = connection.read_response().decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _check_version(info: dict[str, str]) -> None:
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise redis.RedisError(f"it is version {version}; 6.2 or newer is needed")
    if info.get("redis_mode") == "cluster":
        raise redis.RedisError("a cluster cannot keep the channels; a single server or one with replicas can")


def _appendfsync(connection: RawConnection) -> str:
    """Empty where the server does not say; then the worst is assumed."""
    connection.send_command("CONFIG", "GET", "appendfsync")
    try:
        found = connection.read_response()
    except redis.ResponseError:
        return ""
    return found[1].decode() if len(found) == 2 else ""
