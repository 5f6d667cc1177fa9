"""The commands of `heliograph-proxy` beside `run`: check a file, or talk to the proxy that runs with it.

Each takes the arguments as argparse has read them and returns the exit status.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import quote

from heliograph_proxy.admin.remote import ask, table
from heliograph_proxy.check import check
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import load


def check_file(given: argparse.Namespace) -> int:
    errors, warnings = check(given.config)
    if given.json:
        found = {"file": given.config, "errors": _described(errors), "warnings": _described(warnings)}
        print(json.dumps(found, indent=1))
        return 1 if errors else 0
    for error in errors:
        print(f"proxy: {error}", file=sys.stderr)
    for warning in warnings:
        print(f"proxy: warning: {warning}", file=sys.stderr)
    if not errors:
        print(f"{given.config}: ok, {len(load(given.config).backends)} backends")
    return 1 if errors else 0


def _described(found: list[SettingsError]) -> list[dict[str, str]]:
    return [{"key": one.key, "text": one.allowed} for one in found]


def status(given: argparse.Namespace) -> int:
    return _show_status(given, ask(load(given.config), "GET", "/status"))


def reload(given: argparse.Namespace) -> int:
    return _show_status(given, ask(load(given.config), "POST", "/reload", {}))


def state(given: argparse.Namespace) -> int:
    return _change(given, "state", given.verb)


def weight(given: argparse.Namespace) -> int:
    return _change(given, "weight", given.weight)


def add(given: argparse.Namespace) -> int:
    wanted = {"name": given.name, "address": given.address, "weight": given.weight}
    return _show(given, ask(load(given.config), "POST", "/backends", wanted))


def remove(given: argparse.Namespace) -> int:
    ask(load(given.config), "DELETE", _path(given), {})
    print(json.dumps({"name": given.name, "removed": True}) if given.json else f"{given.name}: removed")
    return 0


def _path(given: argparse.Namespace) -> str:
    return f"/backends/{quote(given.name, safe='')}"


def _change(given: argparse.Namespace, key: str, value: str | int) -> int:
    return _show(given, ask(load(given.config), "PUT", f"{_path(given)}/{key}", {key: value}))


def _show(given: argparse.Namespace, backend: dict[str, Any]) -> int:
    text = f"{backend['name']}: {backend['state']}, weight {backend['weight']}, {backend['active']} in flight"
    print(json.dumps(backend, indent=1) if given.json else text)
    return 0


def _show_status(given: argparse.Namespace, found: dict[str, Any]) -> int:
    print(json.dumps(found, indent=1) if given.json else table(found))
    return 0
