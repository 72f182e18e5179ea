"""From a definition to one SQL statement that says of all candidates at once whether the condition is true of them.

It reads `candidates` (subject_id, at) and gives a row for each: subject_id, at, `holds`, and `until`, an instant up to
which the truth stays what it is unless something new is loaded ('infinity' where it stays for good). Each condition
that looks at data is a few CTEs: e the events that may count, m those that match with the instants at which they enter
and leave the window, l one row for each candidate.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pypika import Order, Table, analytics
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.terms import Criterion, LiteralValue, Term

from cohort_evaluator.conditions import (
    ACTIVITIES,
    MAIL,
    All,
    AnyOf,
    Calendar,
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
    Share,
    Test,
    Trait,
)
from cohort_evaluator.counting import add_up, count, count_values, find_thresholds
from cohort_evaluator.fields import check, find_number, find_scalar, find_value
from cohort_evaluator.matching import find_none, leave_out, match, match_window, place_in
from cohort_evaluator.parts import Parts, Place, Verdict
from cohort_evaluator.sources import Sources, candidates, identities
from cohort_evaluator.terms import (
    BEFORE_ALL,
    FALSE,
    NEVER,
    TRUE,
    Aggregate,
    Binder,
    Infix,
    Truth,
    add,
    coalesce,
    find_share,
    greatest,
    least,
    negate,
    when,
)
from cohort_evaluator.traits import compile_trait
from cohort_evaluator.windows import find_earliest, find_period, leave

an: Final[Any] = analytics  # pypika leaves it untyped


class Compiled(NamedTuple):
    """A statement and its values; `build_causes` makes the one that tells of each condition what it found."""

    sql: str
    values: dict[str, Any]
    build_causes: Callable[[], str]


def compile_condition(
    condition: Condition, sources: Sources, earliest: datetime, cohorts: Mapping[str, int]
) -> Compiled:
    """Compiles a condition. `earliest` is the first instant at which a candidate is evaluated; `cohorts` the ids."""
    parts = Parts(sources, earliest, cohorts)
    verdict = _compile(parts, condition, "members")
    return Compiled(parts.build(verdict), parts.binder.values, parts.build_causes)


def _compile(parts: Parts, condition: Condition, path: str) -> Verdict:
    pattern = condition.second if isinstance(condition, DidThen) else getattr(condition, "pattern", None)
    return _COMPILERS[type(condition)](parts, condition, Place(path, pattern.kind if pattern else ""))


def _compile_all(parts: Parts, condition: All, place: Place) -> Verdict:
    truths = [_compile(parts, each, f"{place.path}.all[{index}]") for index, each in enumerate(condition.conditions)]
    holds = _join(truths, " AND ")
    # While one does not hold all together do not.
    kept = greatest(*(when(Truth(each.holds), BEFORE_ALL, each.until) for each in truths))
    return Verdict(holds, when(Truth(holds), least(*(each.until for each in truths)), kept))


def _compile_any(parts: Parts, condition: AnyOf, place: Place) -> Verdict:
    truths = [_compile(parts, each, f"{place.path}.any[{index}]") for index, each in enumerate(condition.conditions)]
    holds = _join(truths, " OR ")
    kept = greatest(*(when(Truth(each.holds), each.until, BEFORE_ALL) for each in truths))
    return Verdict(holds, when(Truth(holds), kept, least(*(each.until for each in truths))))


def _compile_not(parts: Parts, condition: Not, place: Place) -> Verdict:
    truth = _compile(parts, condition.condition, f"{place.path}.not")
    return Verdict(negate(truth.holds), truth.until)


def _compile_did(parts: Parts, condition: Did, place: Place) -> Verdict:
    number = Decimal(str(condition.number))
    if condition.total is not None:
        matched = match_window(parts, condition.pattern, condition.window, condition.total, find_number)
        return add_up(parts, matched, condition.operator, number, place)
    if condition.distinct is not None:
        matched = match_window(parts, condition.pattern, condition.window, condition.distinct, find_scalar)
        return count_values(parts, matched, condition.operator, int(number), place)
    window = condition.window
    find_lacking = find_none(parts, window) if find_thresholds(condition.operator, int(number)) == [1] else None
    since = find_earliest(window, parts.earliest)
    matched = match(parts, condition.pattern, since, window=window, find_lacking=find_lacking)
    return count(parts, matched, condition.operator, int(number), place)


def _compile_did_first(parts: Parts, condition: DidFirst, place: Place) -> Verdict:
    since = find_earliest(condition.window, parts.earliest)
    find_lacking = None
    if since is not None and not parts.sources.has_older(since):

        def find_lacking(found: Table) -> Table:
            """Those for whom the first one is in the window, or still to come, unless there is an older one."""
            query = Query.from_(found).groupby(found.subject_id, found.at).select(found.subject_id, found.at)
            first = fn.Min(found.occurred_at)
            # A range, though one without end: the planner takes that for few, which they are.
            return parts.add(query.having((first >= parts.binder.bind(since)) & (first < NEVER)), "c")

    matched = match(parts, condition.pattern, None, find_lacking=find_lacking)
    every: Any = Query.from_(matched)
    first = every.distinct_on(matched.subject_id).select(matched.star)
    found = parts.add(first.orderby(matched.subject_id, matched.occurred_at, matched.key), "f")
    columns = (found.subject_id, found.at, found.occurred_at, found.key, LiteralValue("1::bigint").as_("n"))
    placed = parts.add(place_in(parts, Query.from_(found).select(*columns), condition.window, found), "m")
    return count(parts, placed, ">=", 1, place)


def _compile_did_then(parts: Parts, condition: DidThen, place: Place) -> Verdict:
    since = find_earliest(condition.window, parts.earliest)
    first = match(parts, condition.first, since and since - condition.within)
    second = match(parts, condition.second, since)
    columns = ("subject_id", "at", "occurred_at", "key")
    firsts = Query.from_(first).select(*map(first.field, columns), LiteralValue("1").as_("is_first"))
    seconds = Query.from_(second).select(*map(second.field, columns), LiteralValue("0").as_("is_first"))
    both = parts.add(firsts * seconds, "u")
    span = add(LiteralValue("interval '0'"), condition.within, parts.binder).get_sql()
    before = an.Sum(both.is_first).over(both.subject_id).orderby(both.occurred_at)
    before = before.range(f"{span} PRECEDING", "interval '1 microsecond' PRECEDING")
    ranked = Query.from_(both).select(*map(both.field, columns), both.is_first, before.as_("before"))
    counted = parts.add(ranked, "r")
    columns_of = (*map(counted.field, columns), LiteralValue("1::bigint").as_("n"))
    query = Query.from_(counted).where(counted.is_first == 0).where(counted.before > 0).select(*columns_of)
    return count(parts, parts.add(place_in(parts, query, condition.window, counted), "m"), ">=", 1, place)


def _compile_did_in_periods(parts: Parts, condition: DidInPeriods, place: Place) -> Verdict:
    window: Calendar = condition.window
    since = find_earliest(window, parts.earliest)
    matched = match(
        parts,
        condition.pattern,
        since,
        window=window,
        value=lambda event: find_period(window, event.occurred_at, parts.binder, parts.earliest),
    )
    return count_values(parts, matched, ">=", condition.at_least, place)


def _compile_last_has(parts: Parts, condition: LastHas, place: Place) -> Verdict:
    tests: list[tuple[Field, Test]] = list(condition.has)
    pattern = condition.pattern

    def value(event: Table) -> Term:
        found = [(find_value(pattern.kind, field, event, parts.binder), test) for field, test in tests]
        return _all([check(one, test, parts.binder) for one, test in found])

    tables = [find_value(pattern.kind, field, Table("unused"), Binder()) for field, _ in tests]
    since = find_earliest(condition.window, parts.earliest)
    find_lacking = find_none(parts, condition.window)
    matched = match(
        parts, pattern, since, window=condition.window, value=value, tables=tables, find_lacking=find_lacking
    )
    inside = matched.enters <= matched.at

    def rank(term: Any) -> Any:
        """Over the events inside the window, the newest first, then the others."""
        ordered = term.over(matched.subject_id)
        ordered = ordered.orderby(when(inside, LiteralValue("1"), LiteralValue("0")), order=Order.desc)
        return ordered.orderby(matched.occurred_at, order=Order.desc).orderby(matched.key, order=Order.desc)

    found = rank(an.FirstValue(when(inside, matched.value, FALSE)))
    query = Query.from_(matched).select(matched.star, rank(an.RowNumber()).as_("rank"), found.as_("found"))
    ranked = parts.add(query, "r")
    newest = (ranked.enters <= ranked.at) & (ranked.rank == 1)
    coming = (ranked.enters > ranked.at) & (ranked.value != ranked.found)  # others change nothing
    query = Query.from_(ranked).groupby(ranked.subject_id)
    query = query.select(
        ranked.subject_id,
        Aggregate("bool_or", ranked.value).filter(newest).as_("found"),
        least(fn.Max(ranked.leaves).filter(newest), fn.Min(ranked.enters).filter(coming)).as_("changes"),
    )
    leaf = parts.add(query, "l")
    return parts.keep(place, leaf, Verdict(coalesce(leaf.found, FALSE), coalesce(leaf.changes, NEVER)), matched)


def _compile_observed(parts: Parts, condition: Observed, place: Place) -> Verdict:
    since = find_earliest(condition.window, parts.earliest)
    first = _find_first(parts, lambda kind: parts.sources.read(kind, None, parts.binder))
    if parts.sources.has_older(None):
        of = candidates
        if not parts.sources.has_older(since):
            seen = Query.from_(first).where(first.first < parts.binder.bind(since)).select(first.subject_id)
            of = leave_out(parts, seen)
        older = _find_first(parts, lambda kind: parts.sources.read_older(kind, None, parts.binder, of))
        both = parts.add(Query.from_(first).select(first.star) * Query.from_(older).select(older.star), "u")
        query = Query.from_(both).groupby(both.subject_id)
        first = parts.add(query.select(both.subject_id, fn.Min(both.first).as_("first")), "f")
    leaves = leave(condition.window, first.first, parts.binder, parts.earliest)
    leaves = when(first.first >= parts.binder.bind(since), leaves, BEFORE_ALL)
    leaf = parts.add(Query.from_(first).select(first.subject_id, leaves.as_("leaves")), "l")
    holds = coalesce(leaf.leaves <= candidates.at, FALSE)
    return parts.keep(place, leaf, Verdict(holds, when(leaf.leaves > candidates.at, leaf.leaves, NEVER)))


def _find_first(parts: Parts, read: Callable[[str], Any]) -> Table:
    """The instant of the first event of any kind."""
    firsts = []
    for kind in (MAIL, ACTIVITIES[0]):
        event = parts.add(read(kind), "e")
        firsts.append(Query.from_(event).select(event.subject_id, event.occurred_at))
    both = parts.add(firsts[0] * firsts[1], "u")
    query = Query.from_(both).groupby(both.subject_id)
    return parts.add(query.select(both.subject_id, fn.Min(both.occurred_at).as_("first")), "f")


def _compile_in_cohort(parts: Parts, condition: InCohort, place: Place) -> Verdict:
    cohort_id = parts.cohorts.get(condition.name)
    if cohort_id is None:
        return Verdict(FALSE, NEVER)
    member = Table("memberships")
    query = Query.from_(candidates).join(member).on(member.subject_id == candidates.subject_id)
    query = query.where(member.cohort_id == cohort_id)
    query = query.where(coalesce(member.exited_at, NEVER) > candidates.at)
    matched = parts.add(
        query.select(
            *(candidates.subject_id, candidates.at, member.entered_at.as_("enters")),
            *(coalesce(member.exited_at, NEVER).as_("leaves"), LiteralValue("1::bigint").as_("n")),
        ),
        "m",
    )
    return count(parts, matched, ">=", 1, place)


def _compile_share(parts: Parts, condition: Share, place: Place) -> Verdict:
    query = Query.from_(candidates).join(identities).on(identities.identity_id == candidates.subject_id)
    share = find_share(parts.binder.bind(condition.seed, "text"), identities.content_key)
    chosen = share < parts.binder.bind(Decimal(str(condition.share)), "numeric")
    leaf = parts.add(query.select(candidates.subject_id, chosen.as_("chosen")), "l")
    return parts.keep(place, leaf, Verdict(coalesce(leaf.chosen, FALSE), NEVER))


# Each takes the condition that it is for.
_COMPILERS: Final[dict[type, Callable[[Parts, Any, Place], Verdict]]] = {
    All: _compile_all,
    AnyOf: _compile_any,
    Not: _compile_not,
    Trait: compile_trait,
    Did: _compile_did,
    DidFirst: _compile_did_first,
    DidThen: _compile_did_then,
    DidInPeriods: _compile_did_in_periods,
    LastHas: _compile_last_has,
    Observed: _compile_observed,
    InCohort: _compile_in_cohort,
    Share: _compile_share,
}


def _all(criteria: list[Criterion]) -> Term:
    joined: Term = TRUE
    for each in criteria:
        joined = Infix(joined, " AND ", each)
    return joined


def _join(truths: list[Verdict], operator: str) -> Term:
    joined = truths[0].holds
    for each in truths[1:]:
        joined = Infix(joined, operator, each.holds)
    return joined
