from __future__ import annotations

import pytest

from heliograph.channels.errors import InvalidName, MessageTooLong
from heliograph.channels.message import MAX_KEY, MAX_MESSAGE, Kind, new_append
from heliograph.channels.names import check_name


@pytest.mark.parametrize("name", ["a", "A.b_c:d-9", "x" * 128, ".", "..", ":"])
def test_names_of_channels(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a b", "é", "a\n", "x" * 129, "a\0", "=run", "*", "١"])
def test_anything_else_is_no_name(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)
    with pytest.raises(InvalidName):
        new_append(name, Kind.TEXT, b"")


def test_a_message_has_at_most_64_kib() -> None:
    new_append("a", Kind.BYTES, b"x" * MAX_MESSAGE)
    with pytest.raises(MessageTooLong):
        new_append("a", Kind.BYTES, b"x" * (MAX_MESSAGE + 1))


@pytest.mark.parametrize("key", ["", "k" * (MAX_KEY + 1)])
def test_keys_have_1_to_128_characters(key: str) -> None:
    with pytest.raises(ValueError, match="128"):
        new_append("a", Kind.TEXT, b"", key=key)


def test_a_key_belongs_to_its_subject_and_its_body_to_its_kind() -> None:
    def made(key: str, subject: str = "", kind: Kind = Kind.TEXT) -> tuple[bytes, bytes]:
        found = new_append("a", kind, b"x", key=key, subject=subject).key
        assert found is not None
        return found.id, found.body

    assert made("k") == made("k")
    assert made("k")[0] != made("l")[0]
    assert made("ab", "c")[0] != made("b", "ca")[0]
    assert made("k", "s")[0] != made("k")[0]
    assert made("k")[1] != made("k", kind=Kind.BYTES)[1]
    assert made("\ud800")[0]
