"""Channels on the command line.

    heliograph-client subscribe URL CHANNEL … [--after CURSOR|earliest] [--count N] [--token-file FILE]
    heliograph-client publish URL CHANNEL MESSAGE [--json] [--key KEY] [--token-file FILE]

`subscribe` prints one line of JSON for each message, for lost history and for states of the connection, until it is interrupted
(status 130), and then writes to stderr the cursor to continue from. Errors: one line on stderr, status 1; wrong usage: 2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heliograph_client import Client, ClientError, Credentials, Event, Lost, Message, State, Subscription

#: What shells add to the number of the signal that ended a program.
SHELL = 128

#: What operators know from servers.
WITHOUT_MEANING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)

#: Seconds between checks for a signal to stop.
STOP_CHECK = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():  # others may not
        for number in WITHOUT_MEANING:
            signal.signal(number, _ignore)
    try:
        with Client(options.url, _credentials(options.token_file)) as client:
            return int(options.run(client, options))
    except (ClientError, ValueError, OSError, RecursionError) as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return SHELL + signal.SIGINT


def _ignore(number: int, _: object) -> None:
    """With a line: by itself the signal would end us. Written at once, since it may come while something is printed."""
    with contextlib.suppress(OSError):
        os.write(2, f"{signal.Signals(number).name}: ignored, it has no meaning here\n".encode())


class StopSignal:
    """A signal to stop is checked between events, so that each event taken is printed. A second signal interrupts any wait."""

    def __init__(self) -> None:
        self.by: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._take)

    def _take(self, number: int, _: object) -> None:
        if self.by is not None:
            raise KeyboardInterrupt
        self.by = number


def subscribe(client: Client, options: argparse.Namespace) -> int:
    with client.subscribe(*options.channel, after=options.after) as subscription:
        stop = StopSignal()
        try:
            status = _print(subscription, stop, options.count)
        except BrokenPipeError:
            # The reader of the pipe has gone: an ordinary end. How much it has read cannot be known, so no cursor is printed.
            # The interpreter must not try to flush into the pipe again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except ClientError:
            _print_cursors(subscription)
            raise
        _print_cursors(subscription)
        return status


def _print_cursors(subscription: Subscription) -> None:
    for channel, cursor in subscription.cursors.items():
        print(f"{channel}: go on with --after {cursor}", file=sys.stderr)


def _print(subscription: Subscription, stop: StopSignal, count: int | None) -> int:
    while stop.by is None:
        try:
            event = subscription.receive(STOP_CHECK)
        except TimeoutError:
            continue
        print(json.dumps(_shown(event), default=str), flush=True)
        if count is not None and isinstance(event, Message):
            count -= 1
            if count <= 0:
                return 0
    return SHELL + stop.by


def publish(client: Client, options: argparse.Namespace) -> int:
    data = json.loads(options.message) if options.json else options.message
    published = client.publish(options.channel, data, key=options.key)
    cursor = published.cursor
    answer = {
        "channel": options.channel,
        "epoch": cursor.epoch,
        "offset": cursor.offset,
        "time": published.time,
    }
    print(json.dumps(answer))
    return 0


def _shown(event: Event) -> dict[str, Any]:
    shown: dict[str, Any] = {"channel": event.channel, "cursor": str(event.cursor) if event.cursor else None}
    if isinstance(event, Message):
        return {"type": "message", **shown, "time": event.time, "data": event.data}
    if isinstance(event, Lost):
        return {"type": "lost", **shown}
    assert isinstance(event, State)
    shown |= {"type": "state", "state": event.status.value}
    if event.wait is not None:
        shown |= {"reason": event.reason, "wait": round(event.wait, 3)}
    return shown


def _credentials(file: Path | None) -> Credentials:
    """The file is read for each connection, so that it may be renewed. A token does not belong on a command line, which
    other users of the machine can read."""
    if file is None:
        return Credentials()
    file.read_text()  # raises OSError at once, not behind attempts
    return Credentials(token=lambda: file.read_text().strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heliograph-client", description="Subscribe to channels and publish."
    )
    commands = parser.add_subparsers(required=True, metavar="subscribe|publish")
    one = commands.add_parser("subscribe", help="print what is published, and resume after interruptions")
    one.add_argument("url", help="of the service, such as http://127.0.0.1:8080")
    one.add_argument("channel", nargs="+")
    one.add_argument(
        "--after", metavar="CURSOR", help="epoch:offset, or earliest; without: what comes from now on"
    )
    one.add_argument("--count", type=int, help="end after so many messages")
    one.set_defaults(run=subscribe)
    other = commands.add_parser("publish", help="publish one message, once")
    other.add_argument("url")
    other.add_argument("channel")
    other.add_argument("message")
    other.add_argument("--json", action="store_true", help="the message is JSON, not text")
    other.add_argument("--key", help="idempotency key; the same again publishes nothing")
    other.set_defaults(run=publish)
    for command in (one, other):
        command.add_argument("--token-file", type=Path, help="the file that has the token")
    return parser


if __name__ == "__main__":
    sys.exit(main())
