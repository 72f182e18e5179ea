"""JSON, fast where it is regular and right where it is not.

msgspec reads and writes twice as fast as the standard library and keeps whole numbers of any size, but refuses what
RFC 8259 allows and ESPs send: halves of surrogate pairs, numbers beyond a double. Those go to the standard library.
A number that Python can't hold as one (1e999, NaN, 5000 digits) becomes its text: an infinity could not be written
again, and one such number must not harm all else of a body.
It is imported at first use: the listener imports the providers and never reads JSON.
"""

import json
import math
from functools import partial
from typing import Any, Literal


def decode_json(text: bytes) -> Any:
    """The value of a JSON text. Raises `ValueError`, or `RecursionError` where it is nested too deeply."""
    try:
        return _decode(text)
    except ValueError:  # of msgspec, or of a text that is no UTF-8
        return json.loads(text, parse_float=_read_float, parse_int=_read_int, parse_constant=str)


def _read_float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _read_int(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def encode_json(value: object, *, order: Literal["sorted"] | None = None) -> bytes:
    """The shortest JSON of a value that came from JSON: UTF-8, or ASCII where UTF-8 can't say it."""
    try:
        text: bytes = _encode(value) if order is None else _encode_sorted(value)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(value, separators=(",", ":"), sort_keys=order is not None).encode()
    return text


def _load(name: str, value: object) -> Any:
    """The first call of all. Not in each: an import that is done already takes as long as a small text."""
    global _decode, _encode, _encode_sorted
    import msgspec

    _decode = msgspec.json.Decoder().decode
    _encode_sorted = msgspec.json.Encoder(order="sorted").encode
    _encode = msgspec.json.Encoder().encode
    return globals()[name](value)


_decode: Any = partial(_load, "_decode")
_encode: Any = partial(_load, "_encode")
_encode_sorted: Any = partial(_load, "_encode_sorted")
