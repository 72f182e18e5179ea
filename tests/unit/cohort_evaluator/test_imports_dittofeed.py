import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.imports.dittofeed import read_dittofeed
from cohort_evaluator.imports.imported import ImportRefusedError

EVER = {"ever": True}
SEGMENT = {
    "id": "6f0c1a5e-6c1c-4d0b-8b0e-0d7a2f6d1c11",
    "name": "Pro users who went quiet",
    "workspaceId": "w",
    "status": "Running",
    "definition": {
        "entryNode": {"type": "And", "id": "1", "children": ["2", "3"]},
        "nodes": [
            {"type": "Trait", "id": "2", "path": "plan", "operator": {"type": "Equals", "value": "pro"}},
            {"type": "Or", "id": "3", "children": ["4", "5"]},
            {
                "type": "Performed",
                "id": "4",
                "event": "Order completed",
                "times": 0,
                "timesOperator": "=",
                "withinSeconds": 2592000,
                "timeOperator": "Within",
                "properties": [{"path": "total", "operator": {"type": "GreaterThanOrEqual", "value": 10}}],
            },
            {"type": "Email", "id": "5", "event": "DFEmailBounced", "templateId": "t-1", "times": 2},
        ],
    },
}


def wrap(*nodes: dict[str, Any]) -> dict[str, Any]:
    """A segment whose first node is its entry."""
    return {"name": "Some", "entryNode": nodes[0], "nodes": list(nodes[1:])}


def read(node: dict[str, Any]) -> tuple[Any, list[str]]:
    """What a node by itself becomes."""
    imported = read_dittofeed(wrap({"id": "1", **node}))
    return imported.definition["members"], imported.differences


def refuse(segment: object) -> tuple[str, str]:
    """Where and why a segment is refused."""
    with pytest.raises(ImportRefusedError) as caught:
        read_dittofeed(segment)
    assert str(caught.value) == f"{caught.value.place}: {caught.value.reason}"
    return caught.value.place, caught.value.reason


def trait(operator: dict[str, Any], path: str = "plan") -> dict[str, Any]:
    """A node about a trait."""
    return {"type": "Trait", "path": path, "operator": operator}


def performed(**others: Any) -> dict[str, Any]:
    """A node about an event."""
    return {"type": "Performed", "event": "Called", **others}


def test_whole_segment_is_read() -> None:
    """A segment as the API gives it; its name is ours."""
    imported = read_dittofeed(SEGMENT)
    assert imported.definition == {
        "name": "pro-users-who-went-quiet",
        "title": "Pro users who went quiet",
        "subject": "user",
        "members": {
            "all": [
                {"trait": "metadata.plan", "is": "pro"},
                {
                    "any": [
                        {
                            "did": {
                                "event": "action",
                                "where": {"name": "Order completed", "properties.total": {"at_least": 10}},
                            },
                            "count": {"=": 0},
                            "window": {"last": "30 days"},
                        },
                        {
                            "did": {"event": "mail", "where": {"type": "bounced", "template": "t-1"}},
                            "count": {">=": 2},
                            "window": EVER,
                        },
                    ]
                },
            ]
        },
    }
    assert imported.differences == [
        "only numbers compare as numbers here, not texts that look like one",
        "Dittofeed cuts the times of events to 1 day in a window of 30 days: its members may leave that much too early",
        "a template goes by the id that the mail's provider tells, not by Dittofeed's",
    ]
    assert read_dittofeed(SEGMENT, name="quiet").definition["name"] == "quiet"


def did(count: dict[str, int], window: dict[str, Any] = EVER, **where: Any) -> dict[str, Any]:
    """Our condition about an action."""
    return {"did": {"event": "action", "where": {"name": "Called", **where}}, "count": count, "window": window}


def mail(kind: str, **where: Any) -> dict[str, Any]:
    """Our condition about a mail."""
    return {"did": {"event": "mail", "where": {"type": kind, **where}}, "count": {">=": 1}, "window": EVER}


ACTION = {"event": "action", "where": {"name": "Called"}}
# A node, what becomes of it, and words of the differences that are told.
GOLDEN: list[tuple[dict[str, Any], Any, list[str]]] = [
    (trait({"type": "Equals", "value": "pro"}), {"trait": "metadata.plan", "is": "pro"}, []),
    (trait({"type": "Equals", "value": 5}), {"trait": "metadata.plan", "is_one_of": [5, "5"]}, ['5 and "5" both']),
    (trait({"type": "Equals", "value": 2.5}), {"trait": "metadata.plan", "is_one_of": [2.5, "2.5"]}, ["as texts"]),
    (trait({"type": "Equals", "value": 5.0}), {"trait": "metadata.plan", "is_one_of": [5, "5"]}, ["as texts"]),
    (trait({"type": "Equals", "value": "-1.5"}), {"trait": "metadata.plan", "is_one_of": ["-1.5", -1.5]}, ["as texts"]),
    (trait({"type": "Equals", "value": "05"}), {"trait": "metadata.plan", "is": "05"}, []),
    (trait({"type": "Equals", "value": "true"}), {"trait": "metadata.plan", "is_one_of": ["true", True]}, ["as texts"]),
    (
        trait({"type": "NotEquals", "value": "pro"}),
        {"not": {"trait": "metadata.plan", "is": "pro"}},
        ["whoever lacks the trait"],
    ),
    (trait({"type": "GreaterThanOrEqual", "value": 5}), {"trait": "metadata.plan", "at_least": 5}, ["only numbers"]),
    (trait({"type": "LessThan", "value": -1.5}), {"trait": "metadata.plan", "less_than": -1.5}, ["only numbers"]),
    (trait({"type": "Exists"}), {"trait": "metadata.plan", "exists": True}, ["an empty text"]),
    (trait({"type": "NotExists"}), {"trait": "metadata.plan", "exists": False}, ["an empty text"]),
    (
        trait({"type": "Within", "windowSeconds": 5400}),
        {"trait": "metadata.plan", "within_last": "90 minutes"},
        ["ISO 8601"],
    ),
    (
        trait({"type": "AbsoluteTimestamp", "absoluteTimestamp": "2026-01-01T01:00:00.5+01:00", "direction": "Before"}),
        {"trait": "metadata.plan", "before": "2026-01-01T00:00:00.500000Z"},
        ["ISO 8601"],
    ),
    (
        trait({"type": "AbsoluteTimestamp", "absoluteTimestamp": "2026-01-01T00:00:00Z", "direction": "After"}),
        {"trait": "metadata.plan", "since": "2026-01-01T00:00:00Z"},
        ["ISO 8601", "at that very instant"],
    ),
    (trait({"type": "Exists"}, "$.a.b"), {"trait": "metadata.a.b", "exists": True}, ["an empty text"]),
    (trait({"type": "Exists"}, "$['a.b'].c"), {"trait": ["metadata", "a.b", "c"], "exists": True}, ["an empty text"]),
    (trait({"type": "Exists"}, 'a["b c"]'), {"trait": "metadata.a.b c", "exists": True}, ["an empty text"]),
    (
        {"type": "Includes", "path": "teams", "item": "red"},
        {"trait": ["metadata", "teams"], "includes": "red"},
        [],
    ),
    (performed(), did({">=": 1}), []),
    (performed(times=3), did({">=": 3}), []),
    (performed(times=3, timesOperator="<"), did({"<": 3}), []),
    (performed(times=None, timesOperator=None, properties=None, withinSeconds=None), did({">=": 1}), []),
    (
        performed(withinSeconds=90),
        did({">=": 1}, {"last": "90 seconds"}),
        ["cuts the times of events to 9 seconds in a window of 90 seconds"],
    ),
    (performed(withinSeconds=5), did({">=": 1}, {"last": "5 seconds"}), ["to 1 second in a window of 5 seconds"]),
    (
        performed(timeOperator="AfterAbsolute", absoluteTimestamp="2026-01-01T00:00:00Z"),
        did({">=": 1}, {"since": "2026-01-01T00:00:00Z"}),
        ["Dittofeed ignores AfterAbsolute and counts the events of all time", "at that very instant"],
    ),
    (
        performed(timeOperator="BeforeAbsolute", absoluteTimestamp="2026-01-01T00:00:00Z"),
        did({">=": 1}, {"until": "2026-01-01T00:00:00Z"}),
        ["Dittofeed ignores BeforeAbsolute"],
    ),
    (
        performed(
            properties=[
                {"path": "a.b", "operator": {"type": "Equals", "value": "x"}},
                {"path": "n", "operator": {"type": "GreaterThanOrEqual", "value": 1}},
                {"path": "n", "operator": {"type": "LessThan", "value": 9}},
                {"path": "e", "operator": {"type": "NotExists"}},
            ]
        ),
        did(
            {">=": 1},
            **{  # type: ignore[arg-type]  # none of them is the window
                "properties.a.b": {"is": "x"},
                "properties.n": {"at_least": 1, "less_than": 9},
                "properties.e": {"exists": False},
            },
        ),
        ["only numbers", "an empty text"],
    ),
    (
        performed(event="Call*"),
        {
            "did": {"event": "action", "where": {"name": {"starts_with": "Call"}}},
            "count": {">=": 1},
            "window": EVER,
        },
        ["an event by its beginning"],
    ),
    (
        performed(event="*"),
        {"did": {"event": "action", "where": {}}, "count": {">=": 1}, "window": EVER},
        ["or any"],
    ),
    (
        performed(
            event="DFEmailMarkedSpam",
            properties=[{"path": "templateId", "operator": {"type": "Equals", "value": "t"}}],
        ),
        mail("complained", template={"is": "t"}),
        ["a template goes by"],
    ),
    (
        {"type": "LastPerformed", "event": "Called"},
        {"last": ACTION, "has": {}, "window": EVER},
        [],
    ),
    (
        {
            "type": "LastPerformed",
            "event": "Called",
            "whereProperties": [{"path": "a", "operator": {"type": "Exists"}}],
            "hasProperties": [
                {"path": "b", "operator": {"type": "Equals", "value": "x"}},
                {"path": "b", "operator": {"type": "NotEquals", "value": "y"}},
            ],
        },
        {
            "all": [
                {
                    "last": {"event": "action", "where": {"name": "Called", "properties.a": {"exists": True}}},
                    "has": {"properties.b": {"is": "x"}},
                    "window": EVER,
                },
                {
                    "not": {
                        "last": {"event": "action", "where": {"name": "Called", "properties.a": {"exists": True}}},
                        "has": {"properties.b": {"is": "y"}},
                        "window": EVER,
                    }
                },
            ]
        },
        ["an empty text"],
    ),
    *[
        (
            {"type": "Email", "event": event, "templateId": "t"},
            mail(kind, template="t"),
            ["a template goes by", *told],
        )
        for event, kind, told in (
            ("DFInternalMessageSent", "injected", ["the provider accepted"]),
            ("DFEmailDelivered", "delivered", []),
            ("DFEmailDropped", "rejected", []),
            ("DFEmailBounced", "bounced", []),
            ("DFEmailOpened", "opened", ["also those of machines"]),
            ("DFEmailClicked", "clicked", ["also those of machines"]),
            ("DFEmailMarkedSpam", "complained", []),
        )
    ],
    ({"type": "RandomBucket", "percent": 0.25}, {"share": 0.25}, ["of other people"]),
    ({"type": "Everyone"}, {"share": 1}, ["an address alone"]),
]


@pytest.mark.parametrize(("node", "expected", "told"), GOLDEN, ids=[str(row[0])[:70] for row in GOLDEN])
def test_node_is_kept(node: dict[str, Any], expected: Any, told: list[str]) -> None:
    """Each type of node and operator, and what is told beside it."""
    members, differences = read(node)
    assert members == expected
    assert len(differences) == len(told)
    assert all(words in difference for words, difference in zip(told, differences, strict=True))


def test_equal_numbers_and_truths_stay_apart() -> None:
    """1 and true are equal to Python, and yet two values: no true stands for 1."""
    members, _ = read(trait({"type": "Equals", "value": 1}))
    assert [type(value) for value in members["is_one_of"]] == [int, str]


def test_what_hangs_on_nothing_is_told() -> None:
    """Nodes that no group names are left out, and that is said."""
    imported = read_dittofeed(
        {
            "name": "a",
            "entryNode": {"type": "And", "id": "1", "children": ["2"]},
            "nodes": [{"type": "Everyone", "id": "2"}, {"type": "Broadcast", "id": "3"}],
        }
    )
    assert "nodes[1] hangs on no other node, and is left out" in imported.differences


EXISTS = {"type": "Exists"}
NOT_EQUALS = {"path": "a", "operator": {"type": "NotEquals", "value": 1}}
REFUSED: list[tuple[object, str, str]] = [
    ([], "segment", "is an object"),
    ({"entryNode": {}, "nodes": []}, "name", "is missing: say what the cohort is to be called"),
    ({"name": "a", "definition": 1}, "definition", "is an object"),
    ({"name": "a", "definition": {}}, "definition.entryNode", "is an object"),
    ({"name": "a", "entryNode": {}, "nodes": {}}, "nodes", "is a list"),
    ({"name": "a", "entryNode": {}, "nodes": [{}]}, "nodes[0].id", "is a text"),
    (wrap({}, {"id": "2"}, {"id": "2"}), "nodes[1].id", "is that of nodes[0], too"),
    (wrap({"type": "Xor"}), "entryNode.type", "is one of And, Or, Trait, Includes, Performed, "),
    (wrap({"type": "And", "children": []}), "entryNode.children", "is a list of at least one"),
    (wrap({"type": "And", "children": ["7"]}), "entryNode.children[0]", "is the id of no node"),
    (
        wrap({"type": "And", "children": ["2"]}, {"type": "Or", "id": "2", "children": ["2"]}),
        "nodes[0].children[0]",
        "is a node that this one hangs on",
    ),
    *[
        (
            wrap({"type": "And", "children": ["2"]}, {"type": kind, "id": "2"}),
            "nodes[0]",
            f"{kind} {reason}",
        )
        for kind, reason in (
            ("SubscriptionGroup", "asks for a subscription group"),
            ("SubscriptionGroupUnsubscribed", "asks for a subscription group"),
            ("Broadcast", "asks for who got a broadcast"),
            ("Manual", "is a list of people"),
            ("KeyedPerformed", "counts the events of one run of a journey"),
        )
    ],
    (wrap({**trait(EXISTS), "since": 1}), "entryNode.since", "is unknown"),
    (wrap(trait({"type": "Exists", "value": 1})), "entryNode.operator.value", "is unknown"),
    (wrap(trait({"type": "Contains"})), "entryNode.operator.type", "is one of Equals, "),
    (
        wrap(trait({"type": "HasBeen", "comparator": "GTE", "value": 1, "windowSeconds": 5})),
        "entryNode.operator",
        "HasBeen asks",
    ),
    (wrap(trait({"type": "Equals", "value": ""})), "entryNode.operator.value", "is a text of 1 to 500"),
    (wrap(trait({"type": "Equals", "value": [1]})), "entryNode.operator.value", "is a text of 1 to 500"),
    (wrap(trait({"type": "Equals", "value": 10**5000})), "entryNode.operator.value", "is a text of 1 to 500"),
    (wrap(trait({"type": "LessThan", "value": "a"})), "entryNode.operator.value", "is a number"),
    (
        wrap(trait({"type": "Within", "windowSeconds": 0})),
        "entryNode.operator.windowSeconds",
        "is a whole number from 1 on",
    ),
    (
        wrap(trait({"type": "Within", "windowSeconds": 10**9})),
        "entryNode.operator.windowSeconds",
        "is longer than 3660 days",
    ),
    (
        wrap(trait({"type": "AbsoluteTimestamp", "absoluteTimestamp": "2026-01-01", "direction": "After"})),
        "entryNode.operator.absoluteTimestamp",
        "is a time of no zone: say of which",
    ),
    (
        wrap(trait({"type": "AbsoluteTimestamp", "absoluteTimestamp": "soon", "direction": "After"})),
        "entryNode.operator.absoluteTimestamp",
        "is a time",
    ),
    (
        wrap(trait({"type": "AbsoluteTimestamp", "absoluteTimestamp": "2026-01-01T00:00:00Z"})),
        "entryNode.operator.direction",
        "is one of After, Before",
    ),
    *[
        (wrap(trait(EXISTS, path)), "entryNode.path", "is not names with dots between them")
        for path in ("a[0]", "a.*", "a..b", ".a", "$a", "a[?(@.b)]", "['a']b", "a.")
    ],
    (wrap(trait(EXISTS, "$")), "entryNode.path", "names nothing"),
    (wrap(trait(EXISTS, "")), "entryNode.path", "is a text"),
    (wrap(trait(EXISTS, ".".join("a" * 30))), "entryNode", "has no form here: members.trait: has more than 20 names"),
    (wrap(performed(times=0)), "entryNode.times", ">= 0 is skipped by Dittofeed; here it is true of everybody"),
    (
        wrap(performed(times=0, timesOperator="<")),
        "entryNode.times",
        "< 0 is skipped by Dittofeed; here it is true of nobody",
    ),
    (wrap(performed(times=1.5)), "entryNode.times", "is a whole number from 0 on"),
    (wrap(performed(timesOperator=">")), "entryNode.timesOperator", "is one of =, >=, <"),
    (
        wrap(performed(timeOperator="Before")),
        "entryNode.timeOperator",
        "is one of Within, AfterAbsolute, BeforeAbsolute",
    ),
    (
        wrap(performed(timeOperator="AfterAbsolute", withinSeconds=5, absoluteTimestamp="2026-01-01T00:00:00Z")),
        "entryNode.timeOperator",
        "has withinSeconds beside it",
    ),
    (wrap(performed(timeOperator="AfterAbsolute")), "entryNode.absoluteTimestamp", "is a time"),
    (wrap(performed(event="a*b")), "entryNode.event", "has * before its end"),
    (wrap(performed(event="DFUserTracked")), "entryNode.event", "DFUserTracked is an event of Dittofeed's own"),
    (
        wrap(performed(event="DFEmailOpened", properties=[{"path": "a", "operator": EXISTS}])),
        "entryNode.event",
        "of DFEmailOpened only templateId can be asked for here",
    ),
    (wrap(performed(properties=[NOT_EQUALS])), "entryNode.properties[0].operator", "NotEquals of an event's property"),
    (
        wrap({"type": "LastPerformed", "event": "a", "whereProperties": [NOT_EQUALS]}),
        "entryNode.whereProperties[0].operator",
        "NotEquals of an event's property",
    ),
    *[
        (
            wrap(performed(properties=[{"path": "a", "operator": {"type": kind}}])),
            "entryNode.properties[0].operator",
            f"{kind} of an event's property is an error in Dittofeed",
        )
        for kind in ("Within", "AbsoluteTimestamp", "HasBeen")
    ],
    (
        wrap(performed(properties=[{"path": "['a.b']", "operator": EXISTS}])),
        "entryNode.properties[0].path",
        "has a dot in a name",
    ),
    (
        wrap(
            performed(properties=[{"path": "a", "operator": EXISTS}, {"path": "a", "operator": {"type": "NotExists"}}])
        ),
        "entryNode.properties[1]",
        "tests a property that another tests in the same way",
    ),
    (wrap({"type": "Email", "event": "DFEmailOpened"}), "entryNode.templateId", "is a text"),
    (
        wrap({"type": "Email", "event": "opened", "templateId": "t"}),
        "entryNode.event",
        "is one of DFInternalMessageSent, ",
    ),
    (
        wrap({"type": "RandomBucket", "percent": 25}),
        "entryNode",
        "has no form here: members.share: is a number from 0 to 1",
    ),
]


@pytest.mark.parametrize(("segment", "place", "reason"), REFUSED, ids=[f"{row[1]}: {row[2][:40]}" for row in REFUSED])
def test_refusal_tells_where_and_why(segment: object, place: str, reason: str) -> None:
    """What can't be kept exactly is refused with its place in the segment."""
    told_place, told_reason = refuse(segment)
    assert told_place == place
    assert told_reason.startswith(reason)


def test_large_segments_are_refused() -> None:
    """Neither depth nor nodes that hang on many exhaust anything."""
    chain = [{"type": "And", "id": str(i), "children": [str(i + 1)]} for i in range(5000)]
    assert refuse(wrap(*chain))[1] == "hangs on more than 20 others"
    lattice = [{"type": "Or", "id": str(i), "children": [str(i + 1)] * 10} for i in range(15)]
    assert refuse(wrap(*lattice, {"type": "Everyone", "id": "15"}))[1] == "is one of more than 100 conditions"


texts = st.sampled_from(
    ["a", "a.b", "$.a", "['a.b']", "DFEmailOpened", "Call*", "*", "2026-01-01T00:00:00Z", "5", "true"]
)
values = texts | st.text(max_size=4) | st.integers() | st.floats() | st.none() | st.booleans()
operators = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "Equals",
                "NotEquals",
                "GreaterThanOrEqual",
                "LessThan",
                "Exists",
                "NotExists",
                "Within",
                "AbsoluteTimestamp",
            ]
        )
    },
    optional={
        "value": values,
        "windowSeconds": st.integers(-1, 10**9),
        "absoluteTimestamp": values,
        "direction": st.sampled_from(["After", "Before"]),
    },
)
properties = st.lists(st.fixed_dictionaries({"path": texts, "operator": operators}), max_size=3)
leaves = st.one_of(
    st.fixed_dictionaries({"type": st.just("Trait"), "path": texts, "operator": operators}),
    st.fixed_dictionaries({"type": st.just("Includes"), "path": texts, "item": values}),
    st.fixed_dictionaries(
        {"type": st.just("Performed"), "event": texts},
        optional={
            "times": st.integers(0, 3),
            "timesOperator": st.sampled_from(["=", ">=", "<"]),
            "withinSeconds": st.integers(0, 10**9),
            "timeOperator": st.sampled_from(["Within", "AfterAbsolute"]),
            "absoluteTimestamp": values,
            "properties": properties,
        },
    ),
    st.fixed_dictionaries(
        {"type": st.just("LastPerformed"), "event": texts},
        optional={"whereProperties": properties, "hasProperties": properties},
    ),
    st.fixed_dictionaries(
        {"type": st.just("Email"), "event": texts, "templateId": values}, optional={"times": st.integers(0, 2)}
    ),
    st.fixed_dictionaries({"type": st.just("RandomBucket"), "percent": values}),
    st.just({"type": "Everyone"}),
)
groups = st.fixed_dictionaries(
    {"type": st.sampled_from(["And", "Or"]), "children": st.lists(st.sampled_from("0123456"), max_size=4)}
)


@settings(max_examples=200)
@given(
    leaves.map(lambda leaf: [leaf]) | st.lists(leaves | groups, min_size=1, max_size=7),
    st.text(max_size=5),
    st.none() | st.text(max_size=5),
)
def test_whatever_is_accepted_is_a_cohort(nodes: list[dict[str, Any]], title: str, name: str | None) -> None:
    """An import gives what `read_cohort` reads, or an ImportRefusedError that can be printed."""
    named = [{"id": str(index), **node} for index, node in enumerate(nodes)]
    try:
        imported = read_dittofeed({"name": title, "entryNode": named[0], "nodes": named[1:]}, name=name)
    except ImportRefusedError as error:
        str(error).encode()
    else:
        read_cohort(imported.definition)
        "".join(imported.differences).encode()


anything = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "entryNode", "nodes", "type", "id", "definition"]), inner)
    ),
)


@given(anything)
def test_nothing_else_is_ever_raised(segment: object) -> None:
    """Whatever the JSON is, it is a cohort or refused."""
    with contextlib.suppress(ImportRefusedError):
        read_dittofeed(segment)
