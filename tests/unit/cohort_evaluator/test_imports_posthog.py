import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.imports.imported import ImportRefusedError
from cohort_evaluator.imports.posthog import read_posthog

BERLIN = "Europe/Berlin"
COHORT = {
    "id": 12,
    "name": "Trial users who came back",
    "groups": [],
    "is_static": False,
    "is_calculating": False,
    "filters": {
        "properties": {
            "type": "AND",
            "values": [
                {
                    "type": "OR",
                    "values": [
                        {"type": "person", "key": "plan", "value": ["trial", "free"], "operator": "exact"},
                        {"type": "cohort", "key": "id", "value": 7, "negation": True},
                    ],
                },
                {
                    "type": "AND",
                    "values": [
                        {
                            "type": "behavioral",
                            "value": "performed_event_multiple",
                            "key": "$pageview",
                            "event_type": "events",
                            "event_filters": [
                                {"type": "event", "key": "path", "value": "/pricing", "operator": "icontains"}
                            ],
                            "operator": "gte",
                            "operator_value": 3,
                            "explicit_datetime": "-7d",
                            "negation": False,
                            "bytecode": ["_H", 1],
                            "conditionHash": "x",
                        }
                    ],
                },
            ],
        },
        "filterTestAccounts": False,
    },
}


def wrap(*leaves: object, **others: object) -> dict[str, Any]:
    """A cohort in which all of these are true."""
    return {"name": "Some", "filters": {"properties": {"type": "AND", "values": list(leaves)}, **others}}


def read(leaf: dict[str, Any], zone: str | None = BERLIN) -> tuple[Any, list[str]]:
    """What a leaf by itself becomes."""
    imported = read_posthog(wrap(leaf), zone=zone)
    (members,) = imported.definition["members"]["all"]
    return members, imported.differences


def refuse(cohort: object, zone: str | None = None) -> tuple[str, str]:
    """Where and why a cohort is refused."""
    with pytest.raises(ImportRefusedError) as caught:
        read_posthog(cohort, zone=zone)
    return caught.value.place, caught.value.reason


def person(operator: str | None, value: object = None, key: str = "plan", **others: Any) -> dict[str, Any]:
    """A leaf about a property of a person."""
    return {"type": "person", "key": key, "operator": operator, "value": value, **others}


def behaviour(value: str, **others: Any) -> dict[str, Any]:
    """A leaf about an event, of the last seven days."""
    base = {"type": "behavioral", "value": value, "key": "Called", "event_type": "events"}
    return {**base, "time_value": 7, "time_interval": "day", **others}


def filtered(*filters: dict[str, Any]) -> dict[str, Any]:
    """A leaf about an event with properties."""
    return behaviour("performed_event", event_filters=[{"type": "event", **each} for each in filters])


CALLED = {"event": "action", "where": {"name": "Called"}}
EIGHT_DAYS = {"days": 8, "zone": BERLIN, "current": "included"}
N_DAYS = "the last 7 days are today and the 7 days before it"


def did(window: dict[str, Any] = EIGHT_DAYS, **where: Any) -> dict[str, Any]:
    """Our condition that somebody did it once."""
    return {"did": {"event": "action", "where": {"name": "Called", **where}}, "count": {">=": 1}, "window": window}


def test_whole_cohort_is_read() -> None:
    """A cohort as the API gives it; its name is ours."""
    imported = read_posthog(COHORT, zone=BERLIN)
    assert imported.definition == {
        "name": "trial-users-who-came-back",
        "title": "Trial users who came back",
        "subject": "user",
        "members": {
            "all": [
                {
                    "any": [
                        {"trait": "metadata.plan", "is_one_of": ["trial", "free"]},
                        {"not": {"cohort": "posthog-7"}},
                    ]
                },
                {
                    "all": [
                        {
                            "did": {
                                "event": "page",
                                "where": {"properties.path": {"contains_ignoring_case": "/pricing"}},
                            },
                            "count": {">=": 3},
                            "window": EIGHT_DAYS,
                        }
                    ]
                },
            ]
        },
    }
    assert imported.differences == [
        "cohort 7 is asked for as posthog-7: import it by this name",
        "a negation stands by itself here; PostHog takes it only beside something that is true",
        "$pageview is a page here",
        "in PostHog the last 7 days are today and the 7 days before it, and so they are kept",
    ]
    assert read_posthog(COHORT["filters"], zone=BERLIN, name="back").definition["title"] == "back"


PLAN = "metadata.plan"
ISO = "ISO 8601"
# A leaf, what becomes of it, and words of the differences that are told.
GOLDEN: list[tuple[dict[str, Any], Any, list[str]]] = [
    (person("exact", "pro"), {"trait": PLAN, "is": "pro"}, []),
    (person(None, ["pro"]), {"trait": PLAN, "is": "pro"}, []),
    (person("exact", ["5"]), {"trait": PLAN, "is_one_of": ["5", 5]}, ['"5" and 5 both']),
    (person("exact", [True]), {"trait": PLAN, "is_one_of": [True, "true"]}, ['true and "true" both']),
    (person("exact", [1, True]), {"trait": PLAN, "is_one_of": [1, "1", True, "true"]}, ['1 and "1" both']),
    (person("in", ["a", "b", "a"]), {"trait": PLAN, "is_one_of": ["a", "b"]}, []),
    (person("is_not", ["pro"]), {"not": {"trait": PLAN, "is": "pro"}}, []),
    (person("not_in", ["a", "b"]), {"not": {"trait": PLAN, "is_one_of": ["a", "b"]}}, []),
    (person("icontains", "Pr"), {"trait": PLAN, "contains_ignoring_case": "Pr"}, []),
    (person("not_icontains", ["Pr"]), {"not": {"trait": PLAN, "contains_ignoring_case": "Pr"}}, []),
    (person("gt", "5"), {"trait": PLAN, "more_than": 5}, ["only numbers"]),
    (person("gte", 5), {"trait": PLAN, "at_least": 5}, ["only numbers"]),
    (person("lt", ["1.5"]), {"trait": PLAN, "less_than": 1.5}, ["only numbers"]),
    (person("lte", 5), {"trait": PLAN, "at_most": 5}, ["only numbers"]),
    (person("is_set", "is_set"), {"trait": PLAN, "exists": True}, []),
    (person("is_not_set"), {"trait": PLAN, "exists": False}, []),
    (person("is_set", negation=True), {"not": {"trait": PLAN, "exists": True}}, ["a negation stands by itself"]),
    (person("is_set", key="a.b"), {"trait": ["metadata", "a.b"], "exists": True}, []),
    (person("is_set", key="$os"), {"trait": "metadata.$os", "exists": True}, ["PostHog's own properties"]),
    (person("is_date_before", "2026-06-01"), {"trait": PLAN, "before": "2026-05-31T22:00:00Z"}, [ISO]),
    (person("is_date_before", "2026-06-01T00:00:00Z"), {"trait": PLAN, "before": "2026-06-01T00:00:00Z"}, [ISO]),
    (
        person("is_date_after", "2026-06-01 12:00:00"),
        {"trait": PLAN, "since": "2026-06-01T10:00:00Z"},
        [ISO, "at that very instant"],
    ),
    (person("is_date_after", "2026-06-01"), {"trait": PLAN, "since": "2026-06-01T22:00:00Z"}, [ISO, "after its end"]),
    (
        person("is_date_exact", "2026-10-25"),  # a day of 25 hours
        {
            "all": [
                {"trait": PLAN, "since": "2026-10-24T22:00:00Z"},
                {"trait": PLAN, "before": "2026-10-25T23:00:00Z"},
            ]
        },
        [ISO],
    ),
    (person("is_date_before", "-2w"), {"trait": PLAN, "longer_ago_than": "2 weeks"}, [ISO, "to the second"]),
    (
        person("is_date_after", "-30d"),
        {"any": [{"trait": PLAN, "within_last": "30 days"}, {"trait": PLAN, "within_next": "3660 days"}]},
        [ISO, "to the second"],
    ),
    ({"type": "cohort", "key": "id", "value": "12"}, {"cohort": "posthog-12"}, ["cohort 12"]),
    (
        {"type": "cohort", "key": "id", "value": 12, "operator": "not_in"},
        {"not": {"cohort": "posthog-12"}},
        ["cohort 12"],
    ),
    (behaviour("performed_event"), did(), [N_DAYS]),
    (
        behaviour("performed_event", negation=True),
        {"not": did()},
        [N_DAYS, "a negation stands by itself"],
    ),
    (
        behaviour("performed_event", time_value="2", time_interval="week"),
        did({"days": 15, "zone": BERLIN, "current": "included"}),
        ["the last 14 days are today and the 14 days before it"],
    ),
    (
        behaviour("performed_event", time_value=90, time_interval="minute"),
        did({"last": "90 minutes"}),
        ["to the second"],
    ),
    (behaviour("performed_event", time_value=1, time_interval="hour"), did({"last": "1 hour"}), ["to the second"]),
    (behaviour("performed_event", time_value=None, explicit_datetime="-7d"), did(), [N_DAYS]),
    (
        behaviour("performed_event", time_value=None, explicit_datetime="2026-01-01"),
        did({"since": "2025-12-31T23:00:00Z"}),
        [],
    ),
    (
        behaviour(
            "performed_event", time_value=None, explicit_datetime="2026-03-29", explicit_datetime_to="2026-03-29"
        ),
        did({"since": "2026-03-28T23:00:00Z", "until": "2026-03-29T22:00:00Z"}),
        ["a last day counts until its end"],
    ),
    (
        behaviour(
            "performed_event",
            time_value=None,
            explicit_datetime="2026-01-01T00:00:00Z",
            explicit_datetime_to="2026-01-02T00:00:00Z",
        ),
        did({"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}),
        [],
    ),
    (
        behaviour("performed_event", key="$screen"),
        {"did": {"event": "screen", "where": {}}, "count": {">=": 1}, "window": EIGHT_DAYS},
        ["$screen is a screen here", N_DAYS],
    ),
    (
        behaviour("performed_event", key="$autocapture"),
        {
            "did": {"event": "action", "where": {"name": "$autocapture"}},
            "count": {">=": 1},
            "window": EIGHT_DAYS,
        },
        ["$autocapture is an event of PostHog's own", N_DAYS],
    ),
    (
        filtered(
            {"key": "a", "value": ["x", "y"], "operator": "exact"},
            {"key": "n", "value": "1", "operator": "gte"},
            {"key": "n", "value": 9, "operator": "lt"},
            {"key": "e", "operator": "is_not_set"},
        ),
        did(
            **{  # type: ignore[arg-type]  # none of them is the window
                "properties.a": {"is_one_of": ["x", "y"]},
                "properties.n": {"at_least": 1, "less_than": 9},
                "properties.e": {"exists": False},
            }
        ),
        ["only numbers", N_DAYS],
    ),
    (behaviour("performed_event_first_time"), {"did_first": CALLED, "window": EIGHT_DAYS}, [N_DAYS]),
    *[
        (
            behaviour("performed_event_multiple", operator=theirs, operator_value=2),
            {"did": CALLED, "count": {ours: 2}, "window": EIGHT_DAYS},
            [N_DAYS],
        )
        for theirs, ours in (("gte", ">="), ("gt", ">"), ("eq", "="), ("exact", "="))
    ],
    *[
        (
            behaviour("performed_event_multiple", operator=theirs, operator_value=2),
            {"all": [did(), {"did": CALLED, "count": {ours: 2}, "window": EIGHT_DAYS}]},
            [N_DAYS, "at least once"],
        )
        for theirs, ours in (("lte", "<="), ("lt", "<"))
    ],
    *[
        (
            behaviour(
                "performed_event_sequence",
                seq_event="$pageview",
                seq_event_type="events",
                seq_time_value=2,
                seq_time_interval=unit,
            ),
            {"did_then": [CALLED, {"event": "page", "where": {}}], "within": within, "window": EIGHT_DAYS},
            [*told, "the second event is in the window here", "$pageview is a page", N_DAYS],
        )
        for unit, within, told in (
            ("hour", "2 hours", []),
            ("week", "14 days", []),
            ("month", "60 days", ["a month between two events is 30 days"]),
        )
    ],
    (
        behaviour("stopped_performing_event", time_value=30, seq_time_value=1, seq_time_interval="week"),
        {
            "all": [
                did({"days": 31, "zone": BERLIN, "current": "included"}),
                {"not": did()},
            ]
        },
        ["the last 30 days", N_DAYS],
    ),
    (
        behaviour(
            "restarted_performing_event",
            time_value=48,
            time_interval="hour",
            seq_time_value=90,
            seq_time_interval="minute",
        ),
        {
            "all": [
                did({"last": "90 minutes"}),
                {"not": {"did_first": CALLED, "window": {"last": "90 minutes"}}},
                {"not": did({"last": "2790 minutes", "ending_ago": "90 minutes"})},
            ]
        },
        ["to the second"],
    ),
    *[
        (
            behaviour(
                "performed_event_regularly",
                time_value=1,
                operator=operator,
                operator_value=number,
                min_periods=3,
                total_periods=5,
            ),
            {
                "did_in_periods": CALLED,
                "at_least": 3,
                "window": {"days": 5, "zone": BERLIN, "current": "excluded"},
            },
            ["today is none of the periods"],
        )
        for operator, number in (("gte", 1), ("gt", 0))
    ],
]


@pytest.mark.parametrize(("leaf", "expected", "told"), GOLDEN, ids=[str(row[0])[:90] for row in GOLDEN])
def test_leaf_is_kept(leaf: dict[str, Any], expected: Any, told: list[str]) -> None:
    """Each type of leaf and operator, and what is told beside it."""
    members, differences = read(leaf)
    assert members == expected
    assert len(differences) == len(told)
    assert all(words in difference for words, difference in zip(told, differences, strict=True))


LEAF = "filters.properties.values[0]"
MONTHS = "PostHog counts whole months back from today"
RESTARTED = {"time_value": 30, "seq_time_value": 7, "seq_time_interval": "day"}
REGULARLY = {"time_value": 1, "operator": "gte", "operator_value": 1, "min_periods": 3, "total_periods": 5}
SEQUENCE = {"seq_event": "b", "seq_event_type": "events", "seq_time_value": 1, "seq_time_interval": "day"}
REFUSED: list[tuple[object, str, str]] = [
    ([], "cohort", "is an object"),
    ({"filters": {}}, "name", "is missing: say what the cohort is to be called"),
    ({"name": "a", "is_static": True}, "is_static", "it is a list of people"),
    ({"name": "a", "filters": []}, "filters", "is an object"),
    ({"name": "a", "filters": {}}, "filters.properties", "is an object"),
    ({"name": "a", "filters": {"events": []}}, "filters.events", "is unknown"),
    ({"name": "a"}, "properties", "is an object"),
    (wrap(person("is_set"), filterTestAccounts=True), "filters.filterTestAccounts", "leaves out accounts by a setting"),
    (wrap(), "filters.properties.values", "is a list of at least one"),
    (wrap({"type": "OR", "values": []}), f"{LEAF}.values", "is a list of at least one"),
    (wrap({"type": "XOR", "values": [1]}), f"{LEAF}.type", "is one of AND, OR"),
    (wrap({"type": "OR", "values": [1]}), f"{LEAF}.values[0]", "is an object"),
    (wrap({"type": "OR", "values": [person("is_set")], "negation": True}), f"{LEAF}.negation", "is unknown"),
    (wrap({"type": "group"}), f"{LEAF}.type", "is one of person, person_metadata, cohort, behavioral"),
    (wrap({"type": "person_metadata", "key": "created_at"}), LEAF, "asks what PostHog knows of the person's record"),
    (wrap(person("is_set", negation=1)), f"{LEAF}.negation", "is true or false"),
    (wrap(person("is_set", group=1)), f"{LEAF}.group", "is unknown"),
    (wrap(person("regex", "a.*")), f"{LEAF}.operator", "is a regular expression"),
    (wrap(person("not_regex", "a.*")), f"{LEAF}.operator", "is a regular expression"),
    (wrap(person("semver_gt", "1")), f"{LEAF}.operator", "is one of exact, "),
    (wrap(person("exact", [])), f"{LEAF}.value", "is a list of at least one"),
    (wrap(person("exact", [None])), f"{LEAF}.value", "is a text of 1 to 500 characters"),
    (wrap(person("icontains", ["a", "b"])), f"{LEAF}.value", "is a text"),
    (wrap(person("gt", "many")), f"{LEAF}.value", "is a number"),
    (wrap(person("gt", True)), f"{LEAF}.value", "is a number"),
    (wrap(person("gt", float("nan"))), f"{LEAF}.value", "is a number"),
    (wrap(person("is_date_before", "soon")), f"{LEAF}.value", "is a time"),
    (wrap(person("is_date_before", "2026-06-01")), f"{LEAF}.value", "is a time of no zone: say of which"),
    (wrap(person("is_date_before", "-1m")), f"{LEAF}.value", "is months or years ago"),
    (wrap(person("is_date_exact", "-1d")), f"{LEAF}.operator", "is_date_exact of a time that moves has no form here"),
    (wrap(person("is_date_exact", "2026-06-01T00:00:00Z")), f"{LEAF}.value", "is not a date"),
    (wrap(person("is_date_before", "-9999w")), LEAF, "has no form here: members.longer_ago_than: is longer than 3660"),
    (wrap({"type": "cohort", "key": "id", "value": "a"}), f"{LEAF}.value", "is a whole number from 1 on"),
    (wrap(behaviour("performed")), f"{LEAF}.value", "is one of performed_event, "),
    (wrap(behaviour("performed_event", event_type="actions")), f"{LEAF}.event_type", "names an action"),
    (wrap(behaviour("performed_event", event_type="people")), f"{LEAF}.event_type", "is one of events"),
    (wrap(behaviour("performed_event", key=None)), f"{LEAF}.key", "is a text"),
    (wrap(behaviour("performed_event", operator="gte")), f"{LEAF}.operator", "is unknown"),
    (wrap(behaviour("performed_event")), f"{LEAF}.time_value", "counts local days: say of which time zone"),
    (wrap(behaviour("performed_event", time_value=0)), f"{LEAF}.time_value", "is a whole number from 1 on"),
    (wrap(behaviour("performed_event", time_interval="month")), f"{LEAF}.time_interval", MONTHS),
    (wrap(behaviour("performed_event", time_interval="year")), f"{LEAF}.time_interval", MONTHS),
    (wrap(behaviour("performed_event", time_interval="days")), f"{LEAF}.time_interval", "is one of minute, hour, "),
    (
        wrap(behaviour("performed_event", explicit_datetime="-7d")),
        f"{LEAF}.time_value",
        "is there beside explicit_datetime",
    ),
    (
        wrap(behaviour("performed_event", time_value=None, explicit_datetime="-1m")),
        f"{LEAF}.explicit_datetime",
        MONTHS,
    ),
    (
        wrap(behaviour("performed_event", time_value=None, explicit_datetime="2026-01-01")),
        f"{LEAF}.explicit_datetime",
        "is a time of no zone",
    ),
    (
        wrap(behaviour("performed_event", time_value=None, explicit_datetime="-14d", explicit_datetime_to="-7d")),
        f"{LEAF}.explicit_datetime",
        "is a time",
    ),
    (
        wrap(
            behaviour(
                "performed_event",
                time_value=None,
                explicit_datetime="2026-01-01T00:00:00Z",
                explicit_datetime_to="9999-12-31",
            )
        ),
        f"{LEAF}.explicit_datetime_to",
        "is a time",
    ),
    *[
        (wrap(filtered(each)), f"{LEAF}.event_filters[0]{place}", reason)
        for each, place, reason in (
            ({"key": "a", "type": "person"}, ".type", "is one of event"),
            ({"key": "a.b", "operator": "is_set"}, ".key", "has a dot in its name"),
            (
                {"key": "a", "operator": "is_not", "value": "b"},
                ".operator",
                "is_not of an event's property has no form",
            ),
            ({"key": "a", "operator": "not_icontains", "value": "b"}, ".operator", "not_icontains of an event's"),
            ({"key": "a", "operator": "is_date_before", "value": "b"}, ".operator", "is_date_before of an event's"),
            ({"key": "a", "operator": "regex", "value": "b"}, ".operator", "is a regular expression"),
            ({"key": "a", "operator": "is_set", "hogql": "b"}, ".hogql", "is unknown"),
        )
    ],
    (
        wrap(filtered({"key": "a", "operator": "is_set"}, {"key": "a", "operator": "is_not_set"})),
        f"{LEAF}.event_filters[1]",
        "tests a property that another tests in the same way",
    ),
    (
        wrap(behaviour("performed_event_multiple", operator="gte", operator_value=0)),
        f"{LEAF}.operator_value",
        "is a whole number from 1 on",
    ),
    (
        wrap(behaviour("performed_event_multiple", time_interval="hour", operator="lt", operator_value=1)),
        f"{LEAF}.operator_value",
        "lt 1 is true of nobody in PostHog",
    ),
    (
        wrap(behaviour("performed_event_sequence", **{**SEQUENCE, "seq_event_type": "actions"})),
        f"{LEAF}.seq_event_type",
        "names an action",
    ),
    (
        wrap(behaviour("performed_event_sequence", **{**SEQUENCE, "seq_time_interval": "year"})),
        f"{LEAF}.seq_time_interval",
        "is a year, which is no number of days",
    ),
    (wrap(behaviour("performed_event_sequence", **{**SEQUENCE, "seq_event": None})), f"{LEAF}.seq_event", "is a text"),
    (
        wrap(behaviour("stopped_performing_event", seq_time_value=1, seq_time_interval="week")),
        f"{LEAF}.seq_time_value",
        "is shorter than time_value",
    ),
    (
        wrap(behaviour("restarted_performing_event", **RESTARTED)),
        LEAF,
        "asks for a pause of local days that ended some days ago",
    ),
    (
        wrap(behaviour("performed_event_regularly", **{**REGULARLY, "operator_value": 2})),
        f"{LEAF}.operator_value",
        "asks for more than once a period",
    ),
    (
        wrap(behaviour("performed_event_regularly", **{**REGULARLY, "time_interval": "week"})),
        f"{LEAF}.time_interval",
        "PostHog's periods go back from yesterday",
    ),
    (wrap(behaviour("performed_event_regularly", **REGULARLY)), LEAF, "counts local days: say of which time zone"),
    (wrap(*[person("is_set")] * 101), "filters.properties.values[100]", "is one of more than 100 conditions"),
]


@pytest.mark.parametrize(("cohort", "place", "reason"), REFUSED, ids=[f"{row[1]}: {row[2][:40]}" for row in REFUSED])
def test_refusal_tells_where_and_why(cohort: object, place: str, reason: str) -> None:
    """What can't be kept exactly is refused with its place in the cohort."""
    told_place, told_reason = refuse(cohort)
    assert told_place == place
    assert told_reason.startswith(reason)


def test_more_is_refused() -> None:
    """Zones that there are none, too many periods, and groups within groups."""
    assert refuse(COHORT, "Berlin") == ("zone", "is the name of a time zone, as Europe/Berlin")
    often = behaviour("performed_event_regularly", **{**REGULARLY, "min_periods": 6})
    assert refuse(wrap(often), BERLIN) == (
        LEAF,
        "has no form here: members.at_least: is a whole number from 1 to 5, the window's periods",
    )
    assert refuse(wrap(person("is_date_after", "9999-12-31")), BERLIN) == (f"{LEAF}.value", "is too late")
    group: dict[str, Any] = {"type": "AND", "values": [person("is_set")]}
    for _ in range(500):
        group = {"type": "AND", "values": [group]}
    assert refuse(wrap(group))[1] == "is nested deeper than 20"


values = (
    st.sampled_from(["a", "a.b", "5", "true", "-7d", "2026-01-01", "9999-12-31", "2026-01-01T00:00:00Z", "$pageview"])
    | st.text(max_size=4)
    | st.integers()
    | st.floats()
    | st.none()
    | st.booleans()
)
units = st.sampled_from(["minute", "hour", "day", "week", "month"])
operators = st.sampled_from(
    [
        *("exact", "is_not", "icontains", "not_icontains", "gt", "lte", "is_set", "is_not_set", "in", "not_in"),
        *("is_date_before", "is_date_after", "is_date_exact"),
    ]
)
person_leaves = st.fixed_dictionaries(
    {"type": st.just("person"), "key": values, "operator": operators, "value": values | st.lists(values, max_size=3)},
    optional={"negation": st.booleans()},
)
filters = st.fixed_dictionaries(
    {"type": st.just("event"), "key": values, "operator": operators, "value": values | st.lists(values, max_size=2)}
)
numbers = st.integers(0, 400)


def behaviours(kinds: list[str], needed: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Leaves about events."""
    return st.fixed_dictionaries(
        {
            "type": st.just("behavioral"),
            "value": st.sampled_from(kinds),
            "key": st.sampled_from(["a", "$pageview"]),
            "time_value": numbers,
            "time_interval": units,
            **needed,
        },
        optional={"event_filters": st.lists(filters, max_size=2), "negation": st.booleans()},
    )


COUNTED = {"operator": st.sampled_from(["gte", "lt", "lte", "eq"]), "operator_value": st.integers(0, 3)}
LATER = {"seq_time_value": numbers, "seq_time_interval": units}
leaves = st.one_of(
    person_leaves,
    st.fixed_dictionaries({"type": st.just("cohort"), "key": st.just("id"), "value": values | st.integers(1, 99)}),
    behaviours(["performed_event", "performed_event_first_time"], {}),
    behaviours(["performed_event"], {"time_value": st.none(), "explicit_datetime": values})
    | behaviours(
        ["performed_event"], {"time_value": st.none(), "explicit_datetime": values, "explicit_datetime_to": values}
    ),
    behaviours(["performed_event_multiple"], COUNTED),
    behaviours(["performed_event_regularly"], {**COUNTED, "min_periods": numbers, "total_periods": numbers}),
    behaviours(["stopped_performing_event", "restarted_performing_event"], LATER),
    behaviours(["performed_event_sequence"], {**LATER, "seq_event": values}),
)
trees = st.recursive(
    leaves,
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["AND", "OR"]), "values": st.lists(inner, max_size=3)}
    ),
    max_leaves=6,
)


@settings(max_examples=200)
@given(
    leaves.map(lambda leaf: [leaf]) | st.lists(trees, min_size=1, max_size=3),
    st.sampled_from([BERLIN, "America/Sao_Paulo", None]),
)
def test_whatever_is_accepted_is_a_cohort(members: list[dict[str, Any]], zone: str | None) -> None:
    """An import gives what `read_cohort` reads, or an ImportRefusedError that can be printed."""
    try:
        imported = read_posthog(wrap(*members), zone=zone)
    except ImportRefusedError as error:
        str(error).encode()
    else:
        read_cohort(imported.definition)
        "".join(imported.differences).encode()


anything = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "filters", "properties", "type", "values", "value", "key"]), inner)
    ),
)


@given(anything)
def test_nothing_else_is_ever_raised(cohort: object) -> None:
    """Whatever the JSON is, it is a cohort or refused."""
    with contextlib.suppress(ImportRefusedError):
        read_posthog(cohort, zone=BERLIN)
