"""Settings: from texts to values, and one line for each text that is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.application import GROUPS
from app.options import CodecOptions
from heliograph.channels.options import ChannelsOptions
from heliograph.given import SettingError, from_file
from heliograph.request.options import AccessOptions, RequestOptions, refuse_open_listening
from heliograph.server.options import instance_address, refuse_open_port
from heliograph.settings import (
    FLAG,
    GIB,
    MIB,
    Options,
    Settings,
    choice,
    environment,
    load,
    names,
    option,
    require_folder,
)
from heliograph.websocket.options import WebSocketOptions

SECRET = "0123456789abcdef0123456789abcdef"


def read(environ: Mapping[str, str], cores: int = 2) -> Settings:
    return load(environ, GROUPS, cores)


def request(**given: str) -> RequestOptions:
    return RequestOptions.read({f"HELIOGRAPH_{name}": text for name, text in given.items()})


def test_without_any_variable_the_defaults_of_the_interface_hold() -> None:
    settings = read({}, cores=3)
    of_request, codecs, channels = settings[RequestOptions], settings[CodecOptions], settings[ChannelsOptions]
    assert (of_request.spool, of_request.spool_max, of_request.max_body) == ("var/spool", 8 * GIB, 4 * GIB)
    assert (codecs.max_output, codecs.max_ratio, codecs.codec_jobs) == (GIB, 1000, 6)
    assert settings[WebSocketOptions].max_message == MIB
    assert (of_request.log, of_request.instance) == ("json", "web")
    assert (channels.channels.url, channels.rate) == ("sqlite:///var/channels.db", 1000)
    assert (channels.history_size, channels.history_ttl, channels.max_channels) == (10_000, 86_400, 10_000)
    assert (channels.history_bytes, channels.log_bytes) == (16 * MIB, GIB)
    assert of_request.allowed_origins == of_request.allowed_hosts == frozenset()
    trusted = of_request.trusted_proxies
    assert [str(network) for network in trusted.networks] == ["127.0.0.1/32", "::1/128"]
    assert trusted.unix


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
    assert request(MAX_BODY=text).max_body == size


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
    ("HELIOGRAPH_ALLOWED_ORIGINS", "*"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "https://*"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "https://a.*.example.org"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "chrome-extension://*.id"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "wss://example.org"),
    ("HELIOGRAPH_ALLOWED_ORIGINS", "file:///x"),
    ("HELIOGRAPH_TRUSTED_PROXIES", "fe80::1%eth0"),
    ("HELIOGRAPH_TRUSTED_PROXIES", "::ffff:10.0.0.1/104"),
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
        read({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}=")
    assert "\n" not in text
    assert "allowed" in text
    assert "secret@" not in text


def test_a_wrong_secret_is_not_printed() -> None:
    with pytest.raises(SettingError) as caught:
        AccessOptions.read({"HELIOGRAPH_AUTH_SECRET": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("a" * 32, ("a" * 32,)),
        (f"{'a' * 32},{'b' * 40}", ("a" * 32, "b" * 40)),
        (f" {'a' * 32} , {'b' * 32} ", ("a" * 32, "b" * 32)),
        ("a secret of thirty-two bytes, or more", ("a secret of thirty-two bytes, or more",)),
    ],
)
def test_secrets_are_separated_by_commas(text: str, secrets: tuple[str, ...]) -> None:
    assert AccessOptions.read({"HELIOGRAPH_AUTH_SECRET": text}).auth_secret == secrets


@pytest.mark.parametrize(
    "text", ["a" * 31, f"{'a' * 32},", f"{'a' * 32},,{'b' * 32}", f"{'a' * 32},short", ","]
)
def test_no_secret_is_short(text: str) -> None:
    with pytest.raises(SettingError, match="at least 32 bytes"):
        AccessOptions.read({"HELIOGRAPH_AUTH_SECRET": text})


def test_audiences_are_separated_by_commas_and_are_not_that_of_tickets() -> None:
    assert AccessOptions.read({"HELIOGRAPH_AUTH_AUDIENCE": "one, two"}).auth_audience == ("one", "two")
    for text in ("heliograph-ticket", "one,,two"):
        with pytest.raises(SettingError):
            AccessOptions.read({"HELIOGRAPH_AUTH_AUDIENCE": text})


def test_neither_secrets_nor_passwords_are_shown_with_the_settings() -> None:
    settings = read({"HELIOGRAPH_AUTH_SECRET": SECRET, "HELIOGRAPH_CHANNELS": "redis://:hunter2@localhost/0"})
    assert settings[AccessOptions].auth_secret == (SECRET,)
    assert settings[ChannelsOptions].channels.url == "redis://:hunter2@localhost/0"
    assert "hunter2" not in repr(settings)
    assert SECRET not in repr(settings)


def test_an_empty_text_means_not_set() -> None:
    assert read({"HELIOGRAPH_MAX_BODY": " ", "HELIOGRAPH_CHANNELS": ""}) == read({})


def test_lists_are_separated_by_commas_or_white_space_and_lower_case() -> None:
    found = request(ALLOWED_HOSTS="Example.org,*.wild.example  [::2]", TRUSTED_PROXIES="10.0.0.0/8 unix")
    assert found.allowed_hosts == {"example.org", "*.wild.example", "[::2]"}
    assert [str(network) for network in found.trusted_proxies.networks] == ["10.0.0.0/8"]
    assert found.trusted_proxies.unix
    assert not request(TRUSTED_PROXIES="10.0.0.1").trusted_proxies.unix


def test_allowed_origins_are_kept_as_browsers_send_them() -> None:
    found = request(
        ALLOWED_ORIGINS="HTTPS://A.example:443 http://b.example:80 http://[::1]:8080 https://*.C.example:443 NULL "
        "capacitor://localhost ionic://localhost chrome-extension://abcdefghijklmnop"
    )
    assert found.allowed_origins == {
        "https://a.example", "http://b.example", "http://[::1]:8080", "https://*.c.example", "null",
        "capacitor://localhost", "ionic://localhost", "chrome-extension://abcdefghijklmnop",
    }  # fmt: skip


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
    refuse_open_port(environ)


@pytest.mark.parametrize(
    "environ", [{"PORT": "5000"}, {"PORT": "0", "HELIOGRAPH_OPEN": "1"}, {"HELIOGRAPH_PORT_BASE": "x"}]
)
def test_an_address_that_is_not_allowed_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="allowed"):
        refuse_open_port(environ)


def test_beyond_loopback_nothing_listens_unprotected() -> None:
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_HOST=.10\.0\.0\.1.: "):
        refuse_open_listening({"HELIOGRAPH_HOST": "10.0.0.1"}, "10.0.0.1", "HELIOGRAPH_HOST")
    refuse_open_listening({}, "127.0.0.1", "HELIOGRAPH_HOST")
    refuse_open_listening({"HELIOGRAPH_OPEN": "1"}, "10.0.0.1", "HELIOGRAPH_HOST")


class Lamp(Options):
    """A group as a feature would declare it."""

    lit: bool = option(FLAG, False, "whether it shines")
    colour: str = option(choice("red", "white"), "white", "its colour", name="COLOUR")


def test_a_flag_is_0_or_1() -> None:
    found = [Lamp.read({"HELIOGRAPH_LIT": value}).lit for value in ("", "0", "1")]
    assert found == [False, False, True]
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_LIT='yes': one of 0, 1 is allowed$"):
        Lamp.read({"HELIOGRAPH_LIT": "yes"})


def test_a_group_says_what_it_reads_and_what_it_is_for() -> None:
    assert names((Lamp,)) == {"HELIOGRAPH_LIT", "COLOUR"}
    assert {"HELIOGRAPH_CHANNELS", "HELIOGRAPH_AUTH_SECRET", "HELIOGRAPH_OPEN", "PORT"} < names(GROUPS)
    assert all(setting.meaning for group in GROUPS for setting in group.definitions.values())
    every = [setting.name for group in GROUPS for setting in group.definitions.values()]
    assert len(every) == len(set(every)), "a setting is defined twice"


def test_a_group_that_was_not_loaded_is_an_error_of_the_program() -> None:
    with pytest.raises(LookupError, match="CodecOptions"):
        load({}, (RequestOptions,))[CodecOptions]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        request().max_body = 1  # type: ignore[misc]


def test_a_spool_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    require_folder("HELIOGRAPH_SPOOL", str(tmp_path / "new" / "folder"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"HELIOGRAPH_SPOOL='.*file': a folder that can be written to"):
        require_folder("HELIOGRAPH_SPOOL", str(tmp_path / "file"))


def test_a_file_has_the_same_settings_in_lower_case() -> None:
    text = (
        'max_body = "1 MiB"\nopen = true\nallowed_hosts = ["a.example", "b.example"]\nspool_max = 1048576\n'
    )
    request, access = from_file(text), AccessOptions.read(from_file(text))
    options = RequestOptions.read(request)
    assert (options.max_body, options.spool_max, access.open) == (1 << 20, 1 << 20, True)
    assert options.allowed_hosts == {"a.example", "b.example"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('max_body = "much"', "heliograph.toml: max_body='much': a size of at least 1 bytes"),
        ("max_body = -1", "heliograph.toml: max_body='-1': a size"),
        ("[max_body]\nof = 1", "heliograph.toml: max_body='dict': a text, a number, true, false or a list"),
        ('allowed_hosts = ["a,b"]', "heliograph.toml: allowed_hosts='list': a text"),
        ("max_body = ", "heliograph.toml: is no TOML: Invalid value"),
    ],
)
def test_what_is_wrong_in_the_file_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SettingError) as error:
        RequestOptions.read(from_file(text))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_the_environment_wins_over_the_file_and_an_empty_variable_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heliograph.toml").write_text('max_body = "1 MiB"\nspool_max = "2 MiB"\nlog = "text"\n')
    monkeypatch.setenv("HELIOGRAPH_MAX_BODY", "3 MiB")
    monkeypatch.setenv("HELIOGRAPH_LOG", " ")
    options = RequestOptions.read(environment())
    assert (options.max_body, options.spool_max, options.log) == (3 << 20, 2 << 20, "text")
    monkeypatch.setenv("HELIOGRAPH_MAX_BODY", "none")
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_MAX_BODY='none'"):
        RequestOptions.read(environment())
