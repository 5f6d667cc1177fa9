"""Child processes that end when this process does, even when it is killed. Linux only; standard library only.

Each child leads its own session, so a terminal's Ctrl-C reaches this process alone, and `signal_group` reaches
the child with everything it started.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)

#: The signals that ask a program of ours to end.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

#: What operators know from servers. By themselves these would end us.
WITHOUT_MEANING = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    output: int | tuple[int, int] | None = None,
    umask: int = -1,
    handed: Mapping[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` with no input and, without `output` and `umask`, with ours. `output` is for both, or a pair.
    It has the descriptors `handed`: ours by its numbers. Raises OSError when it cannot be executed.

    Should this process be killed, the kernel sends the child SIGTERM: the masters of Gunicorn and nginx then take
    their workers with them, which a SIGKILL would leave behind.
    """
    parent = os.getpid()
    out, errors = output if isinstance(output, tuple) else (output, output)
    placed = handed or {}

    def end_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before the line above
            os._exit(1)

    def prepare() -> None:
        end_with_parent()
        _place(placed)

    with _occupied(placed):
        return subprocess.Popen(
            list(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
            umask=umask,
            pass_fds=tuple(placed),
            preexec_fn=prepare,  # noqa: PLW1509  we have no threads, and prctl has to run in the child
        )


def _place(placed: Mapping[int, int]) -> None:
    """Give descriptors of this process other numbers, which others of them may have."""
    copies = {
        number: fcntl.fcntl(descriptor, fcntl.F_DUPFD, max(placed) + 1)
        for number, descriptor in placed.items()
    }
    for number, copy in copies.items():
        os.dup2(copy, number)


@contextlib.contextmanager
def _occupied(placed: Mapping[int, int]) -> Iterator[None]:
    """Meanwhile no new descriptor gets one of these numbers, such as subprocess's own, which the child needs to its end."""
    with contextlib.ExitStack() as filled:
        while placed:
            one = os.open(os.devnull, os.O_RDONLY)
            filled.callback(os.close, one)
            if one > max(placed):
                break
        yield


def has_terminal() -> bool:
    """Whether this process has a controlling terminal, and that was not closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def signal_group(pid: int, signum: int) -> bool:
    """Send a signal to the whole group that `pid` leads or led; whether it had any process."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signum)
        return True
    return False


@contextlib.contextmanager
def background(
    command: Sequence[str],
    *,
    cwd: Path,
    grace: float,
    environment: Mapping[str, str] | None = None,
    output: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block runs; the block waits for it. `output` as for `spawn`.

    When the block ends by an exception, as when this process is to end, the command gets a Ctrl-C, `grace` seconds to
    clean up, and is killed then.
    """
    child = spawn(command, cwd=cwd, environment=environment, output=output)
    try:
        yield child
    except BaseException:
        signal_group(child.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
        signal_group(child.pid, signal.SIGKILL)
        child.wait()
        raise


def run(
    command: Sequence[str], *, cwd: Path, grace: float, environment: Mapping[str, str] | None = None
) -> int:
    """Run a command to its end and return its status."""
    with background(command, cwd=cwd, grace=grace, environment=environment) as child:
        return child.wait()


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Meanwhile a stop signal raises SystemExit, so that what is under way is cleaned up; others are ignored with a line."""
    before = {signum: signal.getsignal(signum) for signum in (*STOP_SIGNALS, *WITHOUT_MEANING)}
    for signum, handler in before.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(signum, _leave if signum in STOP_SIGNALS else _ignore)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _ignore(signum: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{signal.Signals(signum).name}: ignored, it has no meaning here\n".encode())


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)
