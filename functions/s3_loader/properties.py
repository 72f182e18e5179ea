"""What conditions of cohorts may ask of an activity: the metadata of a call or an action, the properties of a track."""

import re

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from common.json_text import decode_json, encode_json
from providers._fields import clean

LARGEST = 8_000  # bytes; larger ones are kept in the detail only
FIELDS = {"moesif": b'"metadata":', "segment": b'"properties":'}
# What Postgres takes for no JSON, or no number: escaped NULs and halves of characters, exponents.
_ODD = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|[0-9][eE][+-]?[0-9]{3}|[0-9]{100}")


class _Detail(Struct):
    metadata: Raw = Raw(b"null")
    properties: Raw = Raw(b"null")


_decode = Decoder(_Detail).decode


def find_properties(detail: bytes, source: str) -> bytes | None:
    """The JSON object of an activity's detail that conditions may ask for; None without one, or where it is large."""
    mark = FIELDS.get(source)
    if mark is None or mark not in detail:
        return None
    try:
        found = _decode(detail)
        raw = bytes(found.metadata if source == "moesif" else found.properties)
    except DecodeError:  # half a character somewhere in it
        value = decode_json(detail).get(mark[1:-2].decode())
        raw = encode_json(clean(value))
    if not raw.startswith(b"{") or len(raw) <= 2 or len(raw) > LARGEST:
        return None
    return encode_json(clean(decode_json(raw))) if _ODD.search(raw) else raw
