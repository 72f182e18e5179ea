from typing import Any, cast

import pytest
from psycopg2.extensions import cursor as Cursor

from common.events import Mailing, Sender
from common.json_text import decode_json
from s3_loader import dimensions
from s3_loader.dimensions import Dimensions


class FakeCursor:
    """Keeps the rows of each INSERT."""

    def __init__(self) -> None:
        self.inserted: list[tuple[str, list[dict[str, Any]]]] = []

    def execute(self, statement: str, values: tuple[str]) -> None:
        """As a cursor's."""
        self.inserted.append((statement.split()[2], decode_json(values[0].encode())))


def insert(cursor: FakeCursor, dimensions: Dimensions) -> None:
    """Inserts what is fresh."""
    dimensions.insert_fresh(cast("Cursor", cursor))


def test_key_is_made_from_the_content() -> None:
    """Two processes make the same key of the same mailing, and another of another."""
    one, two = Dimensions().mailings, Dimensions().mailings
    assert one.find_key(Mailing(campaign="a")) == two.find_key(Mailing(campaign="a"))
    keys = [one.find_key(row) for row in (Mailing(campaign="b"), Mailing(template="b"), Mailing(sender=Sender("b")))]
    assert len(set(keys)) == 3


def test_row_is_inserted_once() -> None:
    """A row is inserted when it is met first; rows go in the order of their keys, a mailing with its sender."""
    cursor, dimensions = FakeCursor(), Dimensions()
    mailings = [Mailing(campaign=name, tags=("t",), sender=Sender("ada@example.com")) for name in "abcabc"]
    keys = [dimensions.mailings.find_key(mailing) for mailing in mailings]
    insert(cursor, dimensions)
    dimensions.commit()
    dimensions.mailings.find_key(mailings[0])
    insert(cursor, dimensions)
    (table, rows), (other, senders) = cursor.inserted
    assert (table, other) == ("mailings", "senders")
    assert [row["mailing_key"] for row in rows] == sorted(set(keys))
    assert {row["sender_key"] for row in rows} == {senders[0]["sender_key"]}
    assert (rows[0]["tags"], senders[0]["address"]) == (["t"], "ada@example.com")


def test_rolled_back_row_is_fresh_again() -> None:
    """What a failed load did not store, the next one stores."""
    cursor, dimensions = FakeCursor(), Dimensions()
    for _ in range(2):
        dimensions.mailings.find_key(Mailing(campaign="a"))
        insert(cursor, dimensions)
        dimensions.rollback()
    assert [table for table, _ in cursor.inserted] == ["mailings", "senders"] * 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forgets rather than grow without end."""
    monkeypatch.setattr(dimensions, "REMEMBERED", 3)
    mailings = Dimensions().mailings
    for number in range(10):
        mailings.find_key(Mailing(subject=str(number)))
    mailings.commit()
    assert mailings._keys == {}
