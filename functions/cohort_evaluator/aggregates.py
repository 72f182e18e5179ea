"""What a template tells of a member's events in figures: counts, sums, the newest and the most frequent values.

A template declares them by name, each with events, a field and a window in the words of cohorts' definitions
(definitions.py). One statement works all of them out for all members at once, from events as conditions find them.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor as Cursor
from pypika import Order, Table
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.terms import LiteralValue, Term

from cohort_evaluator.conditions import USER, Field, Pattern, Window
from cohort_evaluator.definitions import read_field, read_pattern, read_window
from cohort_evaluator.fields import find_number, find_scalar
from cohort_evaluator.matching import match, match_window
from cohort_evaluator.parts import Parts
from cohort_evaluator.reading import DefinitionError, read_object
from cohort_evaluator.sources import Sources, candidates
from cohort_evaluator.terms import Cast, Infix, Written
from cohort_evaluator.windows import find_earliest
from common.clock import format_instant
from common.events import Json
from common.json_text import decode_json

MOST: Final = 20  # of one template
COUNT: Final = "count"
NUMBERS: Final = ("sum", "min", "max")  # of a field that is a number
VALUES: Final = ("last", "top")  # of a field of any kind
WAYS: Final = (COUNT, *NUMBERS, *VALUES)
WHEN: Final = "occurred_at"  # what `last` may ask for beside a field
NUMERIC: Final = ("duration", "status")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")


class Aggregate(NamedTuple):
    """A declaration, read."""

    name: str
    way: str  # one of WAYS
    pattern: Pattern
    window: Window
    field: Field | None  # none of a count


def read_aggregates(declared: object, place: str = "aggregates") -> tuple[Aggregate, ...]:
    """`{name: {"count": pattern, "window"}, name: {"sum": pattern, "of": field, "window"}}`.

    Raises `DefinitionError`.
    """
    given = read_object(declared, place)
    if len(given) > MOST:
        raise DefinitionError(place, f"are more than {MOST}")
    return tuple(_read(name, value, f"{place}.{name}") for name, value in given.items())


def _read(name: str, value: object, place: str) -> Aggregate:
    if not _NAME.match(name):
        raise DefinitionError(place, "is named by 1 to 60 characters of a-z, 0-9 and _, the first of a-z")
    given = read_object(value, place)
    ways = [way for way in WAYS if way in given]
    if len(ways) != 1:
        raise DefinitionError(place, f"needs one of {', '.join(WAYS)}")
    (way,) = ways
    read_object(given, place, required=(way, "window") if way == COUNT else (way, "of", "window"))
    pattern = read_pattern(given[way], f"{place}.{way}")
    field = None if way == COUNT else _read_of(given["of"], f"{place}.of", pattern.kind, way)
    return Aggregate(name, way, pattern, read_window(given["window"], f"{place}.window"), field)


def _read_of(value: object, place: str, kind: str, way: str) -> Field:
    if value == WHEN and way == "last":
        return Field(WHEN)
    field = read_field(value, place, kind)
    if field.name == "tags":
        raise DefinitionError(place, "can't be tags, which are many values at once")
    if way in NUMBERS and not field.path and field.name not in NUMERIC:
        raise DefinitionError(place, "is a number: duration, status, or a path in metadata or properties")
    return field


def compute(cursor: Cursor, declared: Json, subjects: Sequence[int], instant: datetime) -> dict[int, Json]:
    """{subject_id: {name: value}} of each of the people at an instant, by a template's declaration.

    A count or a sum is 0 where there is nothing, all else null. Raises `DefinitionError`.
    """
    aggregates = read_aggregates(declared)
    if not aggregates or not subjects:
        return {subject: {} for subject in subjects}
    statement, values = build_statement(aggregates, subjects, instant)
    cursor.execute(statement, values)
    return {
        subject: {one.name: _show(one, value) for one, value in zip(aggregates, found, strict=True)}
        for subject, *found in cursor.fetchall()
    }


def _show(aggregate: Aggregate, value: Any) -> Any:
    if value is None:
        return 0 if aggregate.way in (COUNT, "sum") else None
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, str):  # JSON
        return decode_json(value.encode())
    if value == value.to_integral_value() and abs(value) < Decimal(10) ** 15:
        return int(value)
    return float(value) if math.isfinite(float(value)) else None


def build_statement(
    aggregates: Sequence[Aggregate], subjects: Sequence[int], instant: datetime
) -> tuple[str, dict[str, Any]]:
    """SQL that gives of each subject its id and the values, in their order; and the bound values."""
    parts = Parts(Sources(USER), instant, {})
    ids, at = parts.binder.bind(list(subjects), "int[]").get_sql(), parts.binder.bind(instant, "timestamptz").get_sql()
    people = Written(f"SELECT subject_id, {at} AS at FROM unnest({ids}) AS subject_id")  # noqa: S608 (places of values)
    found = [parts.add(_reduce(one, _match(parts, one)), "a") for one in aggregates]
    query = parts.begin(people).select(candidates.subject_id)
    for number, table in enumerate(found):
        query = query.left_join(table).on(table.subject_id == candidates.subject_id)
        query = query.select(table.value.as_(f"value{number}"))
    return query.get_sql(), parts.binder.values


def _match(parts: Parts, aggregate: Aggregate) -> Table:
    """The events that match, with the value of the field."""
    pattern, window, field = aggregate.pattern, aggregate.window, aggregate.field
    if field is None:
        return match(parts, pattern, find_earliest(window, parts.earliest), window=window)
    if field.name == WHEN:
        since = find_earliest(window, parts.earliest)
        return match(parts, pattern, since, window=window, value=lambda event: event.occurred_at)
    return match_window(parts, pattern, window, field, find_number if aggregate.way in NUMBERS else find_scalar)


def _reduce(aggregate: Aggregate, matched: Table) -> Any:
    """Of those in the window one row for each member: subject_id, value."""
    query: Any = Query.from_(matched).where(matched.enters <= matched.at)
    of, value = matched.subject_id, matched.value
    if aggregate.way == COUNT:
        return query.select(of, fn.Sum(matched.n).as_("value")).groupby(of)
    query = query.where(value.notnull())
    if aggregate.way == "last":
        query = query.distinct_on(of).select(of, _as_text(aggregate, value).as_("value")).orderby(of)
        return query.orderby(matched.occurred_at, order=Order.desc).orderby(matched.key, order=Order.desc)
    if aggregate.way == "top":
        # Of those that are as frequent the one that came last.
        query = query.distinct_on(of).select(of, _as_text(aggregate, value).as_("value")).groupby(of, value).orderby(of)
        query = query.orderby(fn.Sum(matched.n), order=Order.desc)
        query = query.orderby(fn.Max(matched.occurred_at), order=Order.desc)
        return query.orderby(Infix(Cast(value, "text"), " COLLATE ", LiteralValue('"C"')))
    if aggregate.way == "sum":
        found: Any = fn.Sum(Infix(value, " * ", matched.n))
    else:
        found = fn.Min(value) if aggregate.way == "min" else fn.Max(value)
    return query.select(of, found.as_("value")).groupby(of)


def _as_text(aggregate: Aggregate, value: Term) -> Term:
    is_time = aggregate.field is not None and aggregate.field.name == WHEN
    return value if is_time else Cast(value, "text")
