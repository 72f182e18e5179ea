"""Bodies as HTML forms send them: urlencoded or multipart. No body is wrong: what is no field is left out.

Sources: the URL standard's urlencoded parser (WHATWG), RFC 7578 for multipart/form-data.
"""

import binascii
import re
from urllib.parse import unquote_to_bytes

Fields = list[tuple[bytes, bytes]]  # name, value

_BOUNDARY = re.compile(r'^multipart/form-data\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE | re.DOTALL)
_NAME = re.compile(rb'^content-disposition:[^\r\n]*[;\s]name="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE)


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form."""
    return content_type.strip().lower().startswith(("application/x-www-form-urlencoded", "multipart/form-data"))


def read_fields(body: bytes, content_type: str) -> Fields:
    """The fields of a form, in order."""
    boundary = _BOUNDARY.match(content_type.strip())
    if boundary is not None:
        return read_multipart(body, (boundary[1] or boundary[2]).encode())
    return read_urlencoded(body)


def read_urlencoded(body: bytes) -> Fields:
    """The fields of a query or an urlencoded form."""
    pairs = [part.partition(b"=") for part in body.split(b"&") if part]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def read_multipart(body: bytes, boundary: bytes) -> Fields:
    """The fields of a multipart form; files too, without their names."""
    fields = []
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, separator, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if separator and name is not None and not part.startswith(b"--"):
            fields.append((name[1], value))
    return fields


def unquote(text: bytes) -> bytes:
    """The bytes of a percent-encoded text.

    The standard library takes a Python step for each escape, and a JSON array has a hundred thousand. Quoted-printable
    is the same with another sign, and is decoded in C; what differs (RFC 2045: signs that are no escapes, line breaks)
    is left to the standard library.
    """
    text = text.replace(b"+", b" ")
    escapes = text.count(b"%")
    if not escapes or b"=" in text or b"\n" in text or b"\r" in text:
        return unquote_to_bytes(text)
    decoded = binascii.a2b_qp(text.replace(b"%", b"="))
    return decoded if len(decoded) == len(text) - 2 * escapes else unquote_to_bytes(text)


def decode_text(value: bytes) -> str:
    """The text of a field: UTF-8, or Latin-1 where it is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
