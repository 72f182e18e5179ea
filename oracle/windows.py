"""Which events a window holds at an instant, asked from the instant: where the window begins and ends then."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cohort_evaluator.conditions import Calendar, Fixed, Rolling, Window

REMEMBERED = 200_000


def holds(window: Window, at: datetime, instant: datetime) -> bool:
    """Whether an event of then counts."""
    if isinstance(window, Rolling):
        return instant - window.ending - window.length < at <= instant - window.ending
    if isinstance(window, Fixed):
        begun = window.since is None or window.since <= at
        return begun and (window.until is None or at < window.until) and at <= instant
    first, end = find_limits(window, instant)
    return first <= at < end if end is not None else first <= at <= instant


def is_past(window: Window, at: datetime, instant: datetime) -> bool:
    """Whether what happened then was long enough ago to have left the window."""
    if isinstance(window, Rolling):
        return at <= instant - window.ending - window.length
    return isinstance(window, Calendar) and at < find_limits(window, instant)[0]


def find_limits(window: Calendar, instant: datetime) -> tuple[datetime, datetime | None]:
    """The first instant of the window and the first after it; None where it is open: the current period counts."""
    today = find_period(window.unit, window.week_start, window.zone, instant)
    back = window.count - 1 if window.current else window.count
    first = start_day(window.zone, shift(window.unit, today, -back))
    return first, None if window.current else start_day(window.zone, today)


@lru_cache(REMEMBERED)
def find_period(unit: str, week_start: int, zone: str, instant: datetime) -> date:
    """The first day of the day, week or month that an instant is in, on the zone's calendar."""
    day = instant.astimezone(ZoneInfo(zone)).date()
    if unit == "week":
        return day - timedelta(days=(day.weekday() - week_start) % 7)
    return day.replace(day=1) if unit == "month" else day


def shift(unit: str, day: date, number: int) -> date:
    """The first day of a period so many periods later."""
    if unit == "month":
        months = day.year * 12 + day.month - 1 + number
        return date(months // 12, months % 12 + 1, 1)
    return day + number * timedelta(days=7 if unit == "week" else 1)


@lru_cache(REMEMBERED)
def start_day(zone: str, day: date) -> datetime:
    """The first instant at which the zone's clocks show midnight of a day, or later: minute by minute."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - what a clock on the wall shows
    wall = ZoneInfo(zone)
    minute = midnight.replace(tzinfo=UTC) - timedelta(hours=15)  # no zone is further ahead
    while minute.astimezone(wall).replace(tzinfo=None) < midnight:
        minute += timedelta(minutes=1)
    return minute


def list_changes(window: Window, at: datetime, until: datetime) -> Iterator[datetime]:
    """Every instant up to a later one at which an event of then may begin or cease to count."""
    yield at
    if isinstance(window, Rolling):
        yield at + window.ending
        yield at + window.length
        yield at + window.ending + window.length
    elif isinstance(window, Calendar):
        day = find_period(window.unit, window.week_start, window.zone, at)
        for _ in range(window.count + 2):
            start = start_day(window.zone, day)
            if start > until:
                break
            yield start
            day = shift(window.unit, day, 1)
