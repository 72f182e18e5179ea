"""Whom of the touched what is new may concern: a cohort judges the others no more than those who were not touched.

An event matters to a cohort if it may match one of its patterns, as far as what events share tells; the write of a
trait if a condition reads it or what is beneath it. Where more events can only make the condition true, who is a member
already stays one until the deadline; where they can only make it untrue, who is none does.
"""

from typing import Any, Final, NamedTuple

from pypika import PostgreSQLQuery as Query
from pypika import Table

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
    InCohort,
    LastHas,
    Not,
    Observed,
    Pattern,
    Share,
    Trait,
    walk,
)
from cohort_evaluator.fields import check, kinds, list_values, operations
from cohort_evaluator.terms import Binder

# What is new of each of the touched, from the gathered events; and those of whom there is nothing older, or too old.
FIND_NEWS: Final = """
CREATE TEMPORARY TABLE news_activities_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, e.operation_id FROM touched t JOIN seen_activities_{name} e USING (subject_id)
WHERE t.is_company = %(is_company)s AND e.occurred_at >= t.since;
CREATE TEMPORARY TABLE news_mails_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, e.kind_key FROM touched t JOIN seen_mails_{name} e USING (subject_id)
WHERE t.is_company = %(is_company)s AND e.occurred_at >= t.since;
CREATE TEMPORARY TABLE news_traits_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id, w.path
FROM touched t JOIN identities i ON i.person_id = t.subject_id JOIN trait_writes w USING (identity_id)
WHERE t.is_company = %(is_company)s AND w.at >= t.since;
CREATE TEMPORARY TABLE wholly_{name} ON COMMIT DROP AS
SELECT DISTINCT t.subject_id
FROM touched t
LEFT JOIN (SELECT subject_id, min(at) AS at
           FROM (SELECT subject_id, occurred_at AS at FROM seen_activities_{name}
                 UNION ALL SELECT subject_id, occurred_at FROM seen_mails_{name}
                 UNION ALL SELECT t.subject_id, w.at FROM touched t
                           JOIN identities i ON i.person_id = t.subject_id JOIN trait_writes w USING (identity_id)
                           WHERE t.is_company = %(is_company)s) AS known
           GROUP BY 1) AS first USING (subject_id)
WHERE t.is_company = %(is_company)s
  AND (t.is_linked OR t.since < %(gathered_since)s OR first.at IS NULL OR first.at >= t.since);
ANALYZE news_activities_{name}, news_mails_{name}, news_traits_{name}, wholly_{name}
"""
EVERYBODY: Final = "SELECT subject_id FROM touched"


class _Ways(NamedTuple):
    """What more events can make of a condition."""

    true: bool
    untrue: bool


def find_concerned(condition: Condition, subject: str, cohort_id: int, binder: Binder) -> str:
    """SQL of the ids of those of the touched to whom what is new may matter."""
    if any(isinstance(each, Observed) for each in walk(condition)):
        return EVERYBODY
    parts: list[Any] = [_select(f"wholly_{subject}")]
    ways = _find_ways(condition)
    for pattern in (each for one in walk(condition) for each in _list_patterns(one)):
        news = Table(f"news_{'mails' if pattern.kind == MAIL else 'activities'}_{subject}")
        query = _find_matching(pattern, news, binder)
        if not (ways.true and ways.untrue):
            member = Table("memberships")
            on = (member.subject_id == news.subject_id) & (member.cohort_id == cohort_id) & member.exited_at.isnull()
            query = query.left_join(member).on(on)
            query = query.where(member.subject_id.isnull() if ways.true else member.subject_id.notnull())
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


def _find_matching(pattern: Pattern, news: Table, binder: Binder) -> Any:
    """Who has something new that matches, as far as what events share tells."""
    shared, key = (kinds, "kind_key") if pattern.kind == MAIL else (operations, "operation_id")
    query = Query.from_(news).join(shared).on(shared.field(key) == news.field(key)).select(news.subject_id)
    if pattern.kind in ACTIVITIES:
        query = query.where(shared.activity_type == binder.bind(pattern.kind))
    for value, test in list_values(pattern, Table("unused"), Binder()):
        if value.table is shared:
            query = query.where(check(value, test, binder))
    return query


def _list_patterns(condition: Condition) -> tuple[Pattern, ...]:
    if isinstance(condition, DidThen):
        return condition.first, condition.second
    if isinstance(condition, Did | DidFirst | DidInPeriods | LastHas):
        return (condition.pattern,)
    return ()


def _find_ways(condition: Condition) -> _Ways:
    if isinstance(condition, Not):
        ways = _find_ways(condition.condition)
        return _Ways(ways.untrue, ways.true)
    if isinstance(condition, All | AnyOf):
        each = [_find_ways(one) for one in condition.conditions]
        return _Ways(any(ways.true for ways in each), any(ways.untrue for ways in each))
    if isinstance(condition, Did) and condition.total is None and condition.operator not in ("=", "!="):
        return _Ways(condition.operator in (">=", ">"), condition.operator in ("<=", "<"))
    if isinstance(condition, DidThen | DidInPeriods):
        return _Ways(true=True, untrue=False)
    if isinstance(condition, Trait | InCohort | Share):
        return _Ways(true=False, untrue=False)
    return _Ways(true=True, untrue=True)
