"""`heliograph settings`: what each setting is, where that was set, and what is wrong with it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from proxy_tests.processes import ROOT

from heliograph.settings import environment
from heliograph.stack import options
from tests.heliograph.cli.calling import called

FILE = 'proxy_port = 8555\nprivate = ["/a", "/b"]\nmax_body = "3 MiB"\n'


def entries(folder: Path, settings: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    ended = called("settings", "--json", cwd=folder, settings=settings)
    assert (ended.returncode, ended.stderr) == (0, "")
    return {entry["name"]: entry for entry in json.loads(ended.stdout)}


def test_each_setting_tells_its_value_and_where_it_was_set(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(FILE)
    found = entries(tmp_path, {"HELIOGRAPH_ADMIN_PORT": "8666", "HELIOGRAPH_MAX_BODY": "2 MiB"})
    told = {name: (entry["value"], entry["set_by"]) for name, entry in found.items()}
    assert told["HELIOGRAPH_PROXY_PORT"] == (8555, "heliograph.toml: proxy_port")
    assert told["HELIOGRAPH_PRIVATE"] == (["/a", "/b"], "heliograph.toml: private")
    assert told["HELIOGRAPH_ADMIN_PORT"] == (8666, "HELIOGRAPH_ADMIN_PORT")
    assert told["HELIOGRAPH_MAX_BODY"] == (2 << 20, "HELIOGRAPH_MAX_BODY")
    assert told["HELIOGRAPH_RATE"] == (1000, "default")
    assert found["HELIOGRAPH_MAX_BODY"]["default"] == 4 << 30
    assert all(entry["meaning"] and entry["allowed"] for entry in found.values())


def test_every_setting_of_the_checkout_is_told_those_of_its_application_too() -> None:
    ended = called("settings", "--json", cwd=ROOT)
    known = {one.name for group in options.groups(environment()) for one in group.definitions.values()}
    assert {entry["name"] for entry in json.loads(ended.stdout)} == known
    assert "HELIOGRAPH_CODEC_JOBS" in known


def test_people_read_value_origin_default_and_meaning(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(FILE)
    ended = called("settings", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(
        r"^  HELIOGRAPH_MAX_BODY = 3 MiB\n"
        r"      set by heliograph.toml: max_body; default: 4 GiB\n"
        r"      bytes of the longest body of a request\n",
        ended.stdout,
        re.MULTILINE,
    )


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",), ("--json-schema",)])
def test_secrets_are_not_shown(tmp_path: Path, form: tuple[str, ...]) -> None:
    settings = {
        "HELIOGRAPH_AUTH_SECRET": "a secret of thirty-two bytes, or more",
        "HELIOGRAPH_CHANNELS": "postgresql://me:pass-word@127.0.0.1/db",
    }
    ended = called("settings", *form, cwd=tmp_path, settings=settings)
    assert ended.returncode == 0
    assert "thirty-two" not in ended.stdout
    assert "pass-word" not in ended.stdout
    assert ("postgresql://127.0.0.1/db" in ended.stdout) == (form in ((), ("--json",)))


def test_all_wrong_ones_are_told_in_a_line_each_and_unknown_ones_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        'proxy_port = "many"\nadmin_prot = 1\nauth_secret = "short word"\n'
    )
    ended = called("settings", cwd=tmp_path, settings={"HELIOGRAPH_RATE": "-1"})
    assert ended.returncode == 1
    warning, *errors = ended.stderr.splitlines()
    assert warning.startswith("warning: heliograph.toml: admin_prot is not a setting")
    assert warning.endswith("did you mean admin_port?")
    assert [error.split("=")[0] for error in errors] == [
        "heliograph.toml: proxy_port",
        "heliograph.toml: auth_secret",
        "HELIOGRAPH_RATE",
    ]
    assert all(" allowed" in error for error in errors)
    assert "short word" not in ended.stdout + ended.stderr


def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text("port 80")
    ended = called("settings", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("heliograph: heliograph.toml: is no TOML")
    assert ended.stderr.count("\n") == 1


def test_the_schema_is_one_and_takes_what_is_allowed(tmp_path: Path) -> None:
    schema = json.loads(called("settings", "--json-schema", cwd=tmp_path).stdout)
    jsonschema_rs.meta.validate(schema)
    checker = jsonschema_rs.validator_for(schema)
    assert checker.is_valid(tomllib.loads(FILE))
    assert checker.is_valid(tomllib.loads((ROOT / "heliograph.toml").read_text()))
    for wrong in ({"proxy_port": 0}, {"proxy_port": "many"}, {"log": "xml"}, {"open": 2}, {"rate": [1]}):
        assert not checker.is_valid(wrong), wrong


def test_every_default_is_allowed_by_the_schema(tmp_path: Path) -> None:
    schema = json.loads(called("settings", "--json-schema", cwd=tmp_path).stdout)
    checker = jsonschema_rs.validator_for(schema)
    for key, known in schema["properties"].items():
        if known.get("default", "") != "":
            assert checker.is_valid({key: known["default"]}), key


def test_the_documentation_has_a_row_for_each(tmp_path: Path) -> None:
    told = called("settings", "--markdown", cwd=tmp_path).stdout
    names = re.findall(r"^\| `(\w+)` \|", told, re.MULTILINE)
    assert sorted(names) == sorted(entries(tmp_path))
    assert all(line.count(" | ") == 4 for line in told.splitlines() if line.startswith("| `"))
