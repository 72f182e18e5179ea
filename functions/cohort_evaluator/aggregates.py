"""What a template tells of a member's events in figures: counts, sums, the newest and the most frequent values.

A template declares them by name, each with events, a field and a window in the words of cohorts' definitions
(definitions.py). One statement works all of them out for all members at once: of each figure e are the events that may
count, m those that match and are in the window, a one row for each member who has any.
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

from cohort_evaluator.conditions import ACTIVITIES, USER, Calendar, Field, Pattern, Window
from cohort_evaluator.definitions import read_field, read_pattern, read_window
from cohort_evaluator.fields import check, find_number, find_scalar, find_value, join_on, list_tables, list_values
from cohort_evaluator.reading import DefinitionError, read_object
from cohort_evaluator.sources import Sources
from cohort_evaluator.terms import Binder, Cast, Infix, Written, coalesce
from cohort_evaluator.windows import enter, find_earliest, leave, limit
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
_MEMBERS: Final = Table("members")


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
    binder = Binder()
    ids, at = binder.bind(list(subjects), "int[]").get_sql(), binder.bind(instant, "timestamptz").get_sql()
    members = Written(f"SELECT subject_id, {at} AS at FROM unnest({ids}) AS subject_id")  # noqa: S608 (places of values)
    parts: list[tuple[Any, str]] = [(members, _MEMBERS.get_table_name())]
    found = []
    for number, aggregate in enumerate(aggregates):
        since = find_earliest(aggregate.window, instant)
        event, matched = Table(f"e{number}"), Table(f"m{number}")
        parts.append((Sources(USER).read_tables(aggregate.pattern.kind, since, binder, _MEMBERS), f"e{number}"))
        parts.append((_match(aggregate, event, since, binder, instant), f"m{number}"))
        parts.append((_reduce(aggregate, matched), f"a{number}"))
        found.append(Table(f"a{number}"))
    query: Any = Query.from_(_MEMBERS)
    for part, name in [(periods, name) for name, periods in binder.shared.values()] + parts:
        query = query.with_(part, name)
    query = query.select(_MEMBERS.subject_id)
    for number, table in enumerate(found):
        query = query.left_join(table).on(table.subject_id == _MEMBERS.subject_id)
        query = query.select(table.value.as_(f"value{number}"))
    return query.get_sql(), binder.values


def _match(aggregate: Aggregate, event: Table, since: datetime | None, binder: Binder, instant: datetime) -> Any:
    """The events that match and are in the window: subject_id, occurred_at, key, n (how many it stands for), value."""
    pattern, window, field = aggregate.pattern, aggregate.window, aggregate.field
    tested = list_values(pattern, event, binder)
    value: Term = LiteralValue("NULL")
    wanted = None
    if field is not None and field.name == WHEN:
        value = event.occurred_at
    elif field is not None:
        wanted = find_value(pattern.kind, field, event, binder)
        value = find_number(wanted) if aggregate.way in NUMBERS else find_scalar(wanted)
    query: Any = Query.from_(event)
    for table, is_there in list_tables(pattern.kind, [one for one, _ in tested] + ([wanted] if wanted else [])):
        query = (query.join(table) if is_there else query.left_join(table)).on(join_on(table, event))
    n: Term = LiteralValue("1::bigint")
    if pattern.kind in ACTIVITIES:
        query = query.where(Table("operations").activity_type == binder.bind(pattern.kind))
        n = Cast(coalesce(event.weight, 1), "bigint")
    for one, test in tested:
        query = query.where(check(one, test, binder))
    if isinstance(window, Calendar):
        query = query.where(event.occurred_at >= binder.bind(since))
    for criterion in limit(window, event.occurred_at, binder):
        query = query.where(criterion)
    query = query.where(enter(window, event.occurred_at, binder, instant) <= event.at)
    query = query.where(leave(window, event.occurred_at, binder, instant) > event.at)
    if field is not None:
        query = query.where(value.notnull())
    return query.select(event.subject_id, event.occurred_at, event.key, n.as_("n"), value.as_("value"))


def _reduce(aggregate: Aggregate, matched: Table) -> Any:
    """One row for each member: subject_id, value."""
    query: Any = Query.from_(matched)
    of, value = matched.subject_id, matched.value
    if aggregate.way == "last":
        query = query.distinct_on(of).select(of, _as_text(aggregate, value).as_("value")).orderby(of)
        return query.orderby(matched.occurred_at, order=Order.desc).orderby(matched.key, order=Order.desc)
    if aggregate.way == "top":
        # Of those that are as frequent the one that came last.
        query = query.distinct_on(of).select(of, _as_text(aggregate, value).as_("value")).groupby(of, value).orderby(of)
        query = query.orderby(fn.Sum(matched.n), order=Order.desc)
        query = query.orderby(fn.Max(matched.occurred_at), order=Order.desc)
        return query.orderby(Infix(Cast(value, "text"), " COLLATE ", LiteralValue('"C"')))
    if aggregate.way == COUNT:
        found: Any = fn.Sum(matched.n)
    elif aggregate.way == "sum":
        found = fn.Sum(Infix(value, " * ", matched.n))
    else:
        found = fn.Min(value) if aggregate.way == "min" else fn.Max(value)
    return query.select(of, found.as_("value")).groupby(of)


def _as_text(aggregate: Aggregate, value: Term) -> Term:
    is_time = aggregate.field is not None and aggregate.field.name == WHEN
    return value if is_time else Cast(value, "text")
