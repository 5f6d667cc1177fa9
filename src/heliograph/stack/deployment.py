"""Files to run a stack under systemd, in containers and on Kubernetes, and to watch it, from the package's templates. Pure."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from heliograph.stack import toml

#: Below, only root may listen where it was not given the right to.
FIRST_FREE_PORT = 1024

#: Where the container listens when the setting is a port for root.
CONTAINER_PORT = 8080

#: Where their number is not set: a pod has not the cores of this machine.
POD_INSTANCES = 2

#: Of Prometheus, which finds the file beside its configuration.
AUTHORIZATION = "    # This file has the admin_token of the proxy.\n    authorization: { credentials_file: admin_token }\n"

#: Where a container listens is not what this machine says.
LISTENS = ("HELIOGRAPH_HOST", "HELIOGRAPH_PORT")

#: Folders that are a user's own; ProtectHome= would hide a project there.
HOMES = ("/home/", "/root/", "/run/user/")

#: The longest name that Kubernetes takes.
_NAME_LENGTH = 63

_MARK = re.compile(r"@([A-Z]+)@")


@dataclass(frozen=True)
class Deployment:
    """`heliograph` and `gunicorn` are commands of this machine, `release` the version of the library.

    No `gunicorn`: another server's command starts the instances.
    """

    root: str
    app: str
    port: int
    tls_port: int | None
    port_base: int
    heliograph: Sequence[str]
    gunicorn: Sequence[str]
    python: str
    release: str
    #: Where the proxy's admin listener and the instances answer.
    admin: str
    instances: Sequence[str]
    #: Files of the project by which pip knows what it needs.
    requirements: Sequence[str] = ()
    #: Paths in the project, from its root, that no image may have.
    hidden: Sequence[str] = ()
    #: What the environment sets, and the names of the secrets that it sets.
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    pod_instances: int = POD_INSTANCES
    #: Whether the admin listener wants a token.
    admin_token: bool = False

    @property
    def name(self) -> str:
        """The project's, for units, images and objects of Kubernetes."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.root.rpartition("/")[2].lower()).strip("-")
        if plain and not plain[0].isalpha():  # Kubernetes takes no such name of a service
            plain = f"app-{plain}"
        return plain[:_NAME_LENGTH].rstrip("-") or "heliograph"

    @property
    def container_port(self) -> int:
        return self.port if self.port >= FIRST_FREE_PORT else CONTAINER_PORT


def systemd(one: Deployment, templates: Mapping[str, str]) -> dict[str, str]:
    """A unit for the whole stack and, of ours, a template of units for instances, by their paths."""
    programs = [one.root, *one.heliograph, *one.gunicorn]
    home = "read-only" if any(path.startswith(HOMES) for path in programs) else "yes"
    ports = [one.port] if one.tls_port is None else [one.port, one.tls_port]
    values = {
        "NAME": one.name,
        "ROOT": one.root,
        "DIRECTORY": one.root.replace("%", "%%"),
        "SECRETS": _left_out(one.secrets),
        "APP": _word(one.app),
        "CAPABILITIES": _capabilities(ports),
        "ENVIRONMENT": "".join(
            f"Environment={_word(f'{name}={value}', dollars=False)}\n"
            for name, value in sorted(one.variables.items())
        ),
        "SANDBOX": fill(templates["sandbox"], {"HOME": home}).rstrip("\n"),
        "PORT": str(one.port_base),
        "NEXT": str(one.port_base + 1),
    }
    run = " ".join(map(_word, (*one.heliograph, "run")))
    values |= {"COMMAND": run, "RELOAD": " ".join(map(_word, (*one.heliograph, "reload")))}
    units = {f"{one.name}.service": fill(templates["stack.service"], values)}
    if one.gunicorn:
        values["COMMAND"] = " ".join(map(_word, one.gunicorn))
        units[f"{one.name}-instance@.service"] = fill(templates["instance@.service"], values)
    return units


def _capabilities(ports: Sequence[int]) -> str:
    if all(port >= FIRST_FREE_PORT for port in ports):
        return "CapabilityBoundingSet="
    return (
        "# For the ports below 1024.\n"
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE"
    )


def _word(text: str, *, dollars: bool = True) -> str:
    """One word of a unit's line, see systemd.service(5)."""
    text = text.replace("%", "%%")
    if dollars:
        text = text.replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", text, re.ASCII):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{quoted}"'


def docker(one: Deployment, templates: Mapping[str, str]) -> dict[str, str]:
    """A Dockerfile and what it leaves out, by their paths."""
    wanted = [*one.requirements, f"heliograph[all]=={one.release}"]
    values = {
        "NAME": one.name,
        "SECRETS": _left_out(one.secrets),
        "VARIABLES": "".join(
            f" \\\n    {name}={_quoted(value)}"
            for name, value in sorted(one.variables.items())
            if name not in LISTENS
        ),
        "PYTHON": one.python,
        "REQUIREMENTS": shlex.join(wanted),
        "PUBLISHED": str(one.port),
        "PORT": str(one.container_port),
    }
    return {
        "Dockerfile": fill(templates["Dockerfile"], values),
        ".dockerignore": fill(
            templates["dockerignore"], {"HIDDEN": "".join(f"{_pattern(path)}\n" for path in one.hidden)}
        ),
    }


def _pattern(path: str) -> str:
    """What matches one path in a .dockerignore; the slash keeps # and ! from their meaning at its beginning."""
    return "/" + re.sub(r"[\x00-\x1f]", "?", re.sub(r"([*?\[\\])", r"\\\1", path))


def _quoted(text: str) -> str:
    """A value in a Dockerfile, which is one line: between the entries of a list a space does as well."""
    escaped = re.sub(r'([\\"$])', r"\\\1", " ".join(text.splitlines()))
    return f'"{escaped}"'


def compose(one: Deployment, template: str) -> str:
    values = {
        "NAME": one.name,
        "SECRETS": _left_out(one.secrets),
        "PUBLISHED": str(one.port),
        "PORT": str(one.container_port),
        "ENVIRONMENT": "".join(
            f"      {name}: ${{{name}:?put it into .env}}\n" for name in one.secrets if name not in template
        ),
    }
    return fill(template, values)


def kubernetes(one: Deployment, template: str) -> str:
    values = {
        "NAME": one.name,
        "SECRETS": _left_out(one.secrets),
        "PORT": str(one.container_port),
        "INSTANCES": str(one.pod_instances),
    }
    return fill(template, values)


def monitoring(one: Deployment, templates: Mapping[str, str]) -> dict[str, str]:
    """Where Prometheus finds the metrics, its alert rules, and a dashboard for Grafana."""
    values = {
        "NAME": one.name,
        "PROXY": json.dumps(one.admin),
        "AUTHORIZATION": AUTHORIZATION if one.admin_token else "",
        "INSTANCES": ", ".join(map(json.dumps, one.instances)),
    }
    return {f"monitoring/{name}": fill(text, values) for name, text in sorted(templates.items())}


def without_secrets(text: str) -> str:
    """A proxy.toml that everybody may read. It names the keys that are left out."""
    document = tomllib.loads(text)
    secrets = {"admin_token": document.pop("admin_token", "")}
    secrets["[sticky] secret"] = document.get("sticky", {}).pop("secret", "")
    comment = _left_out([name for name, value in secrets.items() if value])
    return comment + toml.dumps(document) if comment else text


def _left_out(secrets: Sequence[str]) -> str:
    """A line that names them, if there are any."""
    return f"# Secret, and left out here: {', '.join(secrets)}.\n" if secrets else ""


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values where the template has their names between two @."""
    return _MARK.sub(lambda mark: values[mark[1]], template)
