"""Times as providers write them without a zone: UTC is meant, or taken for it."""

import re
from datetime import UTC, datetime

from providers._fields import read_epoch

# 11/21/2026 9:29:02 PM, as .NET writes it in American English; new versions put U+202F before the AM or PM.
_AMERICAN = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}),?\s+(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*([AP])\.?M\.?)?", re.ASCII | re.IGNORECASE
)
_SPACES = str.maketrans("\u202f\u00a0", "  ")
NOON = 12


def read_american(value: object) -> datetime:
    """A time as month/day/year with a 12-hour clock (or 24 hours, without AM or PM), or as `read_utc` reads it.

    Raises `ValueError`.
    """
    if type(value) is not str or "/" not in value:
        return read_utc(value)
    found = _AMERICAN.fullmatch(value.translate(_SPACES).strip())
    if found is None:
        return read_utc(value)
    month, day, year, hours, minute, second, half = found.groups()
    hour = int(hours)
    if half is not None:
        if not 1 <= hour <= NOON:
            raise ValueError("the time has AM or PM and no hour from 1 to 12")
        hour = hour % NOON + (NOON if half in "Pp" else 0)
    try:
        return datetime(int(year), int(month), int(day), hour, int(minute), int(second or 0), tzinfo=UTC)
    except ValueError:
        raise ValueError("the time is none of month/day/year") from None


def read_utc(value: object) -> datetime:
    """Seconds since 1970, or ISO 8601; without a zone it is UTC. Raises `ValueError`."""
    if type(value) is str and not value.strip().replace(".", "", 1).isdigit():
        try:
            instant = datetime.fromisoformat(value.strip())
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("the time is of no known form") from None
    return read_epoch(value)
