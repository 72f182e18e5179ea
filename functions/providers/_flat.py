"""Events that are a flat list of names and values: the query of a GET, an HTML form, or a JSON object."""

from collections.abc import Mapping
from typing import Any

from common.events import Json
from providers._events import parse_json
from providers._forms import decode_text, read_fields


def is_json(body: bytes) -> bool:
    """Whether it is JSON rather than a query or a form, in which these characters are escaped."""
    return body.startswith((b"{", b"[")) or body.lstrip()[:1] in (b"{", b"[")


def read_flat(body: bytes, content_type: str = "") -> list[Any]:
    """The items of a body; none of an empty one. Raises `ValueError` in words for a person."""
    if is_json(body):
        value = parse_json(body)
        return value if type(value) is list else [value]
    item: Json = {}
    for pair in read_fields(body.strip(), content_type):
        name, value = map(decode_text, pair)
        if name in item:  # all values are kept, in order
            given = item[name]
            item[name] = [*(given if type(given) is list else [given]), value]
        else:
            item[name] = value
    return [item] if item else []


def find_unstorable(body: bytes) -> bytes:
    """What of a body tells `read_events` that characters may come that Postgres can't hold."""
    if is_json(body):
        return body
    return b"\0" if body.find(b"%00") >= 0 or body.find(b"\0") >= 0 else b""


def get_first(fields: Mapping[str, Any], *names: str) -> Any:
    """The first value that is there and not empty, of several names."""
    for name in names:
        value = fields.get(name)
        if value is not None and value != "":
            return value
    return None
