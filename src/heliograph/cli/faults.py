"""What may be wrong with this machine, this folder and its settings, and how it is mended: one function for each kind of fault."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from heliograph.channels.engines import ENGINES, require_package
from heliograph.channels.errors import LocationError
from heliograph.channels.options import ChannelsOptions
from heliograph.cli.servers import CannotReach, clock_difference
from heliograph.given import PREFIX, SettingError
from heliograph.request.options import RequestOptions
from heliograph.stack import folder, ports, reading
from heliograph.stack.plan import Layout, Project

#: Descriptors of a process: two for each client at proxy and nginx, and each of 1000 requests in flight has one at its instance.
MIN_DESCRIPTORS = 4096

#: Seconds by which clocks may differ: half of what tokens are allowed.
MAX_DIFFERENCE = 5.0

#: As long as an application has to start.
LOADING_PATIENCE = 120.0


@dataclass(frozen=True)
class Fault:
    """`problem` names it in one line, `remedy` tells what to do."""

    check: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Examined:
    """A project: its folder and its settings, without those that are wrong."""

    root: Path
    environ: Mapping[str, str]
    layout: Layout
    project: Project

    @property
    def state(self) -> Path:
        return folder.of(self.root, self.environ)


Found = Iterator[tuple[str, str]]


def taken_ports(project: Examined) -> Found:
    """Not of a project that runs: they are its own."""
    if folder.running(project.state):
        return
    wanted = reading.wanted(project.layout)
    found = [told for want in wanted if (told := _refused([want]))]
    if not found and (told := _refused(wanted)):
        found = [told]
    for told in found:
        yield told, "stop what listens there, or set the variable that the line names to another port"


def _refused(wanted: list[ports.Wanted]) -> str:
    try:
        ports.check(wanted)
    except ports.PortError as exc:
        return str(exc)
    return ""


def missing_nginx(project: Examined) -> Found:
    if project.layout.nginx is None and project.layout.settings.nginx != "0":
        yield (
            "there is no nginx binary here, so the proxy would stand in front",
            "install nginx, or `pip install 'heliograph[nginx]'`; HELIOGRAPH_NGINX=0 leaves it out knowingly",
        )


def few_descriptors(_: Examined) -> Found:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < MIN_DESCRIPTORS:
        yield (
            f"a process may open {hard} files at most (ulimit -Hn), and a stack needs {MIN_DESCRIPTORS} to serve well",
            "raise the limit: `nofile` in /etc/security/limits.conf, LimitNOFILE= of a systemd unit, --ulimit of a container",
        )


def engine(project: Examined) -> Found:
    location = ChannelsOptions.read(project.environ).channels
    try:
        require_package(location)
    except LocationError as exc:
        extra = ENGINES[location.scheme].extra
        yield f"HELIOGRAPH_CHANNELS is {location.shown}: {exc}", f"pip install 'heliograph[{extra}]'"
        return
    try:
        difference = clock_difference(location)
    except CannotReach as exc:
        yield (
            f"the server of HELIOGRAPH_CHANNELS, {location.shown}, cannot be reached: {exc}",
            "start it, or correct its host, port, user and password in HELIOGRAPH_CHANNELS",
        )
        return
    if abs(difference) > MAX_DIFFERENCE:
        how = "behind" if difference > 0 else "ahead of"
        yield (
            f"the clock of this machine is {abs(difference):.0f} s {how} that of {location.shown}",
            "set both by NTP: `timedatectl set-ntp true`, or start chrony",
        )


def unwritable_folders(project: Examined) -> Found:
    spool = RequestOptions.definitions["spool"]
    wanted = {"HELIOGRAPH_STATE": project.state, spool.name: project.root / spool.read(project.environ)}
    location = ChannelsOptions.read(project.environ).channels
    if location.scheme == "sqlite":
        wanted["HELIOGRAPH_CHANNELS"] = (project.root / location.path).parent
    told = set()
    for name, path in wanted.items():
        if (why := _unwritable(path)) and why not in told:
            told.add(why)
            yield (
                f"the folder {path} ({name}) cannot be used: {why}",
                f"make it writable for this user, or set {name} to another folder",
            )


def _unwritable(path: Path) -> str:
    """Why no file can be made in a folder, or the folder itself not be made. Nothing is left behind."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return f"{existing} is no folder"
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return f"{existing} is not writable for this user"
    if existing == path and existing.stat().st_uid != os.geteuid():
        return f"{existing} belongs to another user"
    try:
        os.close(os.open(existing, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        return f"in {existing} no file can be made ({exc.strerror})"
    return ""


def application(project: Examined) -> Found:
    if project.layout.settings.command:  # another server loads it
        return
    app, path = project.project.app, project.project.import_path
    environ = {**project.environ, **({"PYTHONPATH": path} if path else {})}
    command = [sys.executable, "-P", "-m", "heliograph.cli.load", app]
    try:
        ended = subprocess.run(
            command,
            cwd=project.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LOADING_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"it is not imported after {LOADING_PATIENCE:g} s"
    else:
        lines = ended.stderr.strip().splitlines()
        why = "" if not ended.returncode else lines[-1] if lines else f"status {ended.returncode}"
    if why:
        yield (
            f"the application {app} cannot be loaded: {why.removeprefix('The application cannot be loaded: ')}",
            f"`heliograph run {app}` shows the traceback; install what it needs for {sys.executable}",
        )


#: By the name that a report gives to each.
CHECKS: dict[str, Callable[[Examined], Found]] = {
    "ports": taken_ports,
    "nginx": missing_nginx,
    "descriptors": few_descriptors,
    "engine": engine,
    "folders": unwritable_folders,
    "application": application,
}


def examine(project: Examined) -> Iterator[tuple[str, list[Fault]]]:
    """Each check with what it has found."""
    for name, check in CHECKS.items():
        yield name, [Fault(name, *found) for found in check(project)]


#: How wrong settings are mended, by their keys.
REMEDIES = {
    "auth_secret": f"`{sys.executable} -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one",
    "nginx": "install nginx, or `pip install 'heliograph[nginx]'`",
    **dict.fromkeys(("tls_cert", "tls_key"), "set both to files in PEM that this user can read, or neither"),
    "static": "make the folder, or correct HELIOGRAPH_STATIC: `/url/=folder`, relative to the project",
}


def of_setting(error: SettingError) -> Fault:
    """What is wrong with a setting."""
    key = error.name.lower().rpartition(" ")[2].removeprefix(PREFIX.lower())
    return Fault("settings", str(error), REMEDIES.get(key, "`heliograph settings` tells what each takes"))
