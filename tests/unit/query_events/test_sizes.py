from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from query_events.sizes import fit, measure, shorten_event

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
        whole = given_[0]["events"][len(given_[0]["events"]) - len(cut["events"]) :]  # the newest may be shortened
        assert cut["events"][:-1] == whole[:-1]
        assert cut["events"][-1:] in (whole[-1:], [{"shortened": True}])


def test_quotes_count_twice() -> None:
    """An entry takes what it takes within another JSON text."""
    assert measure({"a": '"'}) == len('{"a":"\\""}') + 1 + 6


def test_too_large_event_is_shortened() -> None:
    """Of an event that has no room even alone there remains what we know of, without what is large; it says so."""
    event = {"type": "click", "event_key": "k", "subject": "s" * 20_000, "rcpt_meta": {"a": "b" * 20_000}, "their": 1}
    short = {"type": "click", "event_key": "k", "subject": "s" * 10_000, "rcpt_meta": None, "shortened": True}
    assert shorten_event(event) == short
    assert fit([event, {"type": "open"}], 30_000) == [short]
    older = {"type": "open"}
    assert fit([{"id": 1, "events": [older, event]}], 30_000) == [{"id": 1, "events": [older, short]}]


def test_too_large_entry_without_events_is_kept() -> None:
    """An entry that can't be made smaller is answered all the same."""
    assert fit([{"item": "x" * 100}, {"item": "y"}], 50) == [{"item": "x" * 100}]
