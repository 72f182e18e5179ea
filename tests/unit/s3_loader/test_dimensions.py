from typing import Any, cast

import pytest
from psycopg2.extensions import cursor as Cursor

from common.events import Mailing
from s3_loader import dimensions
from s3_loader.dimensions import MAILINGS, Dimension


@pytest.fixture
def inserted(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[Any, ...]]]:
    """The rows of each INSERT."""
    calls: list[list[tuple[Any, ...]]] = []
    monkeypatch.setattr(dimensions, "execute_values", lambda _cursor, _sql, rows, **_: calls.append(rows))
    return calls


def test_key_is_made_from_the_content() -> None:
    """Two processes make the same key of the same mailing, and another of another."""
    one, two = Dimension(MAILINGS), Dimension(MAILINGS)
    assert one.find_key(Mailing(campaign="a")) == two.find_key(Mailing(campaign="a"))
    assert one.find_key(Mailing(campaign="b")) != one.find_key(Mailing(template="b"))


def test_row_is_inserted_once(inserted: list[list[tuple[Any, ...]]]) -> None:
    """A row is inserted when it is met first; rows go in the order of their keys."""
    dimension = Dimension(MAILINGS)
    keys = [dimension.find_key(Mailing(campaign=name)) for name in "abcabc"]
    dimension.insert_fresh(cast("Cursor", None))
    dimension.commit()
    dimension.find_key(Mailing(campaign="a"))
    dimension.insert_fresh(cast("Cursor", None))
    assert [[row[0] for row in rows] for rows in inserted] == [sorted(set(keys))]


def test_rolled_back_row_is_fresh_again(inserted: list[list[tuple[Any, ...]]]) -> None:
    """What a failed load did not store, the next one stores."""
    dimension = Dimension(MAILINGS)
    for _ in range(2):
        dimension.find_key(Mailing(campaign="a"))
        dimension.insert_fresh(cast("Cursor", None))
        dimension.rollback()
    assert len(inserted) == 2


def test_memory_is_bounded(inserted: list[list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forgets rather than grow without end."""
    monkeypatch.setattr(dimensions, "REMEMBERED", 3)
    dimension = Dimension(MAILINGS)
    for number in range(10):
        dimension.find_key(Mailing(subject=str(number)))
    dimension.commit()
    assert dimension._keys == {}
