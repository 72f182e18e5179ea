from typing import Any, cast

import pytest

from common.events import Mailing, Sender
from common.json_text import decode_json
from s3_loader import dimensions
from s3_loader.dimensions import Dimensions, Fresh


def show(fresh: Fresh) -> list[tuple[str, list[dict[str, Any]]]]:
    """The table and the rows of each INSERT that is to be done."""
    return [(sql.split()[2], decode_json(cast("str", values[0]).encode())) for sql, values in fresh.inserts]


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
    (table, rows), (other, senders) = show(dimensions.take())
    dimensions.mailings.find_key(mailings[0])
    assert show(dimensions.take()) == []
    assert (table, other) == ("mailings", "senders")
    assert [row["mailing_key"] for row in rows] == sorted(set(keys))
    assert {row["sender_key"] for row in rows} == {senders[0]["sender_key"]}
    assert (rows[0]["tags"], senders[0]["address"]) == (["t"], "ada@example.com")


def test_rolled_back_row_is_fresh_again() -> None:
    """What a failed load did not store, the next one stores; who keeps keys is told to forget them."""
    dimensions, forgotten = Dimensions(), -1
    for _ in range(2):
        dimensions.mailings.find_key(Mailing(campaign="a"))
        assert [table for table, _ in show(dimensions.take())] == ["mailings", "senders"]
        dimensions.senders.find_key(Sender("of a batch that can't be prepared to its end"))
        assert forgotten < dimensions.forgotten
        forgotten = dimensions.forgotten
        dimensions.rollback()
    dimensions.rollback()
    assert dimensions.forgotten == forgotten + 3
    dimensions.senders.find_key(Sender("of a batch that can't be prepared to its end"))
    assert [table for table, _ in show(dimensions.take())] == ["senders"]


def test_batches_are_stored_in_the_order_in_which_they_were_prepared() -> None:
    """A batch relies on those prepared before it: it is next when these are stored, and void when one is not."""
    dimensions, prepared = Dimensions(), []
    for campaign in "abb":
        dimensions.mailings.find_key(Mailing(campaign=campaign))
        prepared.append(dimensions.take())
    assert [len(fresh.inserts) for fresh in prepared] == [2, 1, 0]
    assert [dimensions.is_next(fresh) for fresh in prepared] == [True, False, False]
    dimensions.commit(prepared[0])
    assert [dimensions.is_next(fresh) for fresh in prepared] == [False, True, False]
    dimensions.rollback()
    assert [dimensions.is_next(fresh) for fresh in prepared] == [False, False, False]
    for campaign in "ab":
        dimensions.mailings.find_key(Mailing(campaign=campaign))
    ((_, rows),) = show(dimensions.take())
    assert [row["campaign"] for row in rows] == ["b"]


def test_other_generation_is_fresh() -> None:
    """What is remembered counts for the tables that it was stored in."""
    dimensions = Dimensions()
    for generation, fresh in (("one", True), ("one", False), ("two", True)):
        dimensions.use_generation(generation)
        dimensions.mailings.find_key(Mailing(campaign="a"))
        taken = dimensions.take()
        assert bool(taken.inserts) is fresh
        dimensions.commit(taken)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forgets rather than grow without end."""
    monkeypatch.setattr(dimensions, "REMEMBERED", 3)
    mailings = (known := Dimensions()).mailings
    for number in range(10):
        mailings.find_key(Mailing(subject=str(number)))
    known.commit(known.take())
    assert mailings._keys == {}
