"""Bodies as HTML forms send them: urlencoded or multipart. No body is wrong: what is no field is left out.

Sources: the URL standard's urlencoded parser (WHATWG), RFC 7578 for multipart/form-data.
"""

import re
from urllib.parse import quote, unquote_to_bytes

Fields = list[tuple[bytes, bytes]]  # name, value

# What JSON is full of: looking for others is what takes the time.
USUAL = [(quote(sign).encode(), sign.encode()) for sign in '",:{}[]\\@']
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
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

    The standard library takes a step for each escape, and a JSON array has a hundred thousand; of different ones it has
    a dozen, each replaced in one step here. The percent sign comes last: what it leaves is no escape.
    """
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text
    if _NO_ESCAPE.search(text):
        return unquote_to_bytes(text)
    for escape, sign in USUAL:
        text = text.replace(escape, sign)
    for escape in sorted(set(_ESCAPE.findall(text)), key=b"%25".__eq__):
        text = text.replace(escape, bytes.fromhex(escape[1:].decode()))
    return text


def decode_text(value: bytes) -> str:
    """The text of a field: UTF-8, or Latin-1 where it is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
