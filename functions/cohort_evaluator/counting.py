"""What is counted of the events that match, and until when it stays on its side of a threshold."""

from decimal import Decimal
from typing import Any, Final

from pypika import Order, Table, analytics
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.terms import LiteralValue

from cohort_evaluator.parts import Parts, Place, Verdict
from cohort_evaluator.terms import BEFORE_ALL, NEVER, Aggregate, Infix, coalesce, least, when

an: Final[Any] = analytics  # pypika leaves it untyped
_OPERATORS: Final = {">=": ">=", ">": ">", "<=": "<=", "<": "<", "=": "=", "!=": "<>"}


def count(parts: Parts, matched: Table, operator: str, number: int, place: Place) -> Verdict:
    """How often, by weights."""
    thresholds = find_thresholds(operator, number)
    if thresholds == [1]:  # whether there is any
        inside, counts = matched.enters <= matched.at, matched.n > 0
        query = Query.from_(matched).groupby(matched.subject_id)
        query = query.select(
            matched.subject_id,
            fn.Sum(matched.n).filter(inside).as_("total"),
            fn.Max(matched.leaves).filter(inside & counts).as_("falls_1"),
            fn.Min(matched.enters).filter((matched.enters > matched.at) & counts).as_("rises_1"),
        )
        return _compare(parts, parts.add(query, "l"), operator, number, thresholds, place, matched)
    inside, outside = matched.enters <= matched.at, matched.enters > matched.at
    of = matched.subject_id
    newest = an.Sum(matched.n).filter(inside).over(of).orderby(matched.leaves, order=Order.desc).rows(an.Preceding())
    coming = an.Sum(matched.n).filter(outside).over(of).orderby(matched.enters).rows(an.Preceding())
    total = an.Sum(matched.n).filter(inside).over(of)
    ranked = parts.add(
        Query.from_(matched).select(
            *(of, matched.at, matched.enters, matched.leaves),
            *(newest.as_("newest"), coming.as_("coming"), coalesce(total, 0).as_("total")),
        ),
        "r",
    )
    inside, outside = ranked.enters <= ranked.at, ranked.enters > ranked.at
    query = Query.from_(ranked).groupby(ranked.subject_id)
    query = query.select(ranked.subject_id, fn.Max(ranked.total).as_("total"))
    for threshold in thresholds:
        falls = fn.Max(ranked.leaves).filter(inside & (ranked.newest >= threshold))
        rises = fn.Min(ranked.enters).filter(outside & (Infix(ranked.total, " + ", ranked.coming) >= threshold))
        query = query.select(falls.as_(f"falls_{threshold}"), rises.as_(f"rises_{threshold}"))
    return _compare(parts, parts.add(query, "l"), operator, number, thresholds, place, matched)


def count_values(parts: Parts, matched: Table, operator: str, number: int, place: Place) -> Verdict:
    """How many different values."""
    inside, outside = matched.enters <= matched.at, matched.enters > matched.at
    query = Query.from_(matched).where(matched.value.notnull()).groupby(matched.subject_id, matched.value)
    last, coming = fn.Max(matched.leaves).filter(inside), fn.Min(matched.enters).filter(outside)
    grouped = parts.add(query.select(matched.subject_id, last.as_("last"), coming.as_("coming")), "g")
    rank = an.RowNumber().over(grouped.subject_id).orderby(coalesce(grouped.last, BEFORE_ALL), order=Order.desc)
    ranked = parts.add(Query.from_(grouped).select(grouped.star, rank.as_("rank")), "r")
    query = Query.from_(ranked).groupby(ranked.subject_id)
    query = query.select(ranked.subject_id, fn.Count(ranked.last).as_("total"))
    thresholds = find_thresholds(operator, number)
    for threshold in thresholds:
        falls = fn.Max(ranked.last).filter(ranked.rank == threshold)
        rises = fn.Min(ranked.coming).filter(ranked.last.isnull())
        query = query.select(falls.as_(f"falls_{threshold}"), rises.as_(f"rises_{threshold}"))
    return _compare(parts, parts.add(query, "l"), operator, number, thresholds, place, matched)


def _compare(
    parts: Parts, leaf: Table, operator: str, number: int, thresholds: list[int], place: Place, matched: Table
) -> Verdict:
    total = coalesce(leaf.total, 0)
    bounds = [
        coalesce(when(total >= each, leaf.field(f"falls_{each}"), leaf.field(f"rises_{each}")), NEVER)
        for each in thresholds
    ]
    truth = Verdict(Infix(total, f" {_OPERATORS[operator]} ", LiteralValue(str(number))), least(NEVER, *bounds))
    return parts.keep(place, leaf, truth, matched)


def add_up(parts: Parts, matched: Table, operator: str, number: Decimal, place: Place) -> Verdict:
    """The sum of values, each times its weight."""
    inside, outside = matched.enters <= matched.at, matched.enters > matched.at
    query = Query.from_(matched).where(matched.value.notnull()).groupby(matched.subject_id)
    query = query.select(
        matched.subject_id,
        Aggregate("sum", Infix(matched.value, " * ", matched.n)).filter(inside).as_("total"),
        least(fn.Min(matched.leaves).filter(inside), fn.Min(matched.enters).filter(outside)).as_("changes"),
    )
    leaf = parts.add(query, "l")
    compared = Infix(coalesce(leaf.total, 0), f" {_OPERATORS[operator]} ", parts.binder.bind(number, "numeric"))
    return parts.keep(place, leaf, Verdict(compared, coalesce(leaf.changes, NEVER)), matched)


def find_thresholds(operator: str, number: int) -> list[int]:
    """The counts at which the comparison may turn. Below 1 none can be crossed."""
    first, second = [number], [number + 1]
    found = {">=": first, "<": first, ">": second, "<=": second, "=": first + second, "!=": first + second}[operator]
    return [each for each in found if each > 0]
