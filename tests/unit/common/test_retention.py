from datetime import UTC, datetime, timedelta, timezone

from common.retention import find_retention_start, start_month


def test_months_start_in_utc() -> None:
    """The month of an instant is that of UTC, whatever its zone."""
    east = timezone(timedelta(hours=2))
    assert start_month(datetime(2026, 3, 1, 1, tzinfo=east)) == datetime(2026, 2, 1, tzinfo=UTC)


def test_months_go_over_the_turn_of_the_year() -> None:
    """Counting months ahead and back crosses years."""
    assert start_month(datetime(2026, 12, 31, tzinfo=UTC), 1) == datetime(2027, 1, 1, tzinfo=UTC)
    assert find_retention_start(datetime(2026, 2, 10, tzinfo=UTC), 13) == datetime(2025, 1, 1, tzinfo=UTC)
