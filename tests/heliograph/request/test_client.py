"""Who a client is."""

from __future__ import annotations

from flask import Flask, request

from heliograph.request.client import client_of, current_client, set_subject
from heliograph.request.environ import client_socket


def test_an_address_is_a_client_until_a_token_was_verified() -> None:
    environ = {"REMOTE_ADDR": "203.0.113.1"}
    assert client_of(environ) == "203.0.113.1"
    set_subject(environ, "alice")
    assert client_of(environ) != "203.0.113.1"
    assert client_of(environ) == client_of({"REMOTE_ADDR": "203.0.113.2", **environ})


def test_a_subject_that_looks_like_an_address_is_another_client() -> None:
    environ = {"REMOTE_ADDR": "203.0.113.2"}
    set_subject(environ, "203.0.113.1")
    assert client_of(environ) != client_of({"REMOTE_ADDR": "203.0.113.1"})


def test_a_token_without_a_name_leaves_the_address() -> None:
    environ = {"REMOTE_ADDR": "203.0.113.1"}
    set_subject(environ, "")
    assert client_of(environ) == "203.0.113.1"


def test_headers_cannot_name_a_client() -> None:
    with Flask(__name__).test_request_context(
        "/",
        headers={"Heliograph-Subject": "bob", "heliograph.subject": "bob"},
        environ_base={"REMOTE_ADDR": "::1"},
    ):
        assert current_client() == client_of(request.environ) == "::1"


def test_peers_of_a_unix_socket_are_one_client() -> None:
    assert client_of({"REMOTE_ADDR": ""}) == client_of({}) == "unix"


def test_the_application_itself_is_no_client() -> None:
    assert current_client() == ""


def test_the_socket_is_found_under_each_server_and_missed_by_none() -> None:
    connection = object()
    for key in ("gunicorn.sock", "gunicorn.socket", "werkzeug.socket"):
        assert client_socket({key: connection}) is connection
    assert client_socket({}) is None
