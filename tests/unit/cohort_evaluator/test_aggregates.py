"""Declarations of figures are read as cohorts' conditions are, and say where they are wrong."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cohort_evaluator import conditions as c
from cohort_evaluator.aggregates import MOST, Aggregate, build_statement, read_aggregates
from cohort_evaluator.reading import DefinitionError

EVER: dict[str, Any] = {"ever": True}
CALLS = {"count": {"event": "call"}, "window": EVER}


def test_declarations_are_read() -> None:
    """Each with its name, what is made of which events, and when these count."""
    where = {"event": "mail", "where": {"type": "opened"}}
    declared = {"calls": CALLS, "link": {"top": where, "of": "metadata.a.b", "window": EVER}}
    assert read_aggregates(declared) == (
        Aggregate("calls", "count", c.Pattern("call"), c.EVER, None),
        Aggregate(
            "link",
            "top",
            c.Pattern("mail", ((c.Field("type"), c.Test("is", "opened")),)),
            c.EVER,
            c.Field("metadata", ("a", "b")),
        ),
    )
    assert read_aggregates({}) == ()


@pytest.mark.parametrize(
    ("declared", "place", "reason"),
    [
        ([], "aggregates", "is an object"),
        ({"Calls": CALLS}, "aggregates.Calls", "is named by"),
        ({"a b": CALLS}, "aggregates.a b", "is named by"),
        ({"a": {"window": EVER}}, "aggregates.a", "needs one of count, sum, min, max, last, top"),
        ({"a": {**CALLS, "sum": {"event": "call"}}}, "aggregates.a", "needs one of"),
        ({"a": {"count": {"event": "call"}}}, "aggregates.a", "needs window"),
        ({"a": {"sum": {"event": "call"}, "window": EVER}}, "aggregates.a", "needs of"),
        ({"a": {**CALLS, "of": "duration"}}, "aggregates.a.of", "is unknown"),
        ({"a": {"count": {"event": "fly"}, "window": EVER}}, "aggregates.a.count.event", "is one of mail"),
        ({"a": {"count": {"event": "call"}, "window": {"last": "soon"}}}, "aggregates.a.window.last", "is a number of"),
        ({"a": {"sum": {"event": "call"}, "of": "route", "window": EVER}}, "aggregates.a.of", "is a number"),
        ({"a": {"top": {"event": "mail"}, "of": "tags", "window": EVER}}, "aggregates.a.of", "can't be tags"),
        ({"a": {"top": {"event": "mail"}, "of": "occurred_at", "window": EVER}}, "aggregates.a.of", "is no field"),
        ({f"a{number}": CALLS for number in range(MOST + 1)}, "aggregates", "are more than"),
        (
            {"a": {"count": {"event": "call", "where": {"status": {"over": 1}}}, "window": EVER}},
            "aggregates.a.count.where.status.over",
            "is none of",
        ),
    ],
)
def test_faults_are_told_with_their_place(declared: Any, place: str, reason: str) -> None:
    """So that whoever saves the template finds them."""
    with pytest.raises(DefinitionError) as caught:
        read_aggregates(declared)
    assert caught.value.place == place
    assert caught.value.reason.startswith(reason)


def test_values_are_bound() -> None:
    """Nothing that a template says is a part of the SQL."""
    where = {"properties.x'y": {"contains": "it's"}, "name": "a;b"}
    declared = {"a": {"last": {"event": "action", "where": where}, "of": 'properties.q"r', "window": EVER}}
    statement, values = build_statement(read_aggregates(declared), [1], datetime(2026, 11, 21, tzinfo=UTC))
    assert not any(text in statement for text in ("x'y", "it's", "a;b", 'q"r'))
    assert {"x'y", "it's", "a;b", 'q"r'} <= {value for value in values.values() if isinstance(value, str)}
