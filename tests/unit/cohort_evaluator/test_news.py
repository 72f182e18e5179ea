"""Whom what is new may concern."""

from typing import Any

import pytest

from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.news import EVERYBODY, find_concerned
from cohort_evaluator.terms import Binder

CALL = {"event": "call"}
DAY = {"last": "1 days"}
ONCE = {"did": CALL, "count": {">=": 1}, "window": DAY}
SELDOM = {"did": CALL, "count": {"<": 3}, "window": DAY}
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
    found = "others" if 'NOT "memberships"."subject_id" IS NULL' in sql else "nobody"
    if found == "nobody" and '"memberships"."subject_id" IS NULL' in sql:
        found = "members"
    assert found == left_alone


def test_whoever_may_not_have_been_observed_is_always_judged() -> None:
    """Any event may be the first."""
    assert find({"did_not": CALL, "window": DAY, "not_observed_that_long": False}) == EVERYBODY
