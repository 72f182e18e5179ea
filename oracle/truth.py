"""Whether a condition is true of a subject at an instant, by all that is known: straight from the events."""

import hashlib
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cohort_evaluator.conditions import (
    All,
    AnyOf,
    Condition,
    Did,
    DidFirst,
    DidInPeriods,
    DidThen,
    Field,
    InCohort,
    LastHas,
    Not,
    Observed,
    Pattern,
    Share,
    Test,
    Trait,
    Window,
    walk,
)
from common.activities import make_content_key
from common.json_text import encode_json
from oracle.facts import Event, Write
from oracle.people import Subject
from oracle.values import MISSING, drop_empty, get_value, is_number, normalise, passes, read_time, to_decimal
from oracle.windows import find_period, holds, is_past, list_changes

IsMember = Callable[[str, datetime], bool]  # of the cohort of that name, at that instant
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}


def is_true(condition: Condition, subject: Subject, instant: datetime, is_member: IsMember) -> bool:
    """The truth of a condition. `is_member` answers for other cohorts."""
    if isinstance(condition, All):
        return all(is_true(each, subject, instant, is_member) for each in condition.conditions)
    if isinstance(condition, AnyOf):
        return any(is_true(each, subject, instant, is_member) for each in condition.conditions)
    if isinstance(condition, Not):
        return not is_true(condition.condition, subject, instant, is_member)
    if isinstance(condition, InCohort):
        return is_member(condition.name, instant)
    return _LEAVES[type(condition)](condition, subject, instant)


def find_matching(subject: Subject, pattern: Pattern) -> list[Event]:
    """The subject's events of a kind that pass all tests, from the earliest on."""

    def find() -> list[Event]:
        return [event for event in subject.events if event.kind == pattern.kind and _pass_all(event, pattern.where)]

    found: list[Event] = subject.remember(pattern, find)
    return found


def _pass_all(event: Event, tests: tuple[tuple[Field, Test], ...]) -> bool:
    return all(passes(get_value(event, field), test) for field, test in tests)


def _list_counting(subject: Subject, pattern: Pattern, window: Window, instant: datetime) -> list[Event]:
    return [event for event in find_matching(subject, pattern) if holds(window, event.at, instant)]


def _did(condition: Did, subject: Subject, instant: datetime) -> bool:
    events = _list_counting(subject, condition.pattern, condition.window, instant)
    number: int | Decimal
    if condition.distinct is not None:
        values = {normalise(get_value(event, condition.distinct)) for event in events}
        number = len(values - {None})
    elif condition.total is not None:
        pairs = [(get_value(event, condition.total), event.weight) for event in events]
        number = sum((to_decimal(value) * weight for value, weight in pairs if is_number(value)), Decimal(0))
    else:
        number = sum(event.weight for event in events)
    return COMPARISONS[condition.operator](number, to_decimal(condition.number))


def _did_first(condition: DidFirst, subject: Subject, instant: datetime) -> bool:
    events = find_matching(subject, condition.pattern)
    return bool(events) and holds(condition.window, events[0].at, instant)


def _did_then(condition: DidThen, subject: Subject, instant: datetime) -> bool:
    firsts = find_matching(subject, condition.first)
    return any(
        second.at - condition.within <= first.at < second.at
        for second in _list_counting(subject, condition.second, condition.window, instant)
        for first in firsts
    )


def _did_in_periods(condition: DidInPeriods, subject: Subject, instant: datetime) -> bool:
    window = condition.window
    events = _list_counting(subject, condition.pattern, window, instant)
    return len({find_period(window.unit, window.week_start, window.zone, event.at) for event in events}) >= (
        condition.at_least
    )


def _last_has(condition: LastHas, subject: Subject, instant: datetime) -> bool:
    events = _list_counting(subject, condition.pattern, condition.window, instant)
    return bool(events) and _pass_all(max(events, key=lambda event: (event.at, event.key)), condition.has)


def _observed(condition: Observed, subject: Subject, instant: datetime) -> bool:
    return bool(subject.events) and is_past(condition.window, subject.events[0].at, instant)


def _trait(condition: Trait, subject: Subject, instant: datetime) -> bool:
    value = find_trait(subject, condition.path, instant)
    wanted = condition.value
    if not isinstance(wanted, datetime | timedelta):
        return passes(value, Test(condition.operator, wanted))
    time = read_time(value)
    if time is None:
        return False
    if isinstance(wanted, datetime):
        return time < wanted if condition.operator == "before" else time >= wanted
    if condition.operator == "within_last":
        return time <= instant < time + wanted
    if condition.operator == "longer_ago_than":
        return instant >= time + wanted
    return time - wanted <= instant < time


def find_trait(subject: Subject, path: tuple[str, ...], instant: datetime) -> object:
    """A trait's value as it was, or `MISSING`: a write to what is above it took it away."""

    def find_order(write: Write) -> tuple[datetime, bytes]:
        return write.at, encode_json(write.value)

    writes = [write for write in subject.writes if write.at <= instant and path[: len(write.path)] == write.path]
    newest = max(writes, key=find_order, default=None)
    return drop_empty(newest.value) if newest is not None and newest.path == path else MISSING


def _share(condition: Share, subject: Subject, _instant: datetime) -> bool:
    seeded = f"{condition.seed}\0{make_content_key(subject.own)}".encode()
    return int.from_bytes(hashlib.sha256(seeded).digest()[:8], "big") / Decimal(2**64) < to_decimal(condition.share)


_LEAVES: Final[Mapping[type, Callable[[Any, Subject, datetime], bool]]] = {
    Did: _did,
    DidFirst: _did_first,
    DidThen: _did_then,
    DidInPeriods: _did_in_periods,
    LastHas: _last_has,
    Observed: _observed,
    Trait: _trait,
    Share: _share,
}


def list_instants(condition: Condition, subject: Subject, until: datetime) -> set[datetime]:
    """Every instant up to then at which the condition may become true or false: more than enough of them. Where other
    cohorts are asked for, theirs are to be added.
    """
    instants = {event.at for event in subject.events} | {write.at for write in subject.writes}
    for window in _list_windows(condition):
        for event in subject.events:
            instants.update(list_changes(window, event.at, until))
    for each in walk(condition):
        if isinstance(each, Trait) and isinstance(each.value, timedelta):
            for write in subject.writes:
                time = read_time(write.value)
                if time is not None:
                    instants |= {time, time - each.value, time + each.value}
    return {instant for instant in instants if instant <= until}


def _list_windows(condition: Condition) -> Iterator[Window]:
    found: list[Window] = []
    for each in walk(condition):
        window = getattr(each, "window", None)
        if window is not None and window not in found:
            found.append(window)
    yield from found
