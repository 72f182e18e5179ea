"""When an event enters a window and when it leaves it, in SQL, and how far back a window reaches."""

from datetime import datetime, timedelta
from typing import Any

from pypika.terms import Criterion, Term

from cohort_evaluator.conditions import Calendar, Fixed, Rolling, Window
from cohort_evaluator.terms import NEVER, Binder, Own, Written, add, coalesce, start_period

LONGEST = {"day": timedelta(days=1, hours=2), "week": timedelta(days=7, hours=2), "month": timedelta(days=31, hours=2)}


def enter(window: Window, occurred_at: Term, binder: Binder, earliest: datetime) -> Term:
    """The instant from which an event counts; of those since `find_earliest` of the same instant."""
    if isinstance(window, Rolling) and window.ending:
        return add(occurred_at, window.ending, binder)
    if isinstance(window, Calendar) and not window.current:
        return _shift(window, occurred_at, 1, binder, earliest)
    return occurred_at


def leave(window: Window, occurred_at: Term, binder: Binder, earliest: datetime) -> Term:
    """The instant from which an event counts no more; of those since `find_earliest` of the same instant."""
    if isinstance(window, Rolling):
        return add(occurred_at, window.ending + window.length, binder)
    if isinstance(window, Calendar):
        return _shift(window, occurred_at, window.count + (0 if window.current else 1), binder, earliest)
    return NEVER


def find_period(window: Calendar, occurred_at: Term, binder: Binder, earliest: datetime) -> Term:
    """The first instant of the day, week or month that holds an event; of those since `find_earliest`."""
    return _shift(window, occurred_at, 0, binder, earliest)


def limit(window: Window, occurred_at: Term, binder: Binder) -> list[Criterion]:
    """What tells the events that ever count from the others."""
    conditions: list[Criterion] = []
    if isinstance(window, Fixed) and window.since is not None:
        conditions.append(occurred_at >= binder.bind(window.since))
    if isinstance(window, Fixed) and window.until is not None:
        conditions.append(occurred_at < binder.bind(window.until))
    return conditions


def find_earliest(window: Window, instant: datetime) -> datetime | None:
    """An instant before which no event counts at that instant or later; None where any may."""
    if isinstance(window, Rolling):
        return instant - window.ending - window.length
    if isinstance(window, Calendar):
        return instant - LONGEST[window.unit] * (window.count + (1 if window.current else 2))
    return window.since


def find_last_entry(window: Window, instant: datetime) -> datetime:
    """An instant by which all events before another have entered."""
    if isinstance(window, Rolling):
        return instant + window.ending
    return instant + LONGEST[window.unit] if isinstance(window, Calendar) else instant


def _shift(window: Calendar, instant: Term, count: int, binder: Binder, earliest: datetime) -> Term:
    """Looks a period up among those of the time that matters, each worked out once; later ones are worked out."""
    since = find_earliest(window, earliest)
    key = (window.unit, window.zone, window.week_start, since)
    if key not in binder.shared:
        binder.shared[key] = (f"p{len(binder.shared)}", _list_periods(window, since, binder))
    unit, zone = binder.bind(window.unit, "text"), binder.bind(window.zone, "text")
    worked_out = start_period(instant, unit, window.week_start, zone, count)
    return coalesce(_Period(binder.shared[key][0], instant, zone, count), worked_out)


def _list_periods(window: Calendar, since: datetime | None, binder: Binder) -> Written:
    """The periods from an instant on: where the wall clock shows their beginnings, and the instants of these."""
    since_place, unit = binder.bind(since).get_sql(), binder.bind(window.unit, "text").get_sql()
    zone, start = binder.bind(window.zone, "text").get_sql(), window.week_start if window.unit == "week" else 0
    first = f"date_trunc({unit}, ({since_place} AT TIME ZONE {zone}) - interval '{start} days')"
    midnight = f"{first} + interval '{start} days' + k * ('1 ' || {unit})::interval"
    begins = f"start_period({since_place}, {unit}, {window.week_start}, {zone}, k)"
    # From the one before on: where clocks are put back at midnight the day before begins again for an hour.
    return Written(
        f"SELECT array_agg({midnight} ORDER BY k) AS midnights, array_agg({begins} ORDER BY k) AS starts "  # noqa: S608
        f"FROM generate_series(-1, {3 * window.count + 12}) AS k"
    )


class _Period(Own):
    """The beginning of the period that holds an instant, moved by a number of them; null behind the last."""

    def __init__(self, periods: str, instant: Term, zone: Term, count: int) -> None:
        super().__init__()
        self._periods, self._instant, self._zone, self._count = periods, instant, zone, count

    def render(self, kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        wall = f"({self._instant.get_sql(**kwargs)} AT TIME ZONE {self._zone.get_sql(**kwargs)})"
        place = f"width_bucket({wall}, (SELECT midnights FROM {self._periods}))"  # noqa: S608
        return f"(SELECT starts FROM {self._periods})[{place} + {self._count}]"  # noqa: S608
