"""Settings: from texts to values, and one line for each text that is not allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.settings import (
    GIB,
    MIB,
    Reader,
    SettingError,
    instance_address,
    is_loopback,
    load,
    refuse_open_listening,
    require_folder,
)

SECRET = "0123456789abcdef0123456789abcdef"


def test_without_any_variable_the_defaults_of_the_interface_hold() -> None:
    settings = load({}, cores=3)
    assert (settings.spool, settings.spool_max, settings.max_body) == ("var/spool", 8 * GIB, 4 * GIB)
    assert (settings.max_output, settings.max_ratio, settings.codec_jobs) == (GIB, 1000, 6)
    assert (settings.ws_max_message, settings.log, settings.instance) == (MIB, "json", "web")
    assert (settings.channels, settings.rate) == ("sqlite:///var/channels.db", 1000)
    assert (settings.history_size, settings.history_ttl, settings.max_channels) == (10_000, 86_400, 10_000)
    assert settings.allowed_origins == settings.allowed_hosts == frozenset()
    assert [str(network) for network in settings.trusted_networks] == ["127.0.0.1/32", "::1/128"]
    assert settings.trust_unix


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1048576", MIB),
        ("64KiB", 65536),
        ("4 GiB", 4 * GIB),
        ("1tib", 1 << 40),
        ("3M", 3 * MIB),
        ("7B", 7),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(text: str, size: int) -> None:
    assert load({"HELIOGRAPH_MAX_BODY": text}).max_body == size


WRONG = [
    ("HELIOGRAPH_MAX_BODY", "0"),
    ("HELIOGRAPH_MAX_BODY", "-1"),
    ("HELIOGRAPH_MAX_BODY", "1.5GiB"),
    ("HELIOGRAPH_MAX_BODY", "many"),
    ("HELIOGRAPH_MAX_BODY", "99999999TiB"),
    ("HELIOGRAPH_SPOOL_MAX", "1 EiB"),
    ("HELIOGRAPH_MAX_RATIO", "0"),
    ("HELIOGRAPH_MAX_RATIO", "1e3"),
    ("HELIOGRAPH_MAX_RATIO", "٣"),
    ("HELIOGRAPH_CODEC_JOBS", "0"),
    ("HELIOGRAPH_CODEC_JOBS", "257"),
    ("HELIOGRAPH_WS_MAX_MESSAGE", "x"),
    ("HELIOGRAPH_INSTANCE", "a b"),
    ("HELIOGRAPH_INSTANCE", "x" * 65),
    ("HELIOGRAPH_LOG", "xml"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "example.org"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "https://example.org/"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "https://user@example.org"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "https://example.org:99999"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "ftp://example.org"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "null"),
    ("HELIOGRAPH_ALLOWED_HOSTS", "example.org:80"),
    ("HELIOGRAPH_ALLOWED_HOSTS", "a.*.example"),
    ("HELIOGRAPH_TRUSTED_PROXIES", "10.0.0.1/8"),
    ("HELIOGRAPH_TRUSTED_PROXIES", "proxy"),
    ("HELIOGRAPH_AUTH_SECRET", "short"),
    ("HELIOGRAPH_CHANNELS", "/var/channels.db"),
    ("HELIOGRAPH_CHANNELS", "kafka://localhost"),
    ("HELIOGRAPH_CHANNELS", "mysql://localhost"),
    ("HELIOGRAPH_CHANNELS", "sqlite://"),
    ("HELIOGRAPH_CHANNELS", "redis://:secret@host:0/0"),
    ("HELIOGRAPH_HISTORY_SIZE", "0"),
    ("HELIOGRAPH_HISTORY_TTL", "1d"),
    ("HELIOGRAPH_MAX_CHANNELS", "-1"),
    ("HELIOGRAPH_RATE", "1.5"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        load({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}=")
    assert "\n" not in text
    assert "allowed" in text
    assert "secret@" not in text


def test_a_wrong_secret_is_not_printed() -> None:
    with pytest.raises(SettingError) as caught:
        load({"HELIOGRAPH_AUTH_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_neither_secrets_nor_passwords_are_shown_with_the_settings() -> None:
    settings = load({"HELIOGRAPH_AUTH_SECRET": SECRET, "HELIOGRAPH_CHANNELS": "redis://:hunter2@localhost/0"})
    assert (settings.auth_secret, settings.channels) == (SECRET, "redis://:hunter2@localhost/0")
    assert "hunter2" not in repr(settings)
    assert SECRET not in repr(settings)


def test_an_empty_text_means_not_set() -> None:
    assert load({"HELIOGRAPH_MAX_BODY": " ", "HELIOGRAPH_CHANNELS": ""}) == load({})


def test_lists_are_separated_by_commas_or_white_space_and_lower_case() -> None:
    settings = load(
        {
            "HELIOGRAPH_ALLOWED_HOSTS": "Example.org,*.wild.example  [::2]",
            "HELIOGRAPH_TRUSTED_PROXIES": "10.0.0.0/8 unix",
        }
    )
    assert settings.allowed_hosts == {"example.org", "*.wild.example", "[::2]"}
    assert [str(network) for network in settings.trusted_networks] == ["10.0.0.0/8"]
    assert settings.trust_unix
    assert not load({"HELIOGRAPH_TRUSTED_PROXIES": "10.0.0.1"}).trust_unix


def test_allowed_origins_are_kept_as_browsers_send_them() -> None:
    origins = load(
        {"HELIOGRAPH_ALLOWED_ORIGINS": "HTTPS://A.example:443 http://b.example:80 http://[::1]:8080"}
    )
    assert origins.allowed_origins == {"https://a.example", "http://b.example", "http://[::1]:8080"}


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, ("127.0.0.1", 8100)),
        ({"HELIOGRAPH_PORT_BASE": "9000"}, ("127.0.0.1", 9000)),
        ({"PORT": "5000", "HELIOGRAPH_OPEN": "1"}, ("0.0.0.0", 5000)),
        ({"PORT": "5000", "HELIOGRAPH_AUTH_SECRET": SECRET}, ("0.0.0.0", 5000)),
    ],
)
def test_an_instance_listens_where_it_was_told(environ: dict[str, str], address: tuple[str, int]) -> None:
    assert instance_address(environ) == address


@pytest.mark.parametrize(
    "environ", [{"PORT": "5000"}, {"PORT": "0", "HELIOGRAPH_OPEN": "1"}, {"HELIOGRAPH_PORT_BASE": "x"}]
)
def test_an_address_that_is_not_allowed_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="allowed"):
        instance_address(environ)


def test_beyond_loopback_nothing_listens_unprotected() -> None:
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_HOST=.10\.0\.0\.1.: "):
        refuse_open_listening({"HELIOGRAPH_HOST": "10.0.0.1"}, "10.0.0.1", "HELIOGRAPH_HOST")
    refuse_open_listening({}, "127.0.0.1", "HELIOGRAPH_HOST")
    refuse_open_listening({"HELIOGRAPH_OPEN": "1"}, "10.0.0.1", "HELIOGRAPH_HOST")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback_is_told_from_other_addresses(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_flag_is_0_or_1() -> None:
    assert [Reader({"F": value}).flag("F") for value in ("", "0", "1")] == [False, False, True]
    with pytest.raises(SettingError, match="0, 1"):
        Reader({"F": "yes"}).flag("F")


def test_a_spool_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    require_folder("HELIOGRAPH_SPOOL", str(tmp_path / "new" / "folder"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"HELIOGRAPH_SPOOL='.*file': a folder that can be written to"):
        require_folder("HELIOGRAPH_SPOOL", str(tmp_path / "file"))
