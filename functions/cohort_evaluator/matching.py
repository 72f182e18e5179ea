"""The events of the candidates that match a pattern, and when each of them counts."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pypika import PostgreSQLQuery as Query
from pypika import Table
from pypika.terms import LiteralValue, Term

from cohort_evaluator.conditions import ACTIVITIES, Calendar, Field, Pattern, Window
from cohort_evaluator.fields import Value, check, find_value, join_on, list_tables
from cohort_evaluator.fields import list_values as list_tested
from cohort_evaluator.parts import Parts
from cohort_evaluator.sources import candidates
from cohort_evaluator.terms import Binder, Cast, coalesce
from cohort_evaluator.windows import enter, find_earliest, find_last_entry, leave, limit


def match(
    parts: Parts,
    pattern: Pattern,
    since: datetime | None,
    *,
    window: Window | None = None,
    value: Callable[[Table], Term] | None = None,
    tables: list[Value] | None = None,
    find_lacking: Callable[[Table], Table] | None = None,
) -> Table:
    """The events that match: subject_id, at, occurred_at, key, n, value, and enters and leaves of a window.

    Those before the gathered ones are looked for of everybody, or of those whom `find_lacking` finds by these.
    """

    def select(events: Any) -> Any:
        event = parts.add(events, "e")
        query = _select(parts, pattern, event, tables or [])
        if value is not None:
            query = query.select(value(event).as_("value"))
        return query if window is None else place_in(parts, query, window, event)

    matched = parts.add(select(parts.sources.read(pattern.kind, since, parts.binder)), "m")
    if not parts.sources.has_older(since):
        return matched
    of = candidates if find_lacking is None else find_lacking(matched)
    older = parts.add(select(parts.sources.read_older(pattern.kind, since, parts.binder, of)), "o")
    return parts.add(Query.from_(matched).select(matched.star) * Query.from_(older).select(older.star), "m")


def _select(parts: Parts, pattern: Pattern, event: Table, tables: list[Value]) -> Any:
    tested = list_tested(pattern, event, parts.binder)
    query = Query.from_(event)
    for table, is_there in list_tables(pattern.kind, [each for each, _ in tested] + tables):
        joined = query.join(table) if is_there else query.left_join(table)
        query = joined.on(join_on(table, event))
    n: Term = LiteralValue("1::bigint")
    if pattern.kind in ACTIVITIES:
        query = query.where(Table("operations").activity_type == parts.binder.bind(pattern.kind))
        n = Cast(coalesce(event.weight, 1), "bigint")
    for one, test in tested:
        query = query.where(check(one, test, parts.binder))
    return query.select(event.subject_id, event.at, event.occurred_at, event.key, n.as_("n"))


def find_none(parts: Parts, window: Window) -> Callable[[Table], Table] | None:
    """What finds those who have nothing in the window, if all that is older has entered it."""
    gathered = parts.sources.gathered_since
    if gathered is None or find_last_entry(window, gathered) > parts.earliest:
        return None

    def find(matched: Table) -> Table:
        inside = Query.from_(matched).where(matched.enters <= matched.at).where(matched.n > 0)
        return leave_out(parts, inside.select(matched.subject_id).distinct())

    return find


def leave_out(parts: Parts, subjects: Any) -> Table:
    """The other candidates."""
    those = parts.add(subjects, "i")
    query = Query.from_(candidates).left_join(those).on(those.subject_id == candidates.subject_id)
    return parts.add(query.where(those.subject_id.isnull()).select(candidates.subject_id, candidates.at), "c")


def place_in(parts: Parts, query: Any, window: Window, event: Table) -> Any:
    """Adds when events enter and leave a window; without those that have left it."""
    enters = enter(window, event.occurred_at, parts.binder, parts.earliest)
    leaves = leave(window, event.occurred_at, parts.binder, parts.earliest)
    if isinstance(window, Calendar):
        query = query.where(event.occurred_at >= parts.binder.bind(find_earliest(window, parts.earliest)))
    for criterion in limit(window, event.occurred_at, parts.binder):
        query = query.where(criterion)
    return query.where(leaves > event.at).select(enters.as_("enters"), leaves.as_("leaves"))


def match_window(parts: Parts, pattern: Pattern, window: Window, field: Field, show: Callable[[Value], Term]) -> Table:
    """The events of a window, with the value of a field."""
    since = find_earliest(window, parts.earliest)

    def value(event: Table) -> Term:
        return show(find_value(pattern.kind, field, event, parts.binder))

    tables = [find_value(pattern.kind, field, Table("unused"), Binder())]
    return match(parts, pattern, since, window=window, value=value, tables=tables)
