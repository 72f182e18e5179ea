"""JSON, fast where it is regular and right where it is not.

msgspec reads and writes twice as fast as the standard library and keeps whole numbers of any size, but refuses what
RFC 8259 allows and ESPs send: halves of surrogate pairs, numbers beyond a double. Those go to the standard library.
It is imported at first use: the listener imports the providers and never reads JSON.
"""

import json
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":")).encode


def decode_json(text: bytes) -> Any:
    """The value of a JSON text. Raises `ValueError`, or `RecursionError` where it is nested too deeply."""
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text)


def encode_json(value: object) -> bytes:
    """The shortest JSON of a value that came from JSON: UTF-8, or ASCII where UTF-8 can't say it."""
    import msgspec

    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encode(value).encode()
