"""When an event enters a window and when it leaves it, in SQL, and how far back a window reaches."""

from datetime import datetime, timedelta

from pypika.terms import Criterion, Term

from cohort_evaluator.conditions import Calendar, Fixed, Rolling, Window
from cohort_evaluator.terms import NEVER, Binder, add, start_period

LONGEST = {"day": timedelta(days=1, hours=2), "week": timedelta(days=7, hours=2), "month": timedelta(days=31, hours=2)}


def enter(window: Window, occurred_at: Term, binder: Binder) -> Term:
    """The instant from which an event counts."""
    if isinstance(window, Rolling) and window.ending:
        return add(occurred_at, window.ending, binder)
    if isinstance(window, Calendar) and not window.current:
        return _shift(window, occurred_at, 1, binder)
    return occurred_at


def leave(window: Window, occurred_at: Term, binder: Binder) -> Term:
    """The instant from which an event counts no more."""
    if isinstance(window, Rolling):
        return add(occurred_at, window.ending + window.length, binder)
    if isinstance(window, Calendar):
        return _shift(window, occurred_at, window.count + (0 if window.current else 1), binder)
    return NEVER


def find_period(window: Calendar, occurred_at: Term, binder: Binder) -> Term:
    """The first instant of the day, week or month that holds an event."""
    return _shift(window, occurred_at, 0, binder)


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
        return instant - LONGEST[window.unit] * (window.count + 2)
    return window.since


def _shift(window: Calendar, instant: Term, count: int, binder: Binder) -> Term:
    unit, zone = binder.bind(window.unit, "text"), binder.bind(window.zone, "text")
    return start_period(instant, unit, window.week_start, zone, count)
