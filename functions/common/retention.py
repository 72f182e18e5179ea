"""How long events are kept: whole months, since a partition is a month; activities: whole weeks."""

from datetime import UTC, datetime, timedelta


def start_month(instant: datetime, months: int = 0) -> datetime:
    """The first instant of the month, in UTC, that lies so many months after (or, negative, before) an instant's."""
    instant = instant.astimezone(UTC)
    index = instant.year * 12 + instant.month - 1 + months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def find_retention_start(instant: datetime, months: int) -> datetime:
    """The oldest instant that is kept: this month and so many whole months before it."""
    return start_month(instant, -months)


def start_week(instant: datetime, weeks: int = 0) -> datetime:
    """The first instant of the week, Monday in UTC, that lies so many weeks after (or before) an instant's."""
    midnight = instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(weeks=weeks, days=-midnight.weekday())
