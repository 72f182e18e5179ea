"""Conditions on what is known of a subject."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pypika import Order, Table, analytics
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.terms import LiteralValue, Term

from cohort_evaluator.conditions import Test, Trait
from cohort_evaluator.fields import JSON, Value, check
from cohort_evaluator.parts import Parts, Place, Verdict
from cohort_evaluator.sources import candidates, identities
from cohort_evaluator.terms import (
    BEFORE_ALL,
    FALSE,
    NEVER,
    Binder,
    Cast,
    Infix,
    Truth,
    add,
    coalesce,
    least,
    negate,
    read_time,
    when,
)

an: Final[Any] = analytics  # pypika leaves it untyped
# Of a trait's time the instants from which, and until before which, the condition holds.
_TIMES: Final[Mapping[str, Callable[[Term, Any, Binder], tuple[Term, Term]]]] = {
    "before": lambda value, instant, binder: (when(value < binder.bind(instant), BEFORE_ALL), NEVER),
    "since": lambda value, instant, binder: (when(value >= binder.bind(instant), BEFORE_ALL), NEVER),
    "within_last": lambda value, span, binder: (value, add(value, span, binder)),
    "longer_ago_than": lambda value, span, binder: (add(value, span, binder), NEVER),
    "within_next": lambda value, span, binder: (add(value, -span, binder), value),
}


def compile_trait(parts: Parts, condition: Trait, place: Place) -> Verdict:
    """The newest value at the instant, and until when it passes the test or not."""
    write, binder = Table("trait_writes"), parts.binder
    paths = [condition.path[: size + 1] for size in range(len(condition.path))]
    whole = binder.bind(list(condition.path), "text[]")
    query = Query.from_(candidates).join(identities).on(identities.person_id == candidates.subject_id)
    query = query.join(write).on(write.identity_id == identities.identity_id)
    query = query.where(write.path.isin([binder.bind(list(path), "text[]") for path in paths]))
    inside = write.at <= candidates.at
    rank = an.RowNumber().over(candidates.subject_id)
    rank = rank.orderby(when(inside, LiteralValue("1"), LiteralValue("0")), order=Order.desc)
    rank = rank.orderby(write.at, order=Order.desc)
    rank = rank.orderby(Infix(write.value, " COLLATE ", LiteralValue('"C"')), order=Order.desc)
    ranked = parts.add(
        query.select(
            candidates.subject_id,
            when(write.path == whole, write.value).as_("value"),
            *(write.at.as_("written_at"), inside.as_("inside"), rank.as_("rank")),
        ),
        "r",
    )
    query = Query.from_(ranked).groupby(ranked.subject_id)
    query = query.select(
        ranked.subject_id,
        Cast(fn.Max(ranked.value).filter((ranked.rank == 1) & Truth(ranked.inside)), "jsonb").as_("value"),
        fn.Min(ranked.written_at).filter(Truth(negate(ranked.inside))).as_("changes"),
    )
    leaf = parts.add(query, "l")
    written = coalesce(leaf.changes, NEVER)
    if condition.operator not in _TIMES:
        test = Test(condition.operator, condition.value)  # type: ignore[arg-type]  # a Trait's are no times here
        return parts.keep(place, leaf, Verdict(check(Value(leaf.value, JSON), test, binder), written))
    begins, ends = _TIMES[condition.operator](read_time(leaf.value), condition.value, binder)
    at = candidates.at
    holds = coalesce((at >= begins) & (at < ends), FALSE)
    turns = when(at < begins, begins, when(at < ends, ends, NEVER))
    return parts.keep(place, leaf, Verdict(holds, least(written, coalesce(turns, NEVER))))
