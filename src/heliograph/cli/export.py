"""`heliograph export KIND`: files to deploy this project with, from its settings."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from heliograph import __version__
from heliograph.cli import KINDS
from heliograph.cli.arguments import CannotAct, CommandParser, ending_in_one_line
from heliograph.cli.project import here, layout, main_name
from heliograph.defaults import STATE_VARIABLE, state_folder
from heliograph.given import PREFIX, Given, where
from heliograph.request import options as request_options
from heliograph.settings import Setting, environment
from heliograph.stack import deployment, options, reading, render, sources
from heliograph.stack.plan import GUNICORN_CONFIGURATION, Layout

#: Descriptors of a machine that is not this one: what the configuration says stays.
UNBOUNDED = 1 << 30

#: Settings that the files of a deployment set themselves.
OWN = {STATE_VARIABLE, request_options.RequestOptions.definitions["log"].name}

INSTANCES, CERTIFICATE = (options.StackOptions.definitions[name].name for name in ("instances", "tls_cert"))

#: Files by which pip knows what a project needs, and how it is told; the first that is there counts.
REQUIREMENTS = {"requirements.txt": ("-r", "requirements.txt"), "pyproject.toml": (".",)}


def main(arguments: Sequence[str]) -> int:
    parser = CommandParser(
        "export", "Writes files to deploy this project with. It never replaces a file that differs."
    )
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="where to write them; by default here"
    )
    given = parser.takes_json().parse_args(arguments)
    if given.kind not in KINDS:
        parser.error(f"{given.kind!r} is none of {', '.join(KINDS)}")
    with ending_in_one_line():
        written = _write(Path(given.output), _files(given.kind))
    print(json.dumps({"files": written}, indent=1) if given.json else "\n".join(written))
    return 0


def _files(kind: str) -> dict[str, str]:
    """Their texts by their paths."""
    root, environ = here(), environment()
    try:
        return MAKERS[kind](root, environ, layout(root, environ))
    except render.RenderError as exc:
        raise CannotAct(str(exc)) from exc


def _nginx(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    source = sources.find(root, environ)
    front = reading.front_of(found, state_folder(environ), UNBOUNDED)
    pattern = sources.text_of(source.nginx)
    text = render.nginx_conf(pattern, replace(front, as_root=False))
    if own := re.search(r"^error_log\s.*", pattern, re.MULTILINE):  # under a manager it is the terminal
        line = re.sub(
            r"(?<=\s)var/[^\s;]*", lambda path: render.quoted(front.var + path[0].removeprefix("var")), own[0]
        )
        text = re.sub(r"^error_log\s.*", lambda _: line, text, count=1, flags=re.MULTILINE)
    files = {sources.NGINX: text}
    for snippet in sorted(source.snippets.glob("*.conf")):
        files[f"nginx/snippets/{snippet.name}"] = snippet.read_text()
    for addition in sorted((root / sources.ADDITIONS).glob("*.conf")):
        files[f"{sources.ADDITIONS}/{addition.name}"] = addition.read_text()
    return files


def _procfile(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    if found.settings.command:
        raise CannotAct("a Procfile starts instances by Gunicorn; HELIOGRAPH_COMMAND names another server")
    lines = [
        f"web: gunicorn {shlex.join([*_options(found), main_name(environ)])}",
        f"proxy: heliograph-proxy run -c {sources.PROXY}",
    ]
    files = {}
    if not (root / sources.PROXY).is_file():
        pattern = sources.text_of(sources.find(root, environ).proxy)
        settings = found.settings
        text = render.proxy_toml(
            pattern,
            found.proxy_listens,
            found.admin_at,
            found.backends,
            settings.trusted,
        )
        text = render.for_stack(text, found.private, settings.log)
        files[sources.PROXY] = deployment.without_secrets(text)
    if found.settings.nginx != "0":
        lines.append(f"nginx: nginx -p . -c {sources.NGINX} -g 'daemon off;'")
        files |= _nginx(root, environ, found)
    return {"Procfile": "\n".join(lines) + "\n", **files}


def _options(found: Layout) -> list[str]:
    """Gunicorn's, beside the address and the application."""
    searched = ",".join(found.settings.pythonpath)
    return ["-c", GUNICORN_CONFIGURATION, *(["--pythonpath", searched] if searched else [])]


def _deployment(root: Path, environ: Mapping[str, str], found: Layout) -> deployment.Deployment:
    settings = found.settings
    given = _set(environ)
    script = Path(sys.executable).parent / "heliograph"
    return deployment.Deployment(
        root=str(root),
        app=main_name(environ),
        port=settings.port,
        tls_port=settings.tls_port if found.certificate else None,
        port_base=settings.port_base,
        heliograph=[str(script)] if script.is_file() else [sys.executable, "-m", "heliograph.cli"],
        gunicorn=[] if settings.command else [*reading.gunicorn(), *_options(found)],
        python=".".join(map(str, sys.version_info[:2])),
        release=__version__,
        admin=found.admin_at,
        instances=list(found.backends.values()),
        requirements=next((how for file, how in REQUIREMENTS.items() if _describes(root / file)), ()),
        hidden=hidden(root, state_folder(environ)),
        variables={
            one.name: environ[one.name] for one in given if one.name.startswith(PREFIX) and not one.secret
        },
        secrets=[one.name for one in given if one.secret],
        pod_instances=settings.instances if environ.get(INSTANCES, "").strip() else deployment.POD_INSTANCES,
        admin_token=bool(_document(sources.find(root, environ).proxy).get("admin_token")),
    )


def hidden(root: Path, state: str) -> list[str]:
    """The state folder, where it lies in the project: by what it is called there and by where links lead."""
    found = {Path(os.path.normpath(root / state)), (root / state).resolve()}
    return sorted(str(one.relative_to(root)) for one in found if root in one.parents)


def _describes(path: Path) -> bool:
    """Whether a file names what a project needs. Many a pyproject.toml configures tools only."""
    return path.is_file() and (path.suffix != ".toml" or "project" in _document(path))


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:  # no TOML, or no UTF-8
        raise CannotAct(f"{os.path.relpath(path)} cannot be read: {exc}") from exc


def _set(environ: Mapping[str, str]) -> list[Setting[Any]]:
    """What the environment sets itself, and the files of a deployment do not."""
    origins = environ.origins if isinstance(environ, Given) else {}
    known = {one.name: one for group in options.groups(environ) for one in group.definitions.values()}
    names = known.keys() & environ.keys() - origins.keys() - OWN
    return [known[name] for name in sorted(names) if environ[name].strip()]


def _templates(folder: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in (sources.TEMPLATES / folder).iterdir()}


def _systemd(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    return deployment.systemd(_deployment(root, environ, found), _templates("systemd"))


def _docker(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    if found.certificate:
        raise CannotAct(
            f"{where(environ, CERTIFICATE)}: no image has the key of HTTPS, which is left to what stands in front of "
            "the containers; export without it"
        )
    return deployment.docker(_deployment(root, environ, found), _templates("docker"))


def _compose(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    one = _deployment(root, environ, found)
    text = deployment.compose(one, _templates("compose")["compose.yaml"])
    return {**_docker(root, environ, found), "compose.yaml": text}


def _kubernetes(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    one = _deployment(root, environ, found)
    text = deployment.kubernetes(one, _templates("kubernetes")["deployment.yaml"])
    return {**_docker(root, environ, found), f"kubernetes/{one.name}.yaml": text}


def _monitoring(root: Path, environ: Mapping[str, str], found: Layout) -> dict[str, str]:
    return deployment.monitoring(_deployment(root, environ, found), _templates("monitoring"))


#: What makes the files of each kind.
MAKERS = {
    "systemd": _systemd,
    "docker": _docker,
    "compose": _compose,
    "kubernetes": _kubernetes,
    "monitoring": _monitoring,
    "nginx": _nginx,
    "procfile": _procfile,
}


def _write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Their paths: all of them, or none where one is there already that somebody may have edited."""
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_bytes() != text.encode():
            raise CannotAct(f"{path} is there already and is another one; -o DIR names another folder")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [os.path.normpath(folder / name) for name in files]
