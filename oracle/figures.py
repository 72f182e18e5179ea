"""A template's figures of one person at an instant (cohort_evaluator/aggregates.py), counted event by event."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal

from cohort_evaluator.aggregates import WHEN, Aggregate
from common.clock import format_instant
from oracle.facts import Event
from oracle.people import Subject
from oracle.truth import find_matching
from oracle.values import get_value, is_number, normalise, to_decimal
from oracle.windows import holds


def find_figure(aggregate: Aggregate, subject: Subject, instant: datetime) -> object:
    """A number as a `Decimal`; any other value as it came; None where there is none."""
    events = [
        event for event in find_matching(subject, aggregate.pattern) if holds(aggregate.window, event.at, instant)
    ]
    if aggregate.field is None:
        return Decimal(sum(event.weight for event in events))
    if aggregate.field.name == WHEN:
        return max((format_instant(event.at) for event in events), default=None)
    found = [(event, get_value(event, aggregate.field)) for event in events]
    if aggregate.way in ("sum", "min", "max"):
        numbers = [(event.weight, to_decimal(value)) for event, value in found if is_number(value)]
        if aggregate.way == "sum":
            return sum((weight * number for weight, number in numbers), Decimal(0))
        return (min if aggregate.way == "min" else max)((number for _, number in numbers), default=None)
    scalars = [(event, value) for event, value in found if normalise(value) is not None]
    if not scalars:
        return None
    value = max(scalars, key=lambda one: (one[0].at, one[0].key))[1] if aggregate.way == "last" else _find_top(scalars)
    return to_decimal(value) if is_number(value) else value


def _find_top(scalars: list[tuple[Event, object]]) -> object:
    """What came most often; of these what came last; of these the first in order of its bytes."""
    groups: dict[object, list[tuple[Event, object]]] = defaultdict(list)
    for event, value in scalars:
        groups[normalise(value)].append((event, value))

    def rank(group: list[tuple[Event, object]]) -> tuple[int, float, bytes]:
        newest = max(event.at for event, _ in group)
        return -sum(event.weight for event, _ in group), -newest.timestamp(), _write(group[0][1])

    return min(groups.values(), key=rank)[0][1]


def _write(value: object) -> bytes:
    if is_number(value):
        return format(to_decimal(value), "f").encode()
    return (str(value).lower() if isinstance(value, bool) else f'"{value}"').encode()
