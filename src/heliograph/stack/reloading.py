"""Applies changed settings and files to the stack that runs, for `heliograph reload`.

The command asks for three things, one after the other: `check` reads and checks everything, and says what has changed; `renew`
gives one instance its new settings, by a new process; `apply` gives proxy and nginx theirs. What is wrong is found by the check, or
by the first instance that does not become ready, and then nothing has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heliograph.request.options import RequestOptions
from heliograph.stack import admin, sources
from heliograph.stack.checking import DRAFT, CannotReload, check
from heliograph.stack.child import Child
from heliograph.stack.children import spawn
from heliograph.stack.folder import Folder
from heliograph.stack.notify import ServiceManager
from heliograph.stack.options import RENAMED, StackOptions, unknown_names
from heliograph.stack.part import Part
from heliograph.stack.plan import PartKind, Plan
from heliograph.stack.reading import NGINX_CONF, PROXY_TOML, Configured, Refusal
from heliograph.stack.relay import PartOutput, StackLog
from heliograph.stack.restarts import needs_restart

#: What only the manager, proxy and nginx look at: another value is no reason for new instances.
OF_THE_MANAGER = frozenset(one.name for one in StackOptions.definitions.values()) | RENAMED.keys()

#: The name of the command's lines in the log, where a signal has called it.
NAME = "reload"


@dataclass(frozen=True)
class Start:
    """What a part's next process is started with."""

    plan: Plan
    environment: Mapping[str, str]

    @property
    def read(self) -> tuple[object, ...]:
        """All of it that an instance looks at."""
        variables = {**self.environment, **self.plan.extra}
        own = {name: value for name, value in variables.items() if name not in OF_THE_MANAGER}
        return self.plan.command, self.plan.health, own


@dataclass(frozen=True)
class Revision:
    """A stack as it is to be: what was read, the texts of proxy and nginx, their other files, and how each part starts."""

    configured: Configured
    texts: Mapping[str, str]
    files: Mapping[str, bytes]
    starts: Mapping[str, Start]

    def layers(self, running: Revision) -> list[str]:
        """Of proxy and nginx those that are to read their configurations again, by the names of these."""
        found = [name for name, text in self.texts.items() if text != running.texts.get(name)]
        others = self.files != running.files and NGINX_CONF in self.texts and NGINX_CONF not in found
        return [*found, *([NGINX_CONF] if others else [])]


class Reloading:
    """Of one stack."""

    def __init__(
        self,
        claimed: Folder,
        configured: Configured,
        read: Callable[[], Configured],
        descriptors: int,
        service: ServiceManager,
        log: StackLog,
    ) -> None:
        self._folder = claimed
        self._read = read
        self._descriptors = descriptors
        self._service = service
        self._log = log
        self._running = self._revision(configured)
        self._starts = dict(self._running.starts)
        self._checked: Revision | None = None
        self._under_way = 0
        self._stopping = False
        self._command: asyncio.Task[None] | None = None

    async def check(self, parts: Sequence[Part]) -> dict[str, object]:
        """What is to be done; nothing is changed. Raises CannotReload."""
        with self._telling_systemd():
            self._checked = None
            try:
                new = self._read()
                if why := needs_restart(self._running.configured, new):
                    raise CannotReload(why)
                RequestOptions.read(new.environ).require()
                wanted = self._revision(new)
                layers = wanted.layers(self._running)
                with self._drafts(wanted, layers):
                    await check(new, self._folder.path, layers)
            except Refusal as exc:
                raise CannotReload(str(exc)) from exc
            self._checked = wanted
        return {
            "instances": [part.plan.name for part in parts if self._differs(part, wanted)],
            "layers": [name.partition(".")[0] for name in layers],
            "warnings": unknown_names(new.environ),
        }

    def _differs(self, part: Part, wanted: Revision) -> bool:
        name = part.plan.name
        return part.kind is PartKind.INSTANCE and wanted.starts[name].read != self._starts[name].read

    async def renew(self, part: Part) -> None:
        """Have an instance run with what was checked; where it cannot, it stays as it is. Raises CannotReplace.

        One that is down, or has not answered yet, is started with that.
        """
        name, before, start = part.plan.name, part.child, self._last_check().starts[part.plan.name]
        runs = before is not None and not before.ended.done()
        replaces = runs and before is not None and before.answered and start.plan.beside
        part.change(start.plan, start.environment)
        try:
            if replaces:
                await part.replace()
            elif runs:
                part.present.stop_first()
            else:
                part.renew()
        finally:
            if replaces and part.child is before:
                part.change(self._starts[name].plan, self._starts[name].environment)
            else:
                self._starts[name] = start

    async def apply(self, parts: Sequence[Part]) -> None:
        """Have proxy and nginx run with what was checked. Raises CannotReload."""
        wanted = self._last_check()
        with self._telling_systemd():
            layers = wanted.layers(self._running)
            if PROXY_TOML in layers:
                await self._reload_proxy(wanted)
            if NGINX_CONF in layers:
                self._reload_nginx(wanted, parts)
            for part in parts:
                start = wanted.starts[part.plan.name]
                part.change(start.plan, start.environment)
            self._starts = dict(wanted.starts)
            self._running, self._checked = wanted, None

    async def _reload_proxy(self, wanted: Revision) -> None:
        """It reads its file and says what it thinks of that."""
        file = self._folder.path / PROXY_TOML
        before, proxy = file.read_text(), admin.listener(file)
        self._folder.write(PROXY_TOML, wanted.texts[PROXY_TOML])
        try:
            await admin.post(proxy, "/reload")
        except BaseException as exc:
            self._folder.write(PROXY_TOML, before)
            if isinstance(exc, admin.AdminError):
                raise CannotReload(f"the proxy stays as it is: {exc}") from exc
            raise

    def _reload_nginx(self, wanted: Revision, parts: Sequence[Part]) -> None:
        """New workers take over from the old ones, which finish what they have."""
        self._folder.write(NGINX_CONF, wanted.texts[NGINX_CONF])
        for part in parts:
            if part.kind is PartKind.NGINX and part.child:
                part.child.send(signal.SIGHUP)

    def _last_check(self) -> Revision:
        if self._checked is None:
            raise CannotReload("nothing was checked that could be applied")
        return self._checked

    def _revision(self, configured: Configured) -> Revision:
        """Raises what makes a Refusal."""
        var = self._folder.path
        plans = [plan for stage in configured.stages(var) for plan in stage]
        environment = configured.inherited
        return Revision(
            configured,
            configured.rendered(var, self._descriptors),
            _files_of_nginx(configured),
            {plan.name: Start(plan, environment) for plan in plans},
        )

    @contextlib.contextmanager
    def _drafts(self, wanted: Revision, names: Sequence[str]) -> Iterator[None]:
        """Meanwhile new configurations lie beside the present ones."""
        try:
            for name in names:
                self._folder.write(f"{name}{DRAFT}", wanted.texts[name])
            yield
        finally:
            for name in names:
                (self._folder.path / f"{name}{DRAFT}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _telling_systemd(self) -> Iterator[None]:
        """That the stack is reloaded, and once for a reload that is part of another."""
        self._under_way += 1
        if self._under_way == 1:
            self._service.reloading()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way and not self._stopping:
                self._service.ready()

    def by_signal(self) -> None:
        """Run the command, which tells in the log what it does."""
        if self._command and not self._command.done():
            self._log.say("SIGHUP: ignored, a reload is going on")
            return
        self._log.say("SIGHUP: settings and files are read again")
        self._command = asyncio.create_task(self._run_command())

    async def _run_command(self) -> None:
        command = (sys.executable, "-P", "-m", "heliograph.cli", NAME, "--state", str(self._folder.path))
        output = PartOutput(self._log, NAME, held=False, requests=False)
        with self._telling_systemd():
            try:
                root = self._running.configured.project.root
                process = spawn(
                    command,
                    cwd=root,
                    environment=self._running.configured.inherited,
                    output=output.descriptors,
                )
            except OSError as exc:
                output.close()
                self._log.say(f"heliograph reload cannot be executed: {exc}")
                return
            output.started()
            child = Child(process, output)
            try:
                await child.wait()
            finally:
                child.send(signal.SIGKILL)
                await child.wait()
                output.read_all()

    async def stop(self) -> None:
        """End a command that a signal has called. systemd hears no more of reloads: it was told that the stack stops."""
        self._stopping = True
        if self._command:
            self._command.cancel()
            await asyncio.gather(self._command, return_exceptions=True)


def _files_of_nginx(configured: Configured) -> dict[str, bytes]:
    """What nginx reads beside its configuration, each file by its content."""
    if not configured.layout.nginx:
        return {}
    certificate = configured.layout.certificate
    paths: list[Path] = [Path(certificate.file), Path(certificate.key)] if certificate else []
    for folder in (configured.project.root / sources.ADDITIONS, configured.found.snippets):
        paths += sorted(folder.glob("*.conf"))
    return {os.fspath(path): hashlib.sha256(path.read_bytes()).digest() for path in paths}
