"""What conditions of cohorts may ask of an activity: the metadata of a call or an action, the properties of a track."""

import re

from common.json_text import decode_json, encode_json
from providers._fields import clean

LARGEST = 8_000  # bytes; larger ones are kept in the detail only
# What Postgres takes for no number; and, looked for where there is a backslash, escaped NULs and halves of characters.
_search_number = re.compile(rb"[0-9](?:[eE][+-]?[0-9]{3}|[0-9]{99})").search
_search_escape = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])").search


def clean_properties(properties: bytes) -> bytes | None:
    """The JSON object as Postgres takes it; None where it is large."""
    if len(properties) > LARGEST:
        return None
    if _search_number(properties) or (b"\\" in properties and _search_escape(properties)):
        return encode_json(clean(decode_json(properties)))
    return properties
