"""What conditions of cohorts may ask of an activity: the metadata of a call or an action, the properties of a track."""

import re

from common.json_text import decode_json, encode_json
from providers._fields import clean

LARGEST = 8_000  # bytes; larger ones are kept in the detail only
# What Postgres takes for no JSON, or no number: escaped NULs and halves of characters, exponents.
_search_odd = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|[0-9][eE][+-]?[0-9]{3}|[0-9]{100}").search


def clean_properties(properties: bytes) -> bytes | None:
    """The JSON object as Postgres takes it; None where it is large."""
    if len(properties) > LARGEST:
        return None
    return encode_json(clean(decode_json(properties))) if _search_odd(properties) else properties
