"""`python -m heliograph_proxy`: run the load balancer, check its configuration, or talk to one that runs.

Exit status 0, or 1 with one line on stderr that says what is wrong, or 2 where the call is not understood.
"""

from __future__ import annotations

import argparse
import gc
import sys

from gevent.hub import get_hub

import heliograph_proxy
from heliograph_proxy import COMPILED, OUTDATED, handover, inherited, loopmonitor, notify, operating
from heliograph_proxy import eventlog as events
from heliograph_proxy.admin.remote import AdminRefused
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.limits import raise_descriptor_limit
from heliograph_proxy.running import RunningProxy
from heliograph_proxy.server import ProxyServer, build
from heliograph_proxy.settings import ProxySettings, environment, load, log_format

DEFAULT_FILE = "conf/proxy.toml"

EPILOG = (
    "Exit status: 0; 1 where something is wrong, which one line says; 2 where the call is not understood."
)


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.command(given))
    except (SettingsError, AdminRefused) as exc:
        print(f"proxy: {exc}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="heliograph-proxy", description="The load balancer.", epilog=EPILOG)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, function, text in (
        ("run", _run, "run in the foreground"),
        ("check", operating.check_file, "check the configuration file"),
        ("status", operating.status, "show a running proxy's backends"),
        ("drain", operating.state, "give a backend nothing new"),
        ("ready", operating.state, "give a backend requests again"),
        ("maint", operating.state, "give a backend nothing new and check it no more"),
        ("weight", operating.weight, "change a backend's weight"),
        ("add", operating.add, "add a backend until the file is read again"),
        ("remove", operating.remove, "drain a backend and forget it"),
        ("reload", operating.reload, "read the configuration file again"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("-c", "--config", default=DEFAULT_FILE, metavar="FILE")
        command.set_defaults(command=function, verb=name)
        if function is not _run:
            command.add_argument("--json", action="store_true", help="print JSON")
        if name in ("drain", "ready", "maint", "weight", "add", "remove"):
            command.add_argument("name", metavar="NAME", help="the backend")
        if name == "weight":
            command.add_argument("weight", metavar="N", type=int)
        if name == "add":
            command.add_argument("address", metavar="ADDRESS", help="host:port or unix:/path")
            command.add_argument("--weight", metavar="N", type=int, default=1)
    return parser


class _Version(argparse.Action):
    """argparse's own takes the text, and so the version, from the start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(message=f"heliograph-proxy {heliograph_proxy.__version__}\n")


def _run(given: argparse.Namespace) -> int:
    surroundings = environment()
    told = handover.from_environment(surroundings)
    sockets = inherited.from_environment(surroundings, told.owned)
    try:
        settings = load(given.config)
        events.as_text = log_format() == "text"
        descriptors = raise_descriptor_limit()
        server = ProxyServer(build(settings), given.config, sockets)
    except SettingsError as exc:
        told.failed(str(exc))
        raise
    told.take_over(server)
    notifier = notify.from_environment(surroundings)
    refused = handover.refusal(surroundings, given.config)
    succession = handover.Handover(server, surroundings, notifier, refused=refused)
    running = RunningProxy(server, succession, notifier)
    running.catch_signals()
    server.start()
    loopmonitor.start(server.runtime.metrics.loop, server.runtime.lag)
    if OUTDATED:
        events.log("kernel-outdated", reason="the compiled modules are of other sources; the sources run")
    _say_limits(settings, descriptors)
    if not told.ready(server):  # the loop has not run since the start: nothing was accepted
        print(f"proxy: process {told.predecessor} goes on without this one", file=sys.stderr)
        return 1
    notifier.send(notify.READY)
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    running.wait_and_stop()
    get_hub().threadpool.join()
    return 0


def _say_limits(settings: ProxySettings, descriptors: int) -> None:
    limits = settings.limits
    print(
        f"proxy: listening on {' and '.join(map(str, settings.listen))}, admin on {settings.admin}; "
        f"kernel: {'compiled' if COMPILED else 'pure'}; limits: {descriptors} descriptors, "
        f"{limits.connections} connections (2 descriptors each when busy), queue {limits.queue}, "
        f"{len(settings.backends)} backends with {sum(one.max_connections for one in settings.backends)} requests "
        f"and {sum(one.max_tunnels for one in settings.backends)} tunnels",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
