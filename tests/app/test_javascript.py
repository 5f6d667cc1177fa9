"""The npm package, and how the pages of the checkout get its file and the modules that they share."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from proxy_tests.processes import ROOT

from tests.serving import Server

PACKAGE = ROOT / "clients/javascript"

#: Links in the tree, and what they lead to.
LINKS = {
    "app/static/heliograph.js": "clients/javascript/heliograph.js",
    "app/static/console": "app/console/static",
    "app/console/static/lib": "proxy/src/heliograph_proxy/admin/page/lib",
}


@pytest.mark.parametrize(("link", "target"), LINKS.items())
def test_a_file_that_is_served_in_two_places_is_there_once(link: str, target: str) -> None:
    assert (ROOT / link).is_symlink()
    assert not (ROOT / link).readlink().is_absolute()
    assert (ROOT / link).resolve() == (ROOT / target).resolve()


def test_the_npm_package_has_the_version_and_the_licence_of_the_checkout() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert package["version"] == (ROOT / "VERSION").read_text().strip()
    assert (package["name"], package["license"], package["type"]) == ("heliograph-client", "MIT", "module")
    assert (PACKAGE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_npm_package_is_one_file_with_its_types(tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    packed = subprocess.run(
        ["npm", "pack", "--json", "--pack-destination", str(tmp_path)],
        cwd=PACKAGE,
        check=True,
        capture_output=True,
        timeout=120,
    )
    found = re.findall(r'"path": "([^"]+)"', packed.stdout.decode())
    assert sorted(found) == ["LICENSE", "README.md", "heliograph.d.ts", "heliograph.js", "package.json"]


def test_the_lock_file_of_the_tools_pins_them_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    tools = [entry for name, entry in lock["packages"].items() if name]
    assert tools
    assert all(entry["integrity"] and "resolved" not in entry for entry in tools)
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    assert all(re.fullmatch(r"[0-9.]+", version) for version in wanted.values())


@pytest.mark.parametrize("path", ["heliograph.js", "console/main.js", "console/lib/dom.js"])
def test_flask_serves_what_the_links_lead_to(server: Server, path: str) -> None:
    assert server.get(f"/static/{path}").body == (ROOT / "app/static" / path).read_bytes()
