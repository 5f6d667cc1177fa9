"""The first file of a multipart body, however the body is cut."""

from __future__ import annotations

import pytest

from app.codec.multipart import MAX_BUFFERED, MAX_PARTS, boundary_of, first_file
from app.problems import BadMultipart

FIELD = b'Content-Disposition: form-data; name="note"\r\n\r\nnot this\r\n'


def file(content: bytes, name: bytes = b"a.txt") -> bytes:
    return b'Content-Disposition: form-data; name="file"; filename="%b"\r\n\r\n%b\r\n' % (name, content)


def body(*parts: bytes, boundary: bytes = b"B") -> bytes:
    return b"".join(b"--%b\r\n%b" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary


CONTENTS = [b"hello", b"", b"\r\n", b"x--B", b"\r\n--", b"a\r\n--Bx\r\nb", b"\n\r\n\r", bytes(range(256))]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_the_content_of_the_first_file_comes_out_however_it_is_cut(content: bytes, size: int) -> None:
    whole = b"preamble\r\n" + body(FIELD, file(content), file(b"second")) + b"epilogue"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert b"".join(first_file(pieces, b"B")) == content


BROKEN = {
    "empty": b"",
    "no boundary": b"just text",
    "no end": body(file(b"x"))[:-6],
    "cut in the head": b'--B\r\nContent-Disposition: form-data; name="f',
    "no disposition": body(b"X-Some: thing\r\n\r\ncontent\r\n"),
    "no file": body(FIELD),
    "no parts": b"--B--\r\n",
    "bad text": body(b'Content-Disposition: form-data; name="\xff"; filename="x"\r\n\r\nhi\r\n'),
    "too many parts": body(*[FIELD] * (MAX_PARTS + 1)),
    "endless preamble": b"x" * (2 * MAX_BUFFERED),
    "endless head": b"--B\r\nContent-Disposition: " + b"x" * (2 * MAX_BUFFERED),
    "endless epilogue": body(file(b"x")) + b"x" * (2 * MAX_BUFFERED),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("size", [1 << 16, 1 << 18])
def test_a_broken_body_is_refused_whatever_is_wrong(name: str, size: int) -> None:
    whole = BROKEN[name]
    with pytest.raises(BadMultipart) as caught:
        list(first_file([whole[at : at + size] for at in range(0, len(whole), size)], b"B"))
    assert caught.value.detail


def test_a_large_file_is_passed_on_piece_by_piece() -> None:
    def pieces() -> list[bytes]:
        start = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
        return [start, *[b"x" * 65536] * 64, b"\r\n--B--\r\n"]

    sizes = [len(piece) for piece in first_file(pieces(), b"B")]
    assert (sum(sizes), max(sizes) <= 2 * 65536) == (64 * 65536, True)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; boundary="a b"', b"a b"),
        ("multipart/mixed; boundary=abc", None),
        ("text/plain", None),
        ("", None),
        ("multipart/form-data-x; boundary=abc", None),
    ],
)
def test_the_boundary_of_a_content_type(content_type: str, boundary: bytes | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("parameters", ["", "; boundary=", "; boundary=" + "x" * 71, "; boundary=é"])
def test_a_multipart_type_needs_a_boundary(parameters: str) -> None:
    with pytest.raises(BadMultipart, match="boundary"):
        boundary_of("multipart/form-data" + parameters)
