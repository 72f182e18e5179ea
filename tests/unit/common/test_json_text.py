import json
from typing import Any

import pytest

from common.json_text import decode_json, encode_json

VALUES: list[Any] = [
    {"a": [1, 2.5, None, True, "é"]},
    2**64,
    -(2**70),
    "\ud83d",
    [1e308],
    {"": {"": []}},
]


@pytest.mark.parametrize("value", VALUES)
def test_values_survive(value: Any) -> None:
    """What the standard library reads and writes, this does too."""
    assert decode_json(encode_json(value)) == value
    assert decode_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"\xff", b"nul"])
def test_malformed_text_is_a_value_error(text: bytes) -> None:
    """What is not JSON is one kind of error, whoever found it."""
    with pytest.raises(ValueError):
        decode_json(text)


def test_deep_nesting_is_a_recursion_error() -> None:
    """Nesting beyond reason is refused instead of crashing."""
    with pytest.raises(RecursionError):
        decode_json(b"[" * 1_000_000)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "-Infinity", "7" * 5000])
def test_number_that_python_cannot_hold_is_its_text(number: str) -> None:
    """It is kept as it was written, comes back as that text, and does not harm what is beside it."""
    value = decode_json(f'[{number}, {{"a": 1.5, "b": 12}}]'.encode())
    assert value == [number, {"a": 1.5, "b": 12}]
    assert decode_json(encode_json(value)) == value
