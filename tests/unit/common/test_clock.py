from datetime import UTC, datetime, timedelta, timezone

import pytest

from common.clock import format_instant, now


def test_now_is_aware_and_utc() -> None:
    """The present has a zone, and it is UTC."""
    assert now().tzinfo is UTC


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    """Any zone becomes UTC; microseconds are cut."""
    east = timezone(timedelta(hours=2))
    assert format_instant(datetime(2026, 11, 21, 2, 3, 4, 567_999, tzinfo=east)) == "2026-11-21T00:03:04.567Z"


def test_naive_times_are_refused() -> None:
    """A time without a zone means nothing."""
    with pytest.raises(ValueError, match="zone"):
        format_instant(datetime(2026, 11, 21))
