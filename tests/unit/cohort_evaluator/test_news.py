"""Whom what is new may concern."""

from typing import Any

import pytest

from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.news import find_concerned
from cohort_evaluator.terms import Binder

CALL = {"event": "call"}
DAY = {"last": "1 days"}
ONCE = {"did": CALL, "count": {">=": 1}, "window": DAY}
SELDOM = {"did": CALL, "count": {"<": 3}, "window": DAY}
NOT_YET = {"did_not": CALL, "window": DAY, "not_observed_that_long": False}
TRAIT = {"trait": "metadata.plan", "is_one_of": ["pro", "team"]}


def find(members: Any) -> str:
    """The SQL for a cohort."""
    definition = {"name": "one", "title": "One", "subject": "user", "members": members}
    return find_concerned(read_cohort(definition).members, "user", 7, Binder())


@pytest.mark.parametrize(
    ("members", "left_alone"),
    [
        (ONCE, "members"),
        ({"not": SELDOM}, "members"),
        ({"all": [ONCE, TRAIT, {"cohort": "other"}, {"share": 0.5}]}, "members"),
        ({"did_then": [CALL, CALL], "within": "1 days", "window": DAY}, "members"),
        ({"not": ONCE}, "others"),
        ({"any": [SELDOM, {"not": ONCE}]}, "others"),
        ({"any": [ONCE, SELDOM]}, "nobody"),
        ({"did": CALL, "count": {"=": 1}, "window": DAY}, "nobody"),
        ({"did": CALL, "sum": {"of": "properties.n", ">=": 1}, "window": DAY}, "nobody"),
        ({"last": CALL, "has": {"status": 200}, "window": DAY}, "nobody"),
        ({"did_first": CALL, "window": DAY}, "nobody"),
    ],
)
def test_who_is_left_alone_whatever_more_happens(members: Any, left_alone: str) -> None:
    """Members where more events can only make it true, others where only untrue."""
    sql = find(members)
    members_are, others_are = 'NOT "known_user"."subject_id" IS NULL', '"known_user"."subject_id" IS NULL'
    counts = sql.count(members_are), sql.count(others_are) - sql.count(members_are)
    judged = ("members" if counts[0] else "", "others" if counts[1] else "")
    assert left_alone == {("members", ""): "others", ("", "others"): "members"}.get(judged, "nobody")


def test_who_has_both_is_asked_for_each() -> None:
    """Calls can only make the one condition true, actions only the other one untrue."""
    sql = find({"all": [ONCE, {"did_not": {"event": "action"}, "window": DAY, "not_observed_that_long": True}]})
    _, calls, actions = sql.split("UNION ALL")
    assert '"known_user"."subject_id" IS NULL' in calls
    assert "NOT" not in calls
    assert 'NOT "known_user"."subject_id" IS NULL' in actions


def test_last_one_is_of_those_whom_it_turns() -> None:
    """Who is none is asked for events that pass, who is a member for those that do not."""
    _, passing, others = find({"last": CALL, "has": {"status": 200, "method": "GET"}, "window": DAY}).split("UNION ALL")
    assert "NOT" not in passing
    status, method = '("operations"."status"=%(v{}s::numeric) IS TRUE', '("operations"."method"=%(v{}s::text) IS TRUE'
    assert f"{status.format('1)')} AND {method.format('2)')}" in passing
    assert f"(NOT ({status.format('4)')} AND {method.format('5)')}) IS TRUE)" in others


def test_last_one_with_a_value_of_its_own() -> None:
    """Any event may be one that does not pass."""
    assert "(NOT" not in find({"last": CALL, "has": {"status": 200, "duration": {"at_least": 5}}, "window": DAY})


def test_first_one_is_of_those_without_an_older_one() -> None:
    """Unless what tells that it matches is its own."""
    own = {"event": "call", "where": {"duration": {"at_least": 5}}}
    assert "NOT EXISTS" in find({"did_first": CALL, "window": DAY})
    assert "NOT EXISTS" not in find({"did_first": own, "window": DAY})


@pytest.mark.parametrize(("members", "is_observed"), [({"not": ONCE}, False), (NOT_YET, True)])
def test_who_was_not_seen_before_is_judged_by_who_asks_for_it(members: Any, is_observed: bool) -> None:
    """Any event may be the first. Others judge those of whom nothing at all was known."""
    assert ('FROM "unseen_user" WHERE' not in find(members)) == is_observed


def test_who_was_seen_before_is_left_alone() -> None:
    """More events do not make somebody observed who is."""
    assert 'NOT "known_user"."subject_id" IS NULL' in find(NOT_YET)
