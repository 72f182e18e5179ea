"""Bodies as HTML forms send them."""

from urllib.parse import parse_qsl, quote_plus, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers._forms import decode_text, is_form, read_fields, read_multipart, read_urlencoded, unquote

URLENCODED = "application/x-www-form-urlencoded"


@given(st.binary())
def test_any_bytes_come_back(text: bytes) -> None:
    """What is percent-encoded comes back, percent signs and escapes of escapes included."""
    assert unquote(quote_plus(text).encode()) == text
    assert unquote(quote_plus(quote_plus(text)).encode()) == quote_plus(text).encode()
    assert unquote("".join(f"%{byte:02x}" for byte in text).encode()) == text


@given(
    st.lists(
        st.sampled_from(
            [
                b"%",
                b"2",
                b"5",
                b"%25",
                b"%2",
                b"%32",
                b"%zz",
                b"a",
                b"+",
                b"%00",
                b"%FF",
                b"=",
                b"_",
                b" ",
                b"\n",
                b"\r\n",
            ]
        )
    )
)
def test_as_the_standard_library(parts: list[bytes]) -> None:
    """Escapes that are cut short or none stay as they are."""
    text = b"".join(parts)
    assert unquote(text) == unquote_to_bytes(text.replace(b"+", b" "))


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))))
def test_fields_come_back(fields: list[tuple[str, str]]) -> None:
    """Names and values in order, those that come twice too."""
    body = urlencode(fields).encode()
    found = [(name.decode(), value.decode()) for name, value in read_fields(body, URLENCODED)]
    assert found == fields == parse_qsl(body.decode(), keep_blank_values=True)


def test_odd_queries() -> None:
    """Names without a value, and nothing at all."""
    assert read_urlencoded(b"a&&b=&=c&a=1=2") == [(b"a", b""), (b"b", b""), (b"", b"c"), (b"a", b"1=2")]
    assert read_urlencoded(b"") == []


MULTIPART = (
    b'--x-1\r\nContent-Disposition: form-data; name="event"\r\n\r\nbounced\r\n'
    b'--x-1\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; filename="name.txt"; name="attachment-1"\r\n'
    b"\r\ntwo\r\n\r\nlines\r\n\r\n--x-1\r\nContent-Disposition: form-data\r\n\r\nnobody\r\n--x-1--\r\n"
)


@pytest.mark.parametrize("boundary", ["x-1", '"x-1"', "x-1; charset=utf-8"])
def test_multipart(boundary: str) -> None:
    """Fields and files; a part without a name is none."""
    expected = [(b"event", b"bounced"), (b"attachment-1", b"two\r\n\r\nlines\r\n")]
    assert read_fields(MULTIPART, f"multipart/form-data; boundary={boundary}") == expected


@given(st.binary())
def test_no_body_is_wrong(body: bytes) -> None:
    """Whatever comes has fields or none."""
    read_urlencoded(body)
    read_multipart(body, b"x")
    read_fields(body, "multipart/form-data; boundary=")
    decode_text(body)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [(URLENCODED, True), ("Multipart/Form-Data; boundary=x", True), ("application/json", False), ("", False)],
)
def test_what_is_a_form(content_type: str, form: bool) -> None:
    """By the content type, in any case."""
    assert is_form(content_type) is form


def test_text_of_any_bytes() -> None:
    """What is no UTF-8 is taken for Latin-1."""
    assert (decode_text("ä".encode()), decode_text(b"\xe4")) == ("ä", "ä")
