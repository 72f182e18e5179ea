from datetime import UTC, datetime, timedelta, timezone

from common.retention import find_retention_start, start_month, start_week


def test_months_start_in_utc() -> None:
    """The month of an instant is that of UTC, whatever its zone."""
    east = timezone(timedelta(hours=2))
    assert start_month(datetime(2026, 3, 1, 1, tzinfo=east)) == datetime(2026, 2, 1, tzinfo=UTC)


def test_months_go_over_the_turn_of_the_year() -> None:
    """Counting months ahead and back crosses years."""
    assert start_month(datetime(2026, 12, 31, tzinfo=UTC), 1) == datetime(2027, 1, 1, tzinfo=UTC)
    assert find_retention_start(datetime(2026, 2, 10, tzinfo=UTC), 13) == datetime(2025, 1, 1, tzinfo=UTC)


def test_weeks_start_on_monday_in_utc() -> None:
    """The week of an instant begins on Monday in UTC, as Postgres has it; weeks are counted back over the year."""
    east = timezone(timedelta(hours=2))
    assert start_week(datetime(2026, 11, 23, 1, tzinfo=east)) == datetime(2026, 11, 16, tzinfo=UTC)
    assert start_week(datetime(2026, 1, 1, tzinfo=UTC), -1) == datetime(2025, 12, 22, tzinfo=UTC)
