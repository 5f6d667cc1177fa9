"""Which processes a stack has, and how each is started, asked and stopped. Pure."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from heliograph_proxy.private import PROBE

from heliograph.defaults import EXPOSED_VARIABLE, STATE_VARIABLE
from heliograph.stack.front import HTTPS_PORT, Certificate, StaticFolder
from heliograph.stack.lines import Style
from heliograph.stack.options import LOOPBACK, PORT_FIELD, StackSettings
from heliograph.stack.render import OWN_PEERS, Listen, at
from heliograph.stack.watch import Question, Watch

#: The paths that the layers keep for themselves; the question of the manager is one.
RESERVED = "/-"

#: Instances answer this before the application. The path that is asked through the other layers need not exist.
HEALTH, THROUGH = "/-/health", "/healthz"

#: Takes all rights from other users.
PRIVATE_UMASK = 0o077

#: On a busy machine proxy and nginx take a second; an application may have much to import.
START_PATIENCE, APPLICATION_PATIENCE = 30.0, 120.0

#: Not the project's own, if it has one: it may be for another worker, or for a service without this stack.
GUNICORN_CONFIGURATION = "python:heliograph.server.config"

#: On a terminal the manager tells what starts and ends.
QUIET = ("--log-level", "warning")

#: For another server in Python: the project's folder stays as it is. That of installed packages is used, as nothing is moved.
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


#: A host by its IP address, and a port.
Address = tuple[str, int]

#: All addresses of IPv4.
EVERYWHERE = "0.0.0.0"

#: In a command: the descriptor of the socket that is handed over.
DESCRIPTOR_FIELD = "{descriptor}"


class PartKind(enum.Enum):
    INSTANCE = "instance"
    PROXY = "proxy"
    NGINX = "nginx"


@dataclass(frozen=True)
class Plan:
    """One process: its command, what it gets on top of our environment, and where it answers.

    One that does not answer after `patience` cannot start.
    """

    name: str
    kind: PartKind
    command: tuple[str, ...]
    host: str
    port: int
    extra: Mapping[str, str] = field(default_factory=dict)
    patience: float = START_PATIENCE
    #: Where it is asked through the layers, if not at `port`.
    through: Question | None = None
    #: Its other listeners.
    others: tuple[Question, ...] = ()
    watch: Watch = field(default_factory=Watch)
    #: What an instance is asked.
    health: str = HEALTH
    #: A program that is not ours: it may end at signals that ours know.
    foreign: bool = False
    #: The listening sockets that it is handed, by their addresses. Any other it opens itself.
    sockets: tuple[Address, ...] = ()

    @property
    def first(self) -> Question:
        """What it has to answer before it counts as started: through the layers, so that those behind it work, too."""
        path = self.health if self.kind is PartKind.INSTANCE else THROUGH
        return self.through or Question(self.host, self.port, path)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What each of its listeners answers by itself, whatever is wrong with the layers behind it."""
        own = Question(self.host, self.port, self.health if self.kind is PartKind.INSTANCE else PROBE)
        return own, *self.others

    @property
    def beside(self) -> bool:
        """Whether another process can begin beside the present one: of an instance of ours, on the same socket."""
        return self.kind is PartKind.INSTANCE and bool(self.sockets)

    @property
    def umask(self) -> int:
        """What proxy and nginx write is in the state folder, so for this user alone. An application keeps our umask (-1)."""
        return -1 if self.kind is PartKind.INSTANCE else PRIVATE_UMASK


def reachable(host: str) -> str:
    """An address at which a listener on `host` answers from this machine."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return LOOPBACK if address.version == 4 else "::1"
    return host


def without_port(host: str, port: int) -> str:
    """host:port as a URL of HTTPS has it."""
    return at(host, port).removesuffix(f":{HTTPS_PORT}")


@dataclass(frozen=True)
class Layout:
    """Who listens where. Only the layer in front is reachable from outside; `nginx` is its binary, or None."""

    settings: StackSettings
    nginx: str | None
    #: Where the proxy listens behind nginx.
    proxy_host: str = LOOPBACK
    #: What else nginx listens on, by IP addresses.
    listens: tuple[Listen, ...] = ()
    #: Of HTTPS; None: there is none.
    certificate: Certificate | None = None
    #: What nginx serves by itself, by absolute paths.
    static: tuple[StaticFolder, ...] = ()

    def host(self, kind: PartKind) -> str:
        one_port = self.nginx is None and self.settings.port == self.settings.proxy_port
        if kind is PartKind.NGINX or (kind is PartKind.PROXY and one_port):
            return self.settings.host
        return self.proxy_host if kind is PartKind.PROXY else LOOPBACK

    @property
    def private(self) -> tuple[str, ...]:
        """What the proxy answers with 404: the manager's own question, and in front what is not for the outside."""
        return (PROBE,) if self.nginx else (RESERVED, *self.settings.private)

    @property
    def front_at(self) -> str:
        return at(self.settings.host, self.settings.port)

    @property
    def proxy_at(self) -> str:
        return at(self.host(PartKind.PROXY), self.settings.proxy_port)

    @property
    def proxy_listens(self) -> list[str]:
        """Its own port, and that of the layer in front where it is that layer."""
        return [self.proxy_at] if self.nginx else list(dict.fromkeys([self.proxy_at, self.front_at]))

    @property
    def admin_at(self) -> str:
        return at(LOOPBACK, self.settings.admin_port)

    @property
    def backends(self) -> dict[str, str]:
        return {name: at(LOOPBACK, port) for name, port in self.settings.instance_ports.items()}

    @property
    def proxy_url(self) -> str:
        return f"http://{at(reachable(self.host(PartKind.PROXY)), self.settings.proxy_port)}"

    @property
    def front_url(self) -> str:
        """Where users go."""
        if self.certificate is None:
            return self.plain_url
        return f"https://{without_port(reachable(self.settings.host), self.settings.tls_port)}"

    @property
    def plain_url(self) -> str:
        return f"http://{at(reachable(self.settings.host), self.settings.port)}"

    @property
    def tls_at(self) -> str:
        return at(self.settings.host, self.settings.tls_port)

    @property
    def tls_questions(self) -> tuple[Question, ...]:
        """HTTPS answers by itself, and through all layers."""
        if self.certificate is None:
            return ()
        host, port = reachable(self.settings.host), self.settings.tls_port
        return Question(host, port, PROBE, True), Question(host, port, THROUGH, True)


@dataclass(frozen=True)
class Project:
    """What is served: a folder, and its application as `heliograph.application` reads it."""

    root: Path
    app: str
    #: What starts Gunicorn.
    gunicorn: tuple[str, ...]
    #: The import path of instances, where it is not the environment's own.
    import_path: str = ""
    #: The setting by which others than this machine reach the stack.
    exposed: str = ""


def stages(layout: Layout, python: str, project: Project, var: Path) -> list[list[Plan]]:
    """What is started together; a stage begins when the one before answers."""
    ports = layout.settings.instance_ports
    extra = {
        "HELIOGRAPH_TRUSTED_PROXIES": " ".join([*OWN_PEERS, *layout.settings.trusted]),
        STATE_VARIABLE: str(var),
    }
    if project.exposed:
        extra[EXPOSED_VARIABLE] = project.exposed
    if project.import_path:
        extra["PYTHONPATH"] = project.import_path
    instances = [_instance(layout.settings, project, name, port, extra) for name, port in ports.items()]
    proxy = Plan(
        "proxy",
        PartKind.PROXY,
        (python, "-P", "-m", "heliograph_proxy", "run", "-c", str(var / "proxy.toml")),
        reachable(layout.host(PartKind.PROXY)),
        layout.settings.proxy_port,
        {STATE_VARIABLE: str(var)},
        others=(Question(LOOPBACK, layout.settings.admin_port, "/status"), *_front_of_proxy(layout)),
        sockets=_sockets_of_proxy(layout),
    )
    if layout.nginx is None:
        return [instances, [proxy]]
    https, through = layout.tls_questions or (None, None)
    listens = [Question(reachable(one.host), one.port, PROBE, one.tls) for one in layout.listens if one.asked]
    nginx = Plan(
        "nginx",
        PartKind.NGINX,
        (layout.nginx, "-p", f"{project.root}/", "-c", str(var / "nginx.conf"), "-g", "daemon off;"),
        reachable(layout.settings.host),
        layout.settings.port,
        through=through,
        others=(*listens, *([https] if https else [])),
        sockets=_sockets_of_nginx(layout),
    )
    return [instances, [proxy], [nginx]]


def _sockets_of_proxy(layout: Layout) -> tuple[Address, ...]:
    """The admin listener comes last."""
    front = () if layout.nginx else ((layout.settings.host, layout.settings.port),)
    listens = ((layout.host(PartKind.PROXY), layout.settings.proxy_port), *front)
    return (*dict.fromkeys(listens), (LOOPBACK, layout.settings.admin_port))


def _sockets_of_nginx(layout: Layout) -> tuple[Address, ...]:
    """Not those that an address for all stands for, nor what may be for both IPv6 and IPv4."""
    tls = ((layout.settings.host, layout.settings.tls_port),) if layout.certificate else ()
    others = ((one.host, one.port) for one in layout.listens if one.host != "::")
    found = dict.fromkeys([(layout.settings.host, layout.settings.port), *tls, *others])
    return tuple(
        one for one in found if one[0] == EVERYWHERE or (EVERYWHERE, one[1]) not in found or ":" in one[0]
    )


def _front_of_proxy(layout: Layout) -> list[Question]:
    """The listener that the proxy has in nginx's place."""
    if layout.nginx or layout.front_at == layout.proxy_at:
        return []
    return [Question(reachable(layout.settings.host), layout.settings.port, PROBE)]


def _instance(
    settings: StackSettings, project: Project, name: str, port: int, extra: Mapping[str, str]
) -> Plan:
    own = settings.command
    if own:
        extra = {**NO_BYTECODE, **extra}
    command = tuple(part.replace(PORT_FIELD, str(port)) for part in own)
    quiet = QUIET if settings.log == Style.TEXT.value else ()
    gunicorn = (
        *project.gunicorn,
        "-c",
        GUNICORN_CONFIGURATION,
        *quiet,
        "--bind",
        f"fd://{DESCRIPTOR_FIELD}",
        project.app,
    )
    return Plan(
        name,
        PartKind.INSTANCE,
        command or gunicorn,
        LOOPBACK,
        port,
        {"HELIOGRAPH_INSTANCE": name, **extra},
        patience=APPLICATION_PATIENCE,
        health=settings.health if own else HEALTH,
        foreign=bool(own),
        sockets=() if own else ((LOOPBACK, port),),
    )
