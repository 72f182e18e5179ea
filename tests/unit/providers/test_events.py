"""From items to events: what holds for the helpers that providers share."""

from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Kind
from providers._events import VALUES, make_columns, read_address, readdress
from providers._smtp import classify_refusal, read_smtp


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.1.1 No such user", ("hard", "invalid")),
        ("550 5.1.8 Bad sender", ("undetermined", "other")),
        ("550 Refused", ("undetermined", "other")),
        ("554 5.7.1 Blocked", ("block", "blocked")),
        ("552 5.2.2 Mailbox full", ("soft", "other")),
        ("550 4.2.2 Mailbox full", ("soft", "other")),
        ("421 Later", ("soft", "other")),
        (None, ("undetermined", "other")),
    ],
)
def test_refusals_by_their_reply(text: str | None, expected: tuple[str, str]) -> None:
    """Only what says that the address is wrong is hard: other permanent replies may be about content or sender."""
    assert classify_refusal(*read_smtp(text)) == expected


def test_columns_by_name() -> None:
    """Columns are a plain tuple of all of them in their order, whatever names they were given by."""
    instant, kind = datetime(2026, 11, 21, tzinfo=UTC), Kind("x", "open", "opened")
    columns = make_columns(instant, "1", kind, subject="Hello", recipient="a@example.com")
    assert type(columns) is tuple
    assert columns[:3] == (instant, "1", kind)
    given = {name: value for name, value in zip(VALUES, columns[3:], strict=True) if value is not None}
    assert given == {"recipient": "a@example.com", "subject": "Hello"}


def test_columns_of_another_recipient() -> None:
    """Of an item for several recipients each event has its own id and address, and all else alike."""
    instant, kind = datetime(2026, 11, 21, tzinfo=UTC), Kind("x", "open", "opened")
    first = make_columns(instant, "1", kind, "a@example.com", message_id="m", mailbox_provider="X")
    second = readdress(first, "b@example.com", "1:b")
    assert second == make_columns(instant, "1:b", kind, "b@example.com", message_id="m", mailbox_provider="X")
