"""From items to events: what holds for the helpers that providers share."""

from typing import Any

import pytest

from providers._events import read_address
from providers._smtp import read_smtp


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("Ada@Example.com", "ada@example.com"),
        ("Ada Lovelace <Ada@Example.com>", "ada@example.com"),
        ('"Lovelace, Ada" <ada@example.com>', "ada@example.com"),
        ("", None),
        (None, None),
        (7, None),
        (["ada@example.com"], None),
        ({"email": "ada@example.com"}, None),
    ],
)
def test_addresses(value: Any, address: str | None) -> None:
    """An address comes bare or with a name; a value of another type is none, and no error."""
    assert read_address(value) == address


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("550 5.1.1 no such user", (550, "5.1.1")),
        ("smtp; 550-5.7.1 refused", (550, "5.7.1")),
        ("4.2.2", (None, "4.2.2")),
        ("the mailbox is full", (None, None)),
        (None, (None, None)),
        (["550 5.1.1"], (None, None)),
        ({}, (None, None)),
    ],
)
def test_replies(text: Any, codes: tuple[int | None, str | None]) -> None:
    """What a receiving server said in numbers; a value of another type says nothing."""
    assert read_smtp(text) == codes
