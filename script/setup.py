"""Makes the environment that a script needs, unless it is there, then becomes a command of its Python.

    python script/setup.py app|dev|bench -- ARGUMENTS…

Runs on a bare Python 3.11 from the checkout's root, with the standard library only. An environment lies in `.venvs`
under a name made from everything that decides its content, and is never changed once it is complete: what runs in it is
left in peace by the set-ups that follow. `.venv` is a link to the one used last. Set-ups that start at once in one
checkout wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))  # the library is not installed yet

from heliograph.stack import children  # noqa: E402

#: Installed into a separate environment where the PATH has none, or one that is older than UV_LEAST.
UV, UV_LEAST = "0.13.9", (0, 13)

#: What an installer gets to clean up after a Ctrl-C, before it is killed.
GRACE = 5.0

#: Environments that are kept, the last used ones first, beside those in use.
KEPT = 6

#: Written last into an environment that is complete; its time is that of the last use.
COMPLETE = "heliograph-complete"

#: The distributions with optional extensions. In an editable installation an edited module would run beside the twin
#: compiled before, so the profiles that measure and serve have them as wheels.
BUILT = {"heliograph-proxy": "proxy", "wirecodes": "codecs"}

#: What no build reads, but leaves behind.
_LEFT_BEHIND = re.compile(r"__pycache__|\.egg-info|\.(pyc|c|so)$")


@dataclass(frozen=True)
class Profile:
    """A kind of environment: a dependency group of pyproject.toml, and whether the distributions of BUILT are wheels."""

    group: str
    built: bool


PROFILES = {"app": Profile("app", True), "dev": Profile("dev", False), "bench": Profile("dev", True)}


class SetupError(Exception):
    """The set-up failed. Its text is one line."""


def inputs(root: Path, profile: Profile) -> Iterator[Path]:
    """The files that decide what is installed."""
    for folder in (".", "clients/python", *BUILT.values()):
        yield from (root / folder / name for name in ("pyproject.toml", "setup.py", "VERSION"))
    yield root / "uv.lock"
    for folder in BUILT.values():
        patterns = ("*",) if profile.built else ("*.pyx", "*.pxd", "*.h")  # an editable one is compiled, too
        for pattern in patterns:
            yield from sorted((root / folder / "src").rglob(pattern))


def key(root: Path, profile: Profile, extension: str, python: str = sys.version) -> str:
    """The name of the environment for what the checkout and the version of Python are now."""
    total = hashlib.sha256(f"{python}\n{profile}\n{extension}\n".encode())
    for path in inputs(root, profile):
        if path.is_file() and not _LEFT_BEHIND.search(str(path.relative_to(root))):
            content = path.read_bytes()
            total.update(f"{path.relative_to(root)} {len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


def run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a command to its end. Raises SetupError when it fails."""
    status = children.run(command, cwd=ROOT, grace=GRACE, environment=environment)
    if status:
        shown = " ".join([Path(command[0]).name, *command[1:]])
        raise SetupError(f"{shown} ended with status {status}; its lines above say why")


def make(venv: Path, profile: Profile, environment: Mapping[str, str]) -> None:
    """Install everything into a new environment; when that fails or is broken off, nothing is left of it."""
    say(f"Setting up {venv.relative_to(ROOT)} with Python {sys.version.split()[0]} (at first some minutes)")
    begun = time.monotonic()
    shutil.rmtree(venv, ignore_errors=True)
    for folder in (".", *BUILT.values()):  # setuptools would take modules that are gone from there
        shutil.rmtree(ROOT / folder / "build", ignore_errors=True)
    try:
        install(venv, profile, environment)
        (venv / COMPLETE).touch()
    except BaseException:
        shutil.rmtree(venv, ignore_errors=True)
        raise
    say(f"Set up in {time.monotonic() - begun:.0f} s")


def install(venv: Path, profile: Profile, environment: Mapping[str, str]) -> None:
    try:
        uv = find_uv(environment)
    except SetupError as exc:
        if profile.group != "app":
            raise
        say(f"uv cannot be had, so pip installs requirements.txt: {exc}")
        with_pip(venv, environment)
        return
    sync = [uv, "sync", "--quiet", "--frozen", "--no-default-groups", "--group", profile.group]
    if environment.get("PYTHONDONTWRITEBYTECODE"):  # else each process would compile all that it imports
        sync.append("--compile-bytecode")
    if profile.built:
        sync += [option for name in BUILT for option in ("--no-editable-package", name)]
    place = {"UV_PROJECT_ENVIRONMENT": str(venv), "UV_PYTHON": base_python()}
    run(sync, {**environment, **place})


def base_python() -> str:
    """Our Python, but not by way of the environment we may run in, which does not stay for ever."""
    base = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    return str(base) if base.exists() else sys.executable


def with_pip(venv: Path, environment: Mapping[str, str]) -> None:
    run([sys.executable, "-m", "venv", str(venv)], environment)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "-r", "requirements.txt"], environment)
    run([*pip, "--no-deps", "--editable", "."], environment)  # requirements.txt has installed a copy


def find_uv(environment: Mapping[str, str]) -> str:
    """The program uv, which is installed where there is none. Raises SetupError."""
    found = shutil.which("uv")
    if found and uv_version(found) >= UV_LEAST:
        return found
    venv = ROOT / ".venvs" / f"uv-{UV}"
    if not (venv / COMPLETE).exists() or not uv_version(str(venv / "bin/uv")):
        say(f"Installing uv {UV}")
        run([sys.executable, "-m", "venv", "--clear", str(venv)], environment)
        pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, f"uv=={UV}"], environment)
        (venv / COMPLETE).touch()
    return str(venv / "bin/uv")


def uv_version(program: str) -> tuple[int, ...]:
    """Nothing if it does not run."""
    with contextlib.suppress(OSError):
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if match := re.match(r"uv (\d+)\.(\d+)\.(\d+)", told):
            return tuple(int(number) for number in match.groups())
    return ()


def link(venv: Path) -> None:
    """Let `.venv` lead to this one, unless it is a folder that somebody else made."""
    shown, draft = ROOT / ".venv", ROOT / ".venvs" / "link"
    if shown.is_dir() and not shown.is_symlink():
        return
    draft.unlink(missing_ok=True)
    draft.symlink_to(venv.relative_to(ROOT))
    draft.replace(shown)


def hold(venv: Path) -> int:
    """Mark an environment as used now, until the process that we become ends: it inherits the descriptor."""
    os.utime(venv / COMPLETE)
    held = os.open(venv, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    os.set_inheritable(held, True)
    return held


def prune() -> None:
    """Remove the environments that were not used for longest, except those in use."""
    complete = sorted(
        (ROOT / ".venvs").glob(f"*/{COMPLETE}"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for old in complete[KEPT:]:
        lock = os.open(old.parent, os.O_RDONLY)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            old.unlink()
            shutil.rmtree(old.parent, ignore_errors=True)
        os.close(lock)


def prepare(profile: Profile, environment: Mapping[str, str]) -> Path:
    """The Python of an environment that has everything for `profile`."""
    extension = environment.get("BUILD_EXTENSION", "")
    if extension not in ("", "yes", "no"):
        raise SetupError(f"BUILD_EXTENSION={extension}: must be yes, no or not set")
    with exclusive():
        venv = ROOT / ".venvs" / key(ROOT, profile, extension)
        if not (venv / COMPLETE).exists() or not os.access(venv / "bin/python", os.X_OK):
            make(venv, profile, environment)
        hold(venv)
        link(venv)
        prune()
    return venv / "bin/python"


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    (ROOT / ".venvs").mkdir(exist_ok=True)
    lock = os.open(ROOT / ".venvs", os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting: another set-up runs in this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> NoReturn:
    name, _, *command = arguments
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "UV_PYTHON")}
    try:
        with children.ending_on_signals():
            python = prepare(PROFILES[name], environment)
    except (OSError, SetupError) as exc:
        sys.exit(f"The set-up failed: {exc}")
    os.execv(python, [str(python), *command])


if __name__ == "__main__":
    main(sys.argv[1:])
