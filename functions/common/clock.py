"""The time, in the one form used everywhere: aware UTC datetimes."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def format_instant(instant: datetime) -> str:
    """`2026-11-21T09:12:33.123Z`: ISO 8601 in UTC with milliseconds. Naive datetimes are refused."""
    if instant.tzinfo is None:
        raise ValueError("a time without a zone")
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
