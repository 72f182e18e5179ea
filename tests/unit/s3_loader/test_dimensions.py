from typing import Any, cast

import pytest

from common.events import Mailing, Sender
from common.json_text import decode_json
from s3_loader import dimensions
from s3_loader.dimensions import Dimensions


def take(dimensions: Dimensions) -> list[tuple[str, list[dict[str, Any]]]]:
    """The table and the rows of each INSERT of what is fresh, which counts as stored from then on."""
    inserts = [(sql.split()[2], decode_json(cast("str", values[0]).encode())) for sql, values in dimensions.build()]
    dimensions.keep()
    return inserts


def test_key_is_made_from_the_content() -> None:
    """Two processes make the same key of the same mailing, and another of another."""
    one, two = Dimensions().mailings, Dimensions().mailings
    assert one.find_key(Mailing(campaign="a")) == two.find_key(Mailing(campaign="a"))
    keys = [one.find_key(row) for row in (Mailing(campaign="b"), Mailing(template="b"), Mailing(sender=Sender("b")))]
    assert len(set(keys)) == 3


def test_row_is_inserted_once() -> None:
    """A row is inserted when it is met first; rows go in the order of their keys, a mailing with its sender."""
    dimensions = Dimensions()
    mailings = [Mailing(campaign=name, tags=("t",), sender=Sender("ada@example.com")) for name in "abcabc"]
    keys = [dimensions.mailings.find_key(mailing) for mailing in mailings]
    (table, rows), (other, senders) = take(dimensions)
    dimensions.mailings.find_key(mailings[0])
    assert take(dimensions) == []
    assert (table, other) == ("mailings", "senders")
    assert [row["mailing_key"] for row in rows] == sorted(set(keys))
    assert {row["sender_key"] for row in rows} == {senders[0]["sender_key"]}
    assert (rows[0]["tags"], senders[0]["address"]) == (["t"], "ada@example.com")


def test_row_that_is_not_stored_is_fresh_again() -> None:
    """What could not be inserted is inserted when it is met again; who keeps keys is told to forget them."""
    dimensions, forgotten = Dimensions(), -1
    dimensions.mailings.find_key(Mailing(campaign="stored"))
    assert len(take(dimensions)) == 2
    for _ in range(2):
        dimensions.mailings.find_key(Mailing(campaign="a", sender=Sender("b")))
        assert [insert[0].split()[2] for insert in dimensions.build()] == ["mailings", "senders"]
        dimensions.forget_fresh()
        assert forgotten < dimensions.forgotten
        forgotten = dimensions.forgotten
    dimensions.forget_fresh()
    assert dimensions.forgotten == forgotten == 4
    for campaign in ("stored", "a"):
        dimensions.mailings.find_key(Mailing(campaign=campaign))
    ((_, rows),) = take(dimensions)
    assert [row["campaign"] for row in rows] == ["a"]


def test_other_state_is_fresh() -> None:
    """What is remembered counts for the tables that it was stored in."""
    dimensions = Dimensions()
    for state, fresh in (("one", True), ("one", False), ("two", True)):
        dimensions.use_state(state)
        dimensions.mailings.find_key(Mailing(campaign="a"))
        assert bool(take(dimensions)) is fresh


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forgets rather than grow without end."""
    monkeypatch.setattr(dimensions, "REMEMBERED", 3)
    mailings = (known := Dimensions()).mailings
    for number in range(10):
        mailings.find_key(Mailing(subject=str(number)))
    known.keep()
    assert mailings._keys == {}
