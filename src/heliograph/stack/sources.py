"""What the configurations of a stack are made from: the project's own files where it has them, else those of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from heliograph.given import FileError, SettingError, where
from heliograph.stack.options import StackOptions

#: The package's own. `export nginx` gives these.
TEMPLATES = Path(__file__).parent / "templates"

#: Where a project has its own.
PROXY, NGINX = "conf/proxy.toml", "nginx/nginx.conf"

#: What the project adds to each server of nginx.
ADDITIONS = "nginx/site.d"


@dataclass(frozen=True)
class Sources:
    """The files that are read. The folder `snippets` stands beside nginx.conf."""

    proxy: Path
    nginx: Path

    @property
    def snippets(self) -> Path:
        return self.nginx.parent / "snippets"


def text_of(file: Path) -> str:
    """Raises SettingError, OSError."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:  # which has the whole text, secrets included
        raise FileError(str(file), "cannot be read: it is not UTF-8") from None


def find(root: Path, environ: Mapping[str, str]) -> Sources:
    """Those of the project in `root`. Raises SettingError where HELIOGRAPH_PROXY_CONFIG names no file."""
    return Sources(_proxy(root, environ), _nginx(root))


def _proxy(root: Path, environ: Mapping[str, str]) -> Path:
    setting = StackOptions.definitions["proxy_config"]
    named: str = setting.read(environ)
    if named:
        if not (root / named).is_file():
            raise SettingError(where(environ, setting.name), named, "a file that is there is allowed")
        return root / named
    return root / PROXY if (root / PROXY).is_file() else TEMPLATES / "proxy.toml"


def _nginx(root: Path) -> Path:
    """A configuration that somebody wrote for another nginx, such as one in a container, has no snippets of ours."""
    own = root / NGINX
    return own if (own.parent / "snippets/site.conf").is_file() and own.is_file() else TEMPLATES / NGINX
