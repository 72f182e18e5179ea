"""How many mails one person gets in a day and in a week, over all notifications, by the calendar of her time zone."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

KEPT: Final = timedelta(days=8)  # a week, and what clocks are moved by
DAY: Final = timedelta(days=1)


class Caps(NamedTuple):
    """0 is no cap."""

    per_day: int = 0
    per_week: int = 0  # of ISO: from Monday on


def find_room(caps: Caps, zone: ZoneInfo, sent: Sequence[datetime], instant: datetime) -> datetime | None:
    """When there is room for one more beside those of the last days; None where there is now."""
    today = instant.astimezone(zone).date()
    days = [at.astimezone(zone).date() for at in sent]
    monday = today - today.weekday() * DAY
    following = None
    if caps.per_day and days.count(today) >= caps.per_day:
        following = today + DAY
    if caps.per_week and sum(day >= monday for day in days) >= caps.per_week:
        following = monday + 7 * DAY
    return None if following is None else datetime.combine(following, time(), zone).astimezone(UTC)
