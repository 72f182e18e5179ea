"""Whom of the touched what is new may concern: a cohort judges the others no more than those who were not touched.

An event matters to a cohort if it may match one of its patterns, as far as what events share tells; the write of a
trait if a condition reads it or what is beneath it. Where it can only make the condition true, who is a member already
stays one until the deadline; where only untrue, who is none does.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pypika import PostgreSQLQuery as Query
from pypika import Table
from pypika.terms import Criterion, LiteralValue

from cohort_evaluator.conditions import (
    ACTIVITIES,
    MAIL,
    All,
    AnyOf,
    Condition,
    Did,
    DidFirst,
    DidInPeriods,
    DidThen,
    Field,
    LastHas,
    Not,
    Observed,
    Pattern,
    Test,
    Trait,
    walk,
)
from cohort_evaluator.fields import check, find_value, kinds, operations
from cohort_evaluator.terms import Binder, Own, Truth, negate

# What is new of each of the touched, from the gathered events; and those of whom no older event was gathered, among
# them those of whom nothing older is known at all.
FIND_NEWS: Final = """
CREATE TEMPORARY TABLE news_activities_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, t.since, e.operation_id FROM touched t JOIN seen_activities_{name} e USING (subject_id)
WHERE t.is_company = %(is_company)s AND e.occurred_at >= t.since;
CREATE TEMPORARY TABLE news_mails_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, t.since, e.kind_key FROM touched t JOIN seen_mails_{name} e USING (subject_id)
WHERE t.is_company = %(is_company)s AND e.occurred_at >= t.since;
CREATE TEMPORARY TABLE news_traits_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, w.path
FROM touched t JOIN identities i ON i.person_id = t.subject_id JOIN trait_writes w USING (identity_id)
WHERE t.is_company = %(is_company)s AND w.at >= t.since;
CREATE TEMPORARY TABLE unseen_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, t.is_linked OR t.since < %(gathered_since)s OR first.at IS NULL OR first.at >= t.since
                              AS is_unknown
FROM touched t
LEFT JOIN (SELECT subject_id, min(at) AS at, min(at) FILTER (WHERE is_event) AS event_at
           FROM (SELECT subject_id, occurred_at AS at, true AS is_event FROM seen_activities_{name}
                 UNION ALL SELECT subject_id, occurred_at, true FROM seen_mails_{name}
                 UNION ALL SELECT t.subject_id, w.at, false FROM touched t
                           JOIN identities i ON i.person_id = t.subject_id JOIN trait_writes w USING (identity_id)
                           WHERE t.is_company = %(is_company)s) AS known
           GROUP BY 1) AS first USING (subject_id)
WHERE t.is_company = %(is_company)s
  AND (t.is_linked OR t.since < %(gathered_since)s OR first.event_at IS NULL OR first.event_at >= t.since);
ANALYZE news_activities_{name}, news_mails_{name}, news_traits_{name}, unseen_{name}
"""


class _NotExists(Own, Criterion):
    """That a query finds nothing."""

    def __init__(self, query: Any) -> None:
        super().__init__()
        self._query = query

    def render(self, _kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        return f"NOT EXISTS ({self._query.get_sql()})"


class _Effect(NamedTuple):
    """What events that match can make of a condition: true, untrue, or either."""

    pattern: Pattern
    makes_true: bool = True
    makes_untrue: bool = True
    unless: tuple[tuple[Field, Test], ...] = ()  # which pass these tests, all of them
    unless_older: bool = False  # where an older one matches


def find_concerned(condition: Condition, subject: str, cohort_id: int, binder: Binder) -> str:
    """SQL of the ids of those of the touched to whom what is new may matter."""
    unseen = _select(f"unseen_{subject}")
    if not any(isinstance(each, Observed) for each in walk(condition)):
        unseen = unseen.where(Truth(Table(f"unseen_{subject}").is_unknown))
    parts: list[Any] = [unseen]
    for effect in _find_effects(condition):
        query = _find_matching(effect, subject, binder)
        if not (effect.makes_true and effect.makes_untrue):
            news, known = _find_news(effect.pattern, subject), Table(f"known_{subject}")
            on = (known.subject_id == news.subject_id) & (known.cohort_id == cohort_id) & Truth(known.is_member)
            query = query.left_join(known).on(on)
            query = query.where(known.subject_id.isnull() if effect.makes_true else known.subject_id.notnull())
        parts.append(query)
    for trait in (each for each in walk(condition) if isinstance(each, Trait)):
        paths = [trait.path[: size + 1] for size in range(len(trait.path))]
        query = _select(f"news_traits_{subject}")
        parts.append(query.where(Table(f"news_traits_{subject}").path.isin([_bind(path, binder) for path in paths])))
    return " UNION ALL ".join(f"({query.get_sql()})" for query in parts)


def _select(name: str) -> Any:
    return Query.from_(Table(name)).select(Table(name).subject_id)


def _bind(path: tuple[str, ...], binder: Binder) -> Any:
    return binder.bind(list(path), "text[]")


def _find_effects(condition: Condition) -> Iterator[_Effect]:
    if isinstance(condition, All | AnyOf):
        for each in condition.conditions:
            yield from _find_effects(each)
    elif isinstance(condition, Not):
        for effect in _find_effects(condition.condition):
            yield effect._replace(makes_true=effect.makes_untrue, makes_untrue=effect.makes_true)
    elif isinstance(condition, Did):
        both = condition.total is not None or condition.operator in ("=", "!=")
        yield _Effect(condition.pattern, both or ">" in condition.operator, both or "<" in condition.operator)
    elif isinstance(condition, DidInPeriods):
        yield _Effect(condition.pattern, makes_untrue=False)
    elif isinstance(condition, DidThen):
        yield _Effect(condition.first, makes_untrue=False)
        yield _Effect(condition.second, makes_untrue=False)
    elif isinstance(condition, DidFirst):
        yield _Effect(condition.pattern, unless_older=True)
    elif isinstance(condition, LastHas):
        passing = Pattern(condition.pattern.kind, condition.pattern.where + condition.has)
        yield _Effect(passing, makes_untrue=False)
        yield _Effect(condition.pattern, makes_true=False, unless=condition.has)


def _find_news(pattern: Pattern, subject: str) -> Table:
    return Table(f"news_{'mails' if pattern.kind == MAIL else 'activities'}_{subject}")


def _find_matching(effect: _Effect, subject: str, binder: Binder) -> Any:
    """Who has something new that matches, as far as what events share tells."""
    news, pattern = _find_news(effect.pattern, subject), effect.pattern
    query = _match(Query.from_(news), news, pattern, binder).select(news.subject_id)
    if effect.unless and _is_shared(pattern.kind, effect.unless):
        passing = Truth(Criterion.all(_check_shared(pattern.kind, effect.unless, binder)))
        query = query.where(Truth(negate(passing)))
    if effect.unless_older and _is_shared(pattern.kind, pattern.where):
        seen = Table(f"seen_{'mails' if pattern.kind == MAIL else 'activities'}_{subject}")
        older = _match(Query.from_(seen), seen, pattern, binder).select(LiteralValue("1"))
        older = older.where(seen.subject_id == news.subject_id).where(seen.occurred_at < news.since)
        query = query.where(_NotExists(older))
    return query


def _match(query: Any, event: Table, pattern: Pattern, binder: Binder) -> Any:
    shared, key = (kinds, "kind_key") if pattern.kind == MAIL else (operations, "operation_id")
    query = query.join(shared).on(shared.field(key) == event.field(key))
    if pattern.kind in ACTIVITIES:
        query = query.where(shared.activity_type == binder.bind(pattern.kind))
    for criterion in _check_shared(pattern.kind, pattern.where, binder):
        query = query.where(criterion)
    return query


def _check_shared(kind: str, tests: tuple[tuple[Field, Test], ...], binder: Binder) -> list[Criterion]:
    """The tests of what events share."""
    unused = Table("unused")
    tested = [(field, test) for field, test in tests if _is_shared(kind, ((field, test),))]
    return [check(find_value(kind, field, unused, binder), test, binder) for field, test in tested]


def _is_shared(kind: str, tests: tuple[tuple[Field, Test], ...]) -> bool:
    """Whether all of them are tests of what events share."""
    return all(find_value(kind, field, Table("unused"), Binder()).table in (kinds, operations) for field, _ in tests)
