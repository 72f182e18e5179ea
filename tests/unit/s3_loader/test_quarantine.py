import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from common.events import Unparseable
from s3_loader import quarantine
from s3_loader.batches import Batch
from s3_loader.quarantine import SetAside

BATCH = Batch("raw/x", "moesif", None, None, datetime(2026, 11, 21, tzinfo=UTC), b"")


def build(count: int) -> list[dict[str, Any]]:
    """The rows of a batch with so many items that can't be loaded."""
    aside = SetAside()
    for position in range(count):
        aside.append(Unparseable(position, "it has no time", {"x": "y" * 20_000} if position == 0 else position))
    assert len(aside) == count
    return [row for _, values in aside.build(BATCH) for row in json.loads(cast("str", values[2]))]


def test_nothing_is_no_statement() -> None:
    """A batch with nothing to set aside asks nothing of the database."""
    assert build(0) == []


def test_items_are_cut() -> None:
    """A row holds the beginning of its item, and its reason whole."""
    first, second = build(2)
    assert (len(first["item"]), second["item"]) == (quarantine.LONGEST_ITEM, "1")
    assert first["reason"] == second["reason"] == "it has no time"


@pytest.mark.parametrize(("count", "more"), [(3, ""), (4, " (1 more"), (9, " (6 more")])
def test_rows_have_an_end(monkeypatch: pytest.MonkeyPatch, count: int, more: str) -> None:
    """One object makes so many rows at most; the last one tells how many more there would be."""
    monkeypatch.setattr(quarantine, "MOST", 3)
    rows = build(count)
    assert [row["item_index"] for row in rows] == [0, 1, 2]
    assert [row["reason"] for row in rows[:2]] == ["it has no time"] * 2
    assert rows[2]["reason"].startswith(f"it has no time{more}")
    assert ("not listed" in rows[2]["reason"]) == bool(more)
