import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort_evaluator import conditions as c
from cohort_evaluator.definitions import COMPARISONS, MOST_CONDITIONS, TESTS, TRAIT_TIMES, read_cohort
from cohort_evaluator.reading import DEEPEST, LONGEST_WINDOW, DefinitionError
from common.events import EVENT_TYPES

CALL: dict[str, Any] = {"event": "call"}
CALLED = c.Pattern("call")
EVER: dict[str, Any] = {"ever": True}
WEEK = {"last": "7 days"}
LAST_WEEK = c.Rolling(length=timedelta(days=7))
TODAY = {"days": 1, "zone": "UTC", "current": "included"}
DID: dict[str, Any] = {"did": CALL, "count": {">=": 1}, "window": EVER}
EVER_DID = c.Did(CALLED, c.EVER, ">=", 1)


def wrap(members: object, **others: object) -> dict[str, Any]:
    """A whole definition."""
    return {"name": "some", "title": "Some", "subject": "user", "members": members, **others}


def read(members: object) -> c.Condition:
    """What a definition asks of members."""
    return read_cohort(wrap(members)).members


def refuse(definition: object) -> tuple[str, str]:
    """Where and why a definition is refused."""
    with pytest.raises(DefinitionError) as caught:
        read_cohort(definition)
    assert str(caught.value) == f"{caught.value.place}: {caught.value.reason}"
    return caught.value.place, caught.value.reason


def test_definition_is_read() -> None:
    """A name, a title, the kind of subjects, and a condition."""
    assert read_cohort(wrap(DID, name="2-calls", title="Zwei Öre", subject="company")) == c.Cohort(
        name="2-calls", title="Zwei Öre", subject="company", members=EVER_DID
    )


def test_definition_is_left_as_it_was() -> None:
    """Reading takes nothing out of what it reads."""
    definition = wrap({"did": CALL, "sum": {"of": "duration", ">": 1}, "window": WEEK})
    before = copy.deepcopy(definition)
    read_cohort(definition)
    assert definition == before


CONDITIONS: dict[str, tuple[dict[str, Any], c.Condition]] = {
    "all": ({"all": [DID, {"share": 1}]}, c.All((EVER_DID, c.Share(1.0, "some")))),
    "any": ({"any": [DID, {"cohort": "other"}]}, c.AnyOf((EVER_DID, c.InCohort("other")))),
    "not": ({"not": {"not": DID}}, c.Not(c.Not(EVER_DID))),
    "trait": ({"trait": "metadata.plan", "is": "pro"}, c.Trait(("metadata", "plan"), "is", "pro")),
    "trait with a dot in its name": ({"trait": ["a.b"], "at_least": 1.5}, c.Trait(("a.b",), "at_least", 1.5)),
    "trait that is there": ({"trait": "a", "exists": False}, c.Trait(("a",), "exists", False)),
    "trait in a list": ({"trait": "a", "is_one_of": [1, "b", True]}, c.Trait(("a",), "is_one_of", [1, "b", True])),
    "trait as a time": (
        {"trait": "a", "since": "2026-11-21T10:00:00+01:00"},
        c.Trait(("a",), "since", datetime(2026, 11, 21, 9, tzinfo=UTC)),
    ),
    "trait as a time ago": (
        {"trait": "a", "longer_ago_than": "2 weeks"},
        c.Trait(("a",), "longer_ago_than", timedelta(14)),
    ),
    "count": (
        {"did": CALL, "count": {"!=": 0}, "window": {"last": "90 minutes", "ending_ago": "1 hour"}},
        c.Did(CALLED, c.Rolling(length=timedelta(minutes=90), ending=timedelta(hours=1)), "!=", 0),
    ),
    "distinct": (
        {"did": CALL, "distinct": {"of": "route", ">": 3}, "window": TODAY},
        c.Did(
            CALLED,
            c.Calendar(unit="day", count=1, zone="UTC", current=True),
            ">",
            3,
            distinct=c.Field("route"),
        ),
    ),
    "sum": (
        {"did": {"event": "action"}, "sum": {"of": "properties.price.net", "<": -1.5}, "window": EVER},
        c.Did(c.Pattern("action"), c.EVER, "<", -1.5, total=c.Field("properties", ("price", "net"))),
    ),
    "events that pass tests": (
        {
            "did": {"event": "mail", "where": {"type": "opened", "tags": {"includes": "a", "exists": True}}},
            "count": {">=": 1},
            "window": EVER,
        },
        c.Did(
            c.Pattern(
                "mail",
                (
                    (c.Field("type"), c.Test("is", "opened")),
                    (c.Field("tags"), c.Test("includes", "a")),
                    (c.Field("tags"), c.Test("exists", True)),
                ),
            ),
            c.EVER,
            ">=",
            1,
        ),
    ),
    "did_not, true of newcomers": (
        {"did_not": CALL, "window": WEEK, "not_observed_that_long": True},
        c.Not(c.Did(CALLED, LAST_WEEK, ">=", 1)),
    ),
    "did_not, false of newcomers": (
        {"did_not": CALL, "window": WEEK, "not_observed_that_long": False},
        c.All((c.Not(c.Did(CALLED, LAST_WEEK, ">=", 1)), c.Observed(LAST_WEEK))),
    ),
    "did_first": ({"did_first": CALL, "window": WEEK}, c.DidFirst(CALLED, LAST_WEEK)),
    "did_then": (
        {"did_then": [CALL, {"event": "page"}], "within": "30 seconds", "window": EVER},
        c.DidThen(CALLED, c.Pattern("page"), timedelta(seconds=30), c.EVER),
    ),
    "did_in_periods": (
        {
            "did_in_periods": CALL,
            "at_least": 3,
            "window": {"weeks": 4, "zone": "Europe/Berlin", "current": "excluded", "week_starts_on": "sunday"},
        },
        c.DidInPeriods(CALLED, c.Calendar(unit="week", count=4, zone="Europe/Berlin", current=False, week_start=6), 3),
    ),
    "last": (
        {
            "last": CALL,
            "has": {"status": {"at_least": 400}},
            "window": {"months": 1, "zone": "UTC", "current": "included"},
        },
        c.LastHas(
            CALLED,
            ((c.Field("status"), c.Test("at_least", 400)),),
            c.Calendar(unit="month", count=1, zone="UTC", current=True),
        ),
    ),
    "stopped": (
        {"stopped": CALL, "did_within": "30 days", "not_within": "7 days"},
        c.All(
            (
                c.Did(CALLED, c.Rolling(length=timedelta(23), ending=timedelta(7)), ">=", 1),
                c.Not(c.Did(CALLED, LAST_WEEK, ">=", 1)),
            )
        ),
    ),
    "restarted": (
        {"restarted": CALL, "within": "7 days", "after_pause_of": "30 days"},
        c.All(
            (
                c.Did(CALLED, LAST_WEEK, ">=", 1),
                c.Not(c.Did(CALLED, c.Rolling(length=timedelta(30), ending=timedelta(7)), ">=", 1)),
                c.Did(CALLED, c.Rolling(length=LONGEST_WINDOW, ending=timedelta(37)), ">=", 1),
            )
        ),
    ),
    "cohort": ({"cohort": "other"}, c.InCohort("other")),
    "share": ({"share": 0.1}, c.Share(0.1, "some")),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_condition_is_read(name: str) -> None:
    """Each condition; `did_not`, `stopped` and `restarted` are other conditions put together."""
    given_json, expected = CONDITIONS[name]
    assert read(given_json) == expected


WINDOWS: list[tuple[dict[str, Any], c.Window]] = [
    ({"last": "1 second"}, c.Rolling(length=timedelta(seconds=1))),
    ({"last": "2 minutes"}, c.Rolling(length=timedelta(minutes=2))),
    ({"last": "3 hours"}, c.Rolling(length=timedelta(hours=3))),
    ({"last": "1 day"}, c.Rolling(length=timedelta(hours=24))),
    ({"last": "3660 days"}, c.Rolling(length=LONGEST_WINDOW)),
    (
        {"last": "1 week", "ending_ago": "1 week"},
        c.Rolling(length=timedelta(weeks=1), ending=timedelta(weeks=1)),
    ),
    (
        {"days": 7, "zone": "America/Sao_Paulo", "current": "excluded"},
        c.Calendar(unit="day", count=7, zone="America/Sao_Paulo", current=False),
    ),
    (
        {"weeks": 1, "zone": "UTC", "current": "included", "week_starts_on": "monday"},
        c.Calendar(unit="week", count=1, zone="UTC", current=True, week_start=0),
    ),
    (
        {"months": 12, "zone": "UTC", "current": "excluded"},
        c.Calendar(unit="month", count=12, zone="UTC", current=False),
    ),
    ({"ever": True}, c.Fixed()),
    ({"since": "2026-01-01T00:00:00.5Z"}, c.Fixed(since=datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC))),
    ({"until": "2026-01-01T00:00:00-05:00"}, c.Fixed(until=datetime(2026, 1, 1, 5, tzinfo=UTC))),
    (
        {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
        c.Fixed(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2026, 1, 2, tzinfo=UTC)),
    ),
]


@pytest.mark.parametrize(("window", "expected"), WINDOWS, ids=lambda value: str(value)[:50])
def test_window_is_read(window: dict[str, Any], expected: c.Window) -> None:
    """Rolling, calendar and fixed windows, each spelled out."""
    assert read({"did_first": CALL, "window": window}) == c.DidFirst(CALLED, expected)


@pytest.mark.parametrize("operator", [*TESTS, *TRAIT_TIMES])
def test_operators_of_traits_are_those_of_events_and_times(operator: str) -> None:
    """Each operator is read of a trait; of a field of an event those that compare times are unknown."""
    operands: dict[str, Any] = {
        "exists": True,
        "is_one_of": [1],
        "before": "2026-01-01T00:00:00Z",
        "since": "2026-01-01T00:00:00Z",
    }
    text = operator.startswith(("contains", "starts", "ends"))
    operand = operands.get(operator, "1 day" if operator in TRAIT_TIMES else "a" if text else 1)
    trait = read({"trait": "a", operator: operand})
    assert isinstance(trait, c.Trait)
    assert trait.operator == operator
    event = {"last": {"event": "action"}, "has": {"properties.a": {operator: operand}}, "window": EVER}
    if operator in TRAIT_TIMES:
        assert refuse(wrap(event))[0] == f"members.has.properties.a.{operator}"
    else:
        has = ((c.Field("properties", ("a",)), c.Test(operator, operand)),)
        assert read(event) == c.LastHas(c.Pattern("action"), has, c.EVER)


@pytest.mark.parametrize("operator", COMPARISONS)
def test_comparisons_are_read(operator: str) -> None:
    """Numbers of events compare in six ways."""
    assert read({"did": CALL, "count": {operator: 2}, "window": EVER}) == c.Did(CALLED, c.EVER, operator, 2)


@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_types_of_mails_events_are_known(kind: str) -> None:
    """Whatever type an event has can be asked for."""
    read({"did_first": {"event": "mail", "where": {"type": kind}}, "window": EVER})


def where(**fields: object) -> dict[str, Any]:
    """A condition on calls with these tests."""
    return {"did_first": {"event": "call", "where": fields}, "window": EVER}


def mails(**fields: object) -> dict[str, Any]:
    """A condition on mails with these tests."""
    return {"did_first": {"event": "mail", "where": fields}, "window": EVER}


def did(**others: object) -> dict[str, Any]:
    """A condition on the number of calls."""
    return {"did": CALL, "window": EVER, **others}


def within(**window: object) -> dict[str, Any]:
    """A condition in a window."""
    return {"did_first": CALL, "window": window}


def nest(depth: int) -> dict[str, Any]:
    """A condition within so many others."""
    members: dict[str, Any] = DID
    for _ in range(depth):
        members = {"not": members}
    return members


COUNTS = "needs one of >=, >, <=, <, =, != with a number"
DURATION = "is a number of seconds, minutes, hours, days (of 24 hours) or weeks, as 30 days"
PATH = "is a path: names with dots between them, or a list of names"
INSTANT = "is a time with its zone, as 2026-11-21T09:00:00Z"
TEXT = "is a text of 1 to 500 characters"
SCALAR = "is a text, a number, true or false"
ZONE = "is the name of a time zone, as Europe/Berlin"
NAME = "is 1 to 100 characters of a-z, 0-9 and dashes, and begins with no dash"
OPERATORS = "needs one of is, is_one_of, "
WINDOW = "needs one of last, days, weeks, months, since, until and ever"
DAYS = {"zone": "UTC", "current": "included"}
REFUSED: list[tuple[object, str, str]] = [
    # All of it.
    (None, "definition", "is an object"),
    ([], "definition", "is an object"),
    ({"name": "a"}, "definition", "needs title"),
    (wrap(DID, why="so"), "definition.why", "is unknown: there are name, title, subject, members"),
    (wrap(DID, name="Übung"), "name", NAME),
    (wrap(DID, name="-a"), "name", NAME),
    (wrap(DID, name="a\n"), "name", NAME),
    (wrap(DID, name="a" * 101), "name", NAME),
    (wrap(DID, name=1), "name", NAME),
    (wrap(DID, title=""), "title", TEXT),
    (wrap(DID, title="a" * 501), "title", TEXT),
    (wrap(DID, title="a\0"), "title", TEXT),
    (wrap(DID, title="a\ud800"), "title", "holds half a character"),
    (wrap(DID, subject="person"), "subject", "is user or company"),
    (wrap(DID, subject=["user"]), "subject", "is user or company"),
    # One condition, and how many.
    (wrap([DID]), "members", "is an object"),
    (wrap({}), "members", "is one condition, and has none of all, any, not, trait, did, "),
    (wrap({"cohort": "a", "share": 1}), "members", "is one condition, and has cohort and share"),
    (wrap({"all": []}), "members.all", "is a list of at least one condition"),
    (wrap({"any": DID}), "members.any", "is a list of at least one condition"),
    (wrap({"all": [DID], "of": 1}), "members.of", "is unknown: there are all"),
    (wrap({"all": [DID, {"any": [DID, 7]}]}), "members.all[1].any[1]", "is an object"),
    (wrap({"not": {"not": {}}}), "members.not.not", "is one condition, and has none of "),
    (wrap(nest(DEEPEST)), "members" + ".not" * DEEPEST, f"is nested deeper than {DEEPEST}"),
    (wrap({"all": [DID] * MOST_CONDITIONS}), "members", f"has more than {MOST_CONDITIONS} conditions"),
    # Traits.
    (wrap({"trait": "a"}), "members", OPERATORS),
    (wrap({"trait": "a", "is": 1, "exists": True}), "members", OPERATORS),
    (wrap({"trait": "a", "is_not": 1}), "members", OPERATORS),
    (wrap({"trait": "", "is": 1}), "members.trait", PATH),
    (wrap({"trait": "a..b", "is": 1}), "members.trait", PATH),
    (wrap({"trait": [], "is": 1}), "members.trait", PATH),
    (wrap({"trait": ["a", 1], "is": 1}), "members.trait", PATH),
    (wrap({"trait": ["a\0"], "is": 1}), "members.trait", TEXT),
    (wrap({"trait": ".".join("a" * 21), "is": 1}), "members.trait", "has more than 20 names"),
    (wrap({"trait": "a", "is": None}), "members.is", SCALAR),
    (wrap({"trait": "a", "is": [1]}), "members.is", SCALAR),
    (wrap({"trait": "a", "is": ""}), "members.is", TEXT),
    (wrap({"trait": "a", "is": 10**30}), "members.is", "is too large"),
    (wrap({"trait": "a", "is": float("nan")}), "members.is", SCALAR),
    (wrap({"trait": "a", "is_one_of": []}), "members.is_one_of", "is a list of 1 to 1,000 values"),
    (wrap({"trait": "a", "is_one_of": "b"}), "members.is_one_of", "is a list of 1 to 1,000 values"),
    (wrap({"trait": "a", "is_one_of": [1] * 1001}), "members.is_one_of", "is a list of 1 to 1,000 values"),
    (wrap({"trait": "a", "is_one_of": [1, {}]}), "members.is_one_of[1]", SCALAR),
    (wrap({"trait": "a", "at_least": "1"}), "members.at_least", "is a number"),
    (wrap({"trait": "a", "more_than": True}), "members.more_than", "is a number"),
    (wrap({"trait": "a", "starts_with": 1}), "members.starts_with", "is a text"),
    (wrap({"trait": "a", "exists": "true"}), "members.exists", "is true or false"),
    (wrap({"trait": "a", "before": "2026-11-21"}), "members.before", INSTANT),
    (wrap({"trait": "a", "since": "2026-11-21T09:00:00"}), "members.since", INSTANT),
    (wrap({"trait": "a", "since": "2026-02-30T09:00:00Z"}), "members.since", INSTANT),
    (wrap({"trait": "a", "since": "0001-01-01T00:00:00+14:00"}), "members.since", INSTANT),
    (wrap({"trait": "a", "since": "2026-11-21T09:00:00Z\n"}), "members.since", INSTANT),
    (wrap({"trait": "a", "since": 1795253400}), "members.since", INSTANT),
    (wrap({"trait": "a", "within_next": "3 months"}), "members.within_next", DURATION),
    (wrap({"trait": "a", "within_last": "0 days"}), "members.within_last", DURATION),
    (wrap({"trait": "a", "within_last": "1.5 days"}), "members.within_last", DURATION),
    (wrap({"trait": "a", "within_last": 86400}), "members.within_last", DURATION),
    (wrap({"trait": "a", "within_last": "3661 days"}), "members.within_last", "is longer than 3660 days"),
    # Events and their fields.
    (wrap({"did_first": "call", "window": EVER}), "members.did_first", "is an object"),
    (wrap({"did_first": {}, "window": EVER}), "members.did_first", "needs event"),
    (
        wrap({"did_first": {"event": "email"}, "window": EVER}),
        "members.did_first.event",
        "is one of mail, call, action, page, screen",
    ),
    (
        wrap({"did_first": {"event": "call", "name": "x"}, "window": EVER}),
        "members.did_first.name",
        "is unknown: there are event, where",
    ),
    (wrap({"did_first": {"event": "call", "where": []}, "window": EVER}), "members.did_first.where", "is an object"),
    (wrap(where(staus=400)), "members.did_first.where.staus", "is no field of a call: these are name, method, "),
    (wrap(where(**{"metadata.a": 1})), "members.did_first.where.metadata.a", "is no field of a call"),
    (wrap(mails(**{"properties.a": 1})), "members.did_first.where.properties.a", "is no field of a mail"),
    (wrap(where(properties=1)), "members.did_first.where.properties", "is no field of a call"),
    (wrap(where(**{"properties.": 1})), "members.did_first.where.properties.", PATH),
    (wrap(where(**{"status.a": 1})), "members.did_first.where.status.a", "is no field of a call"),
    (
        wrap({"did_first": {"event": "call", "where": {1: 1}}, "window": EVER}),
        "members.did_first.where.1",
        "is the name of a field",
    ),
    (wrap(where(status=None)), "members.did_first.where.status", SCALAR),
    (wrap(where(status=[400, 404])), "members.did_first.where.status", SCALAR),
    (wrap(where(status={})), "members.did_first.where.status", OPERATORS),
    (wrap(mails(type={})), "members.did_first.where.type", OPERATORS),
    (wrap(where(status={"within_last": "1 day"})), "members.did_first.where.status.within_last", "is none of is, "),
    (wrap(where(status={"at_least": "a"})), "members.did_first.where.status.at_least", "is a number"),
    (wrap(mails(type="open")), "members.did_first.where.type", "can't be open: it is one of injected, "),
    (wrap(mails(type={"exists": True, "is": "open"})), "members.did_first.where.type", "can't be open"),
    (wrap(mails(type={"is": "open", "exists": True})), "members.did_first.where.type", "can't be open"),
    (wrap(mails(type={"is_one_of": ["opened", 1]})), "members.did_first.where.type", "can't be 1"),
    # How often.
    (wrap(did()), "members", "needs one of count, distinct and sum beside did"),
    (wrap(did(count={">=": 1}, sum={">=": 1})), "members", "needs one of count, distinct and sum beside did"),
    (wrap({"did": CALL, "count": {">=": 1}}), "members", "needs window"),
    (wrap(did(count={">=": 1}, within="1 day")), "members.within", "is unknown: there are did, count, window"),
    (wrap(did(count=1)), "members.count", "is an object"),
    (wrap(did(count={})), "members.count", COUNTS),
    (wrap(did(count={">=": 1, "<": 3})), "members.count", COUNTS),
    (wrap(did(count={"==": 1})), "members.count", COUNTS),
    (wrap(did(count={">=": "1"})), "members.count.>=", "is a number"),
    (wrap(did(count={">=": True})), "members.count.>=", "is a number"),
    (wrap(did(count={">=": 1.5})), "members.count.>=", "is a whole number from 0 on"),
    (wrap(did(count={">=": -1})), "members.count.>=", "is a whole number from 0 on"),
    (wrap(did(count={">=": 10**16})), "members.count.>=", "is a number"),
    (wrap(did(distinct={">=": 1})), "members.distinct", "needs a field in `of`"),
    (wrap(did(distinct={"of": "route"})), "members.distinct", COUNTS),
    (wrap(did(distinct={"of": "rout", ">": 1})), "members.distinct.of", "is no field of a call"),
    (wrap(did(distinct={"of": 1, ">": 1})), "members.distinct.of", "is the name of a field"),
    (
        wrap({"did": {"event": "mail"}, "distinct": {"of": "tags", ">": 1}, "window": EVER}),
        "members.distinct.of",
        "can't be tags, which are many values at once",
    ),
    (
        wrap(did(sum={"of": "status", ">": 1})),
        "members.sum.of",
        "is a number: duration, or a path in metadata or properties",
    ),
    (wrap(did(sum={"of": "duration", ">": float("nan")})), "members.sum.>", "is a number"),
    (wrap(did(sum={"of": "duration", ">": float("inf")})), "members.sum.>", "is a number"),
    # Windows.
    (wrap({"did_first": CALL, "window": "7 days"}), "members.window", "is an object"),
    (wrap(within()), "members.window", WINDOW),
    (wrap(within(days=1, weeks=1)), "members.window", WINDOW),
    (wrap(within(last="7 days", zone="UTC")), "members.window.zone", "is unknown: there are last, ending_ago"),
    (wrap(within(last="7 Days")), "members.window.last", DURATION),
    (wrap(within(last="7 days", ending_ago=0)), "members.window.ending_ago", DURATION),
    (wrap(within(ending_ago="7 days")), "members.window", WINDOW),
    (wrap(within(days=1, current="included")), "members.window", "needs zone"),
    (wrap(within(days=1, zone="UTC")), "members.window", "needs current"),
    (wrap(within(weeks=1, **DAYS)), "members.window", "needs week_starts_on"),
    (wrap(within(days=1, week_starts_on="monday", **DAYS)), "members.window.week_starts_on", "is unknown: there are"),
    (wrap(within(days=0, **DAYS)), "members.window.days", "is a whole number from 1 to 3660"),
    (wrap(within(months=True, **DAYS)), "members.window.months", "is a whole number from 1 to 120"),
    (
        wrap(within(weeks=521, week_starts_on="monday", **DAYS)),
        "members.window.weeks",
        "is a whole number from 1 to 520",
    ),
    (wrap(within(weeks=1, week_starts_on="Monday", **DAYS)), "members.window.week_starts_on", "is one of monday, "),
    (wrap(within(weeks=1, week_starts_on=[], **DAYS)), "members.window.week_starts_on", "is one of monday, "),
    *[
        (wrap(within(days=1, zone=zone, current="included")), "members.window.zone", ZONE)
        for zone in ("Berlin", "", "Europe", "../UTC", "/etc/passwd", "a\0b", "a\ud800", "a" * 5000, 1, None, ["UTC"])
    ],
    (
        wrap(within(days=1, zone="UTC", current=True)),
        "members.window.current",
        "is included or excluded: whether the days begin with the current",
    ),
    (wrap(within(ever=False)), "members.window.ever", "is true"),
    (wrap(within(ever=True, since="2026-01-01T00:00:00Z")), "members.window.since", "is unknown: there are ever"),
    (wrap(within(since="2026-01-01")), "members.window.since", INSTANT),
    (
        wrap(within(since="2026-01-01T00:00:00Z", until="2026-01-01T01:00:00+01:00")),
        "members.window.until",
        "is later than since",
    ),
    # Conditions with more than events and a window.
    (wrap({"did_not": CALL, "window": WEEK}), "members", "needs not_observed_that_long"),
    (
        wrap({"did_not": CALL, "window": EVER, "not_observed_that_long": True}),
        "members.window",
        "is a rolling or a calendar one; else use not with did",
    ),
    *[
        (
            wrap({"did_not": CALL, "window": WEEK, "not_observed_that_long": choice}),
            "members.not_observed_that_long",
            "is true or false: what the condition is for those first seen within the window",
        )
        for choice in (1, "true", None)
    ],
    (
        wrap({"did_then": [CALL], "within": "1 day", "window": EVER}),
        "members.did_then",
        "is a list of two: what came first, and what came then",
    ),
    (wrap({"did_then": [CALL, {}], "within": "1 day", "window": EVER}), "members.did_then[1]", "needs event"),
    (wrap({"did_then": [CALL, CALL], "within": "soon", "window": EVER}), "members.within", DURATION),
    (
        wrap({"did_in_periods": CALL, "at_least": 1, "window": WEEK}),
        "members.window",
        "is a calendar one: its days, weeks or months are the periods",
    ),
    *[
        (
            wrap({"did_in_periods": CALL, "at_least": least, "window": {"days": 7, **DAYS}}),
            "members.at_least",
            "is a whole number from 1 to 7, the window's periods",
        )
        for least in (0, 8, True, 1.0)
    ],
    (wrap({"last": CALL, "window": EVER}), "members", "needs has"),
    (wrap({"last": CALL, "has": {"type": "opened"}, "window": EVER}), "members.has.type", "is no field of a call"),
    (
        wrap({"stopped": CALL, "did_within": "7 days", "not_within": "1 week"}),
        "members.not_within",
        "is shorter than did_within",
    ),
    (wrap({"stopped": CALL, "did_within": "7 days"}), "members", "needs not_within"),
    (
        wrap({"restarted": CALL, "within": "1 day", "after_pause_of": "3660 days"}),
        "members.after_pause_of",
        "is too long",
    ),
    (wrap({"cohort": "Other"}), "members.cohort", "is the name of a cohort"),
    (wrap({"cohort": 7}), "members.cohort", "is the name of a cohort"),
    (wrap({"cohort": "some"}), "members.cohort", "is the cohort itself"),
    *[
        (wrap({"share": share}), "members.share", "is a number from 0 to 1")
        for share in (-0.1, 1.1, True, "0.5", None, float("nan"))
    ],
    # Text that no answer could carry.
    (wrap({"share": 1, "\ud800": 1}), "members.?", "is unknown: there are share"),
]


@pytest.mark.parametrize(("definition", "place", "reason"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refusal_tells_where_and_why(definition: object, place: str, reason: str) -> None:
    """What can't be understood is refused with the place, and with what it should have been."""
    told_place, told_reason = refuse(definition)
    assert told_place == place
    assert told_reason.startswith(reason)


def test_references_are_found() -> None:
    """The cohorts that a cohort asks for, wherever they stand."""
    members = read({"any": [{"not": {"cohort": "a"}}, {"all": [{"cohort": "b"}, DID]}, {"cohort": "a"}]})
    assert c.find_references(members) == {"a", "b"}


# Any JSON, and things that YAML knows beside it.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["call", "mail", "7 days", "UTC", "properties.a", "9" * 10 + " days", "2026-01-01T00:00:00Z"])
    | st.binary(max_size=2)
    | st.datetimes()
)
words = sorted(
    {word for definition, _ in CONDITIONS.values() for word in definition}
    | {*TESTS, *TRAIT_TIMES, *COMPARISONS, "of", "zone", "current", "days", "weeks", "months", "ever", "since", "until"}
)
keys = st.sampled_from(words) | st.text(max_size=3) | st.integers() | st.none()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def list_places(value: Any) -> list[tuple[Any, Any]]:
    """All places within a value: the container, and the key or index."""
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in pairs] + [place for _, inner in pairs for place in list_places(inner)]


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A definition that was right, with up to three places of it changed for anything, or left out."""
    members, _ = draw(st.sampled_from(list(CONDITIONS.values())))
    definition = copy.deepcopy(wrap({"all": [members, draw(st.sampled_from(list(CONDITIONS.values())))[0]]}))
    for _ in range(draw(st.integers(1, 3))):
        places = list_places(definition)
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if isinstance(container, dict) and draw(st.booleans()):
            container[draw(keys)] = container.pop(key)
        else:
            container[key] = draw(anything)
    return definition


@given(anything.map(wrap) | anything | spoilt())
def test_nothing_else_is_ever_raised(definition: object) -> None:
    """Whatever it is given, reading gives a cohort or a DefinitionError whose text can be answered in UTF-8."""
    try:
        read_cohort(definition)
    except DefinitionError as error:
        str(error).encode()


def test_deep_nesting_is_refused() -> None:
    """No depth exhausts the stack."""
    assert refuse(wrap(nest(100_000)))[1] == f"is nested deeper than {DEEPEST}"
