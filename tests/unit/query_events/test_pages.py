import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ApiError
from query_events.pages import Cursor, decode_cursor, encode_cursor

times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
keys = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(times, keys, st.none() | st.integers(min_value=0, max_value=2**32 - 2))
def test_cursor_comes_back(occurred_at: datetime, event_key: int, total: int | None) -> None:
    """A cursor is of URL-safe characters only, and gives back what it was made from."""
    text = encode_cursor(Cursor(occurred_at, event_key, total))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert decode_cursor(text) == Cursor(occurred_at, event_key, total)


@pytest.mark.parametrize("text", ["", "initial"])
def test_first_page_has_none(text: str) -> None:
    """No cursor and SparkPost's word for the first page are the same."""
    assert decode_cursor(text) is None


@pytest.mark.parametrize("text", ["x", "AAAA", "a" * 27, "initial2", "ä", "A" * 1000, "+" * 27])
def test_foreign_cursor_is_refused(text: str) -> None:
    """What is no cursor of ours is a 400."""
    with pytest.raises(ApiError) as caught:
        decode_cursor(text)
    assert caught.value.status == 400
