"""Who sent a request, by its peer and the forwarding headers."""

from __future__ import annotations

import ipaddress

import pytest
from heliograph_proxy.trust import MAX_HOPS, TrustedPeers, read_trusted

from heliograph.request.forwarding import (
    ResolvedClient,
    answers_for,
    host_name,
    normal_origin,
    origin_of,
    resolve,
)

TRUST = TrustedPeers(
    (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")), True
)


def client(peer: str, **headers: str) -> ResolvedClient:
    return resolve(peer, "http", {"HTTP_HOST": "localhost", **headers}, TRUST)


CHAINS = [
    # peer, X-Forwarded-For, the client
    ("127.0.0.1", "", "127.0.0.1"),
    ("127.0.0.1", "1.2.3.4", "1.2.3.4"),
    ("127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
    ("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
    ("127.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1"),
    ("127.0.0.1", "6.6.6.6, garbage, 10.0.0.2", "10.0.0.2"),
    ("127.0.0.1", "1.2.3.4,", "127.0.0.1"),
    ("127.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
    ("127.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
    ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
    ("127.0.0.1", "1.2.3.4, unix", "1.2.3.4"),
    ("127.0.0.1", "1.2.3.4\x00", "127.0.0.1"),
    ("unix", "1.2.3.4", "1.2.3.4"),
    ("::ffff:127.0.0.1", "1.2.3.4", "1.2.3.4"),
    ("::1", "1.2.3.4", "1.2.3.4"),
    ("8.8.8.8", "1.2.3.4", "8.8.8.8"),
    ("not an address", "1.2.3.4", "not an address"),
    ("127.0.0.1", "6.6.6.6, ::1%x", "127.0.0.1"),
    ("127.0.0.1", '::1%a"b', "127.0.0.1"),
    ("127.0.0.1", "[::1%25lo]:80", "127.0.0.1"),
    ("127.0.0.1", "[2001:DB8::1]", "2001:db8::1"),
    ("127.0.0.1", "1.2.3.4:", "127.0.0.1"),
    ("127.0.0.1", "1.2.3.4:65536", "127.0.0.1"),
    ("127.0.0.1", "[2001:db8::1]:0", "127.0.0.1"),
    ("127.0.0.1", "2001:db8::1, [::ffff:10.0.0.7]:1234", "2001:db8::1"),
    ("127.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
    ("127.0.0.1", "6.6.6.6, 010.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "6.6.6.6\xa0", "127.0.0.1"),
    ("127.0.0.1", "6.6.6.6, for=10.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "6.6.6.6, 10.0.0.1/8", "127.0.0.1"),
    ("127.0.0.1", "\t1.2.3.4 , 10.0.0.7\t", "1.2.3.4"),
    ("::ffff:10.9.9.9", "1.2.3.4", "1.2.3.4"),
    ("::ffff:8.8.8.8", "1.2.3.4", "8.8.8.8"),
    ("fe80::1%eth0", "1.2.3.4", "fe80::1"),
    ("", "1.2.3.4", "1.2.3.4"),
]


@pytest.mark.parametrize(("peer", "forwarded", "address"), CHAINS)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    peer: str, forwarded: str, address: str
) -> None:
    assert client(peer, HTTP_X_FORWARDED_FOR=forwarded).address == address


def test_of_an_endless_chain_only_the_last_hops_are_looked_at() -> None:
    chain = ["1.2.3.4", *["10.0.0.9"] * MAX_HOPS]
    assert client("127.0.0.1", HTTP_X_FORWARDED_FOR=", ".join(chain)).address == "10.0.0.9"
    assert client("127.0.0.1", HTTP_X_FORWARDED_FOR=", ".join(chain[:-1])).address == "1.2.3.4"


def test_an_untrusted_peer_forwards_nothing() -> None:
    headers = {
        "HTTP_X_FORWARDED_FOR": "1.2.3.4",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_X_REQUEST_ID": "theirs",
    }
    assert client("8.8.8.8", **headers) == ResolvedClient("8.8.8.8", "http", "localhost", None)
    assert client("127.0.0.1", **headers) == ResolvedClient("1.2.3.4", "https", "evil.example", "theirs")
    no_unix = TrustedPeers((), unix=False)
    assert resolve("unix", "http", headers, no_unix).address == "unix"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_X_FORWARDED_PROTO", "gopher"),
        ("HTTP_X_FORWARDED_HOST", "a b"),
        ("HTTP_X_FORWARDED_HOST", "a\r\nb"),
        ("HTTP_X_REQUEST_ID", "a b"),
        ("HTTP_X_REQUEST_ID", "x" * 65),
        ("HTTP_X_REQUEST_ID", "é"),
        ("HTTP_X_REQUEST_ID", ""),
    ],
)
def test_malformed_headers_of_a_trusted_proxy_are_left_out(name: str, value: str) -> None:
    assert client("127.0.0.1", **{name: value}) == ResolvedClient("127.0.0.1", "http", "localhost", None)


@pytest.mark.parametrize(
    ("given", "scheme"),
    [
        ("HTTPS", "https"),
        ("http, Https", "https"),
        ("https,http", "http"),
        ("https, gopher", "http"),
        ("wss", "https"),
    ],
)
def test_schemes_are_read_in_any_case(given: str, scheme: str) -> None:
    assert client("127.0.0.1", HTTP_X_FORWARDED_PROTO=given).scheme == scheme


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("/shop", "/shop"),
        ("/a, /b/c/", "/b/c"),
        ("//evil.example", ""),
        ("/a//b", ""),
        ("shop", ""),
        ("/", ""),
        ("/a b", ""),
    ],
)
def test_the_prefix_is_a_path_or_nothing(given: str, prefix: str) -> None:
    assert client("127.0.0.1", HTTP_X_FORWARDED_PREFIX=given).prefix == prefix
    assert client("8.8.8.8", HTTP_X_FORWARDED_PREFIX=given).prefix == ""


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
        ("2001:db8::/32", "2001:DB8::5", "::ffff:32.1.13.184"),
        ("UNIX", "unix", "127.0.0.1"),
    ],
)
def test_networks_are_read_as_addresses_are(network: str, inside: str, outside: str) -> None:
    trusted = read_trusted([network])
    assert trusted.believes(inside)
    assert not trusted.believes(outside)


@pytest.mark.parametrize(
    "network", ["fe80::1%eth0", "fe80::%1/10", "10.0.0.1/8", "::ffff:10.0.0.1/104", "x", ""]
)
def test_what_is_no_network_is_named(network: str) -> None:
    with pytest.raises(ValueError, match=r"network|zone|host bits") as error:
        read_trusted(["127.0.0.1", network])
    assert str(error.value) == network


def test_of_lists_the_last_entry_counts() -> None:
    found = client(
        "127.0.0.1", HTTP_X_FORWARDED_PROTO="https, http", HTTP_X_FORWARDED_HOST="evil, good.example"
    )
    assert (found.scheme, found.host) == ("http", "good.example")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.org:8080", "example.org"),
        ("[::1]:80", "[::1]"),
        ("Example.org.:8080", "example.org"),
        ("localhost.", "localhost"),
        (".", None),
        ("127.0.0.1", "127.0.0.1"),
        ("", None),
        ("a b", None),
        ("a:99999", None),
        ("a:0", None),
        ("a:00443", "a"),
        ("a:000443", None),
        ("a:b", None),
        ("a,b", None),
        ("user@a", None),
        ("a/b", None),
        ("localhost\n", None),
        ("[::1", None),
        ("a" * 254, None),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str | None) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize(
    ("name", "allowed", "expected"),
    [
        ("localhost", [], True),
        ("127.0.0.1", [], True),
        ("[::1]", [], True),
        ("example.org", [], False),
        ("example.org", ["example.org"], True),
        ("www.example.org", ["example.org"], False),
        ("www.example.org", ["*.example.org"], True),
        ("example.org", ["*.example.org"], False),
        ("badexample.org", ["*.example.org"], False),
        ("anything", ["*"], True),
        ("localhost.evil.example", [], False),
    ],
)
def test_which_hosts_this_service_answers_for(name: str, allowed: list[str], expected: bool) -> None:
    assert answers_for(name, frozenset(allowed)) is expected


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "A.example:80", "http://a.example"),
        ("https", "a.example:80", "https://a.example:80"),
        ("https", "a.example:443", "https://a.example"),
        ("http", "[::1]", "http://[::1]"),
        ("http", "[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_has_no_default_port(scheme: str, host: str, origin: str) -> None:
    assert origin_of(scheme, host) == origin
    assert normal_origin(f"{scheme.upper()}://{host}") == origin


@pytest.mark.parametrize("port", ["1000080", "0", "00000000", "65536", "1" * 5000, "-80", "8_0", "٨٠"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_origin_with_a_port_that_there_is_not_equals_no_other(scheme: str, port: str) -> None:
    assert normal_origin(f"{scheme}://a.example:{port}") == f"{scheme}://a.example:{port}"


@pytest.mark.parametrize("port", ["80", "080", "000000000080"])
def test_a_port_is_a_number(port: str) -> None:
    assert normal_origin(f"http://a.example:{port}") == "http://a.example"
    assert normal_origin(f"https://a.example:{port}") == "https://a.example:80"


@pytest.mark.parametrize("text", ["null", "", "garbage"])
def test_what_is_no_origin_equals_none(text: str) -> None:
    assert normal_origin(text) == text
