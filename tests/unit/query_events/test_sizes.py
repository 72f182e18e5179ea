from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from query_events.sizes import fit, measure

entries = st.lists(
    st.fixed_dictionaries(
        {"id": st.integers(0, 9_999), "events": st.lists(st.fixed_dictionaries({"x": st.text()}), max_size=5)}
    ),
    max_size=8,
)


@given(entries, st.integers(60, 2000))
def test_first_entries_that_fit(given_: list[dict[str, Any]], room: int) -> None:
    """The first entries are kept, at least one of them, and in all they have room."""
    kept = fit(given_, room)
    assert bool(kept) == bool(given_)
    assert sum(map(measure, kept)) <= room
    if len(kept) < len(given_):
        assert len(kept) == 1 or measure(given_[len(kept)]) > room - sum(map(measure, kept))
    if kept != given_[: len(kept)]:
        (cut,) = kept
        assert cut["id"] == given_[0]["id"]
        assert given_[0]["events"][len(given_[0]["events"]) - len(cut["events"]) :] == cut["events"]


def test_quotes_count_twice() -> None:
    """An entry takes what it takes within another JSON text."""
    assert measure({"a": '"'}) == len('{"a":"\\""}') + 1 + 6


def test_too_large_entry_without_events_is_kept() -> None:
    """An entry that can't be made smaller is answered all the same."""
    assert fit([{"item": "x" * 100}, {"item": "y"}], 50) == [{"item": "x" * 100}]
