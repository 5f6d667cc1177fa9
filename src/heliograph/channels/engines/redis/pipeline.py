"""A connection for commands: all that are ready go out in one write, and the answers come back in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gevent
import redis
from gevent.event import AsyncResult, Event
from heliograph_proxy.sentences import because, full_stop

from heliograph.channels.engines.redis.connection import RawConnection, RedisConnection
from heliograph.channels.engines.redis.schema import ALL
from heliograph.channels.engines.redis.trimming import TRIMMING
from heliograph.channels.errors import LogOverloaded, LogUnavailable
from heliograph.channels.records import MAX_WAITING_APPENDS, MAX_WAITING_BYTES, MAX_WAITING_CALLS

#: Seconds within which the next answer must come while commands wait.
ANSWER_TIMEOUT = 5.0

#: Seconds that closing waits for answers.
CLOSE_TIMEOUT = 1.0

#: The oldest version with everything that the scripts use; Valkey reports the version of Redis that it is compatible with.
OLDEST = (6, 2)

#: Bytes of one write.
MAX_WRITE = 1 << 20

#: What is wrong with a server that follows another one: it takes no messages, or loses them.
REPLICA = "it is a replica, which takes no messages"

Answer = object
OnAnswer = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class _PendingCommand:
    on_answer: OnAnswer
    size: int
    since: float


@dataclass(frozen=True)
class ServerInfo:
    """`run` is new with each start of the server's process. `durable`: each write is on its disk before the answer."""

    run: str
    durable: bool
    evicts: bool


class PipelinedConnection(RedisConnection):
    """Commands fail at once while there is no connection, with `LogUnavailable`."""

    def __init__(self, url: str) -> None:
        self.server = ServerInfo("", False, False)
        self.digests: dict[str, str] = {}
        self._waiting: deque[_PendingCommand] = deque()
        self._outgoing: deque[bytes] = deque()
        self._bytes = 0
        self._answered_at = 0.0
        self._ready = Event()
        super().__init__(url)

    def send(self, command: tuple[object, ...], on_answer: OnAnswer) -> None:
        """`on_answer` gets the answer, a redis.ResponseError or LogUnavailable, on the event loop. It must not wait."""
        if self.connection is None:
            on_answer(LogUnavailable(full_stop(self.state)))
            return
        if len(self._waiting) >= MAX_WAITING_APPENDS + MAX_WAITING_CALLS or self._bytes > MAX_WAITING_BYTES:
            on_answer(LogOverloaded("Too many requests wait for Redis."))
            return
        packed = b"".join(self.connection.pack_command(*command))
        self._bytes += len(packed)
        self._waiting.append(_PendingCommand(on_answer, len(packed), time.monotonic()))
        self._outgoing.append(packed)
        self._ready.set()

    def request(self, *command: object) -> object:
        """Send and wait. Raises LogUnavailable."""
        self.attempted.wait()
        result: AsyncResult[object] = AsyncResult()
        self.send(command, result.set)
        return checked(result.get())

    def wait_for_answers(self) -> None:
        """Wait a moment for the answers to what was sent: they come in their order."""
        result: AsyncResult[object] = AsyncResult()
        self.send(("PING",), result.set)
        result.wait(CLOSE_TIMEOUT)

    def _prepare(self, connection: RawConnection) -> None:
        info = _info(connection, "server")
        _check_version(info)
        if _info(connection, "replication").get("role", "master") != "master":
            raise redis.RedisError(REPLICA)
        persistence, memory = _info(connection, "persistence"), _info(connection, "memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        always = persistence.get("aof_enabled") == "1" and _appendfsync(connection) == "always"
        self.server = ServerInfo(info["run_id"], always, policy.startswith("allkeys"))
        for name, text in {**ALL, **TRIMMING}.items():
            connection.send_command("SCRIPT", "LOAD", text)
            self.digests[name] = connection.read_response().decode()

    def _use(self, connection: RawConnection) -> None:
        helpers: list[gevent.Greenlet[..., None]] = [
            gevent.spawn(self._send_outgoing, connection),
            gevent.spawn(self._check_answers),
        ]
        try:
            while True:
                answer: object
                try:
                    answer = connection.read_response()
                except redis.ResponseError as exc:
                    answer = exc
                self._answered_at = time.monotonic()
                waiting = self._waiting.popleft()
                self._bytes -= waiting.size
                waiting.on_answer(answer)
                if isinstance(answer, redis.exceptions.NoScriptError | redis.ReadOnlyError):
                    raise answer  # the scripts are gone, or this is not the server to write to any more: start again
        finally:
            gevent.killall(helpers, block=False)

    def _send_outgoing(self, connection: RawConnection) -> None:
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

    def _check_answers(self) -> None:
        while True:
            gevent.sleep(ANSWER_TIMEOUT / 5)
            if not self._waiting:
                continue
            if time.monotonic() - max(self._answered_at, self._waiting[0].since) > ANSWER_TIMEOUT:
                self.reset("Redis does not answer")
                return

    def _on_disconnected(self) -> None:
        super()._on_disconnected()
        waiting, self._waiting = self._waiting, deque()
        self._outgoing.clear()
        self._bytes = 0
        for entry in waiting:
            entry.on_answer(
                LogUnavailable("The connection to Redis was lost before it answered.", uncertain=True)
            )


def refused(answer: object) -> LogUnavailable:
    """What an error or an answer that makes no sense means to a client."""
    return LogUnavailable(because("Redis refused", answer))


def checked(answer: object) -> object:
    """Raises LogUnavailable if an answer is an error."""
    if isinstance(answer, redis.ResponseError):
        raise refused(answer)
    if isinstance(answer, LogUnavailable):
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
    """Empty where the server does not tell; then the worst is assumed."""
    connection.send_command("CONFIG", "GET", "appendfsync")
    try:
        found = connection.read_response()
    except redis.ResponseError:
        return ""
    return found[1].decode() if len(found) == 2 else ""
