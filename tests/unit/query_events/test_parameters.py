from datetime import UTC, datetime

import pytest

from common.errors import ApiError
from query_events.given import join_repeated, read_parameters, recognise
from query_events.parameters import PARAMETERS, Dialect
from query_events.search_queries import build_count_query, build_page_query
from query_events.shared_keys import Use, build_key_query
from query_events.values import LONGEST_LIST, PROVIDERS, Beginnings

CASES = [
    ("recipients", "A@x.com, b@X.com ,,", ["a@x.com", "b@x.com"]),
    ("events", "open,click", ["open", "click"]),
    ("per_page", "1", 1),
    ("per_page", "10000", 10_000),
    ("from", "2026-11-21T09:30", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    ("from", "2026-11-21T09:30:15Z", datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)),
    ("from", "2026-11-21T09:30:15", datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)),
    ("to", "2026-11-21T09:30:15.250Z", datetime(2026, 11, 21, 9, 30, 15, 250_000, tzinfo=UTC)),
    ("to", "2026-11-21T09:30:15.000+02:00", datetime(2026, 11, 21, 7, 30, 15, tzinfo=UTC)),
    ("to", "2026-11-21T09:30:15.000 00:00", datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)),  # a `+` not encoded
    ("to", "2026-11-21 09:30", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
    ("to", "2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
    ("friendly_froms", "A@x.com", ["a@x.com"]),
    ("bounce_classes", "10,30", [10, 30]),
    ("campaign_ids", "a,b", ["a", "b"]),
    ("message_ids", "m", ["m"]),
    ("transmissions", "1", ["1"]),
    ("reason", "50%_x", ["%50%\\_x%"]),
    ("prefix.campaign_ids", "A_b", ["a\\_b%"]),
    ("not.prefix.recipients", "Bo,Ann", Beginnings(["bo%", "ann%"], "ann", "bo\U0010ffff")),
    ("total", "none", "none"),
    ("bounce_kinds", "hard,soft", ["hard", "soft"]),
    ("event_types", "opened", ["opened"]),
    ("not.providers", "sparkpost", ["sparkpost"]),
]


@pytest.mark.parametrize(("name", "text", "value"), CASES)
def test_values_are_read(name: str, text: str, value: object) -> None:
    """Each form of value is read as clients send it; an alias gives its row's name."""
    asked = recognise(name)
    assert asked is not None
    assert read_parameters({name: text}) == {asked.name: value}


def test_rows_say_what_they_mean() -> None:
    """Every row has a meaning, and no name stands for two rows."""
    names = [name for row in PARAMETERS.values() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert all(row.meaning for row in PARAMETERS.values())


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_values_count_as_missing(text: str) -> None:
    """A client that sends every parameter, filled or not, gets what it means."""
    assert read_parameters(dict.fromkeys([*PARAMETERS.keys() - {"delimiter"}], text)) == {}
    assert read_parameters({"campaigns": ",,"}) == {}


def test_zone_counts_in_the_older_dialect_alone() -> None:
    """`timezone` is that of times without one; the current dialect ignores it, as SparkPost does."""
    given = {"from": "2026-07-01T09:30", "to": "2026-07-01T10:00Z", "timezone": "America/New_York"}
    older = read_parameters(given, Dialect.V1)
    assert older["from"] == datetime(2026, 7, 1, 13, 30, tzinfo=UTC)
    assert older["to"] == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert read_parameters(given)["from"] == datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def test_delimiter_separates_every_list() -> None:
    """Any text may be the delimiter, white space too."""
    assert read_parameters({"events": "a|b,c", "delimiter": "|"})["events"] == ["a", "b,c"]
    assert read_parameters({"events": "a b", "delimiter": " "})["events"] == ["a", "b"]


def test_repeated_lists_are_one() -> None:
    """A list that is given twice, or under two names, is one list; of other parameters the last one counts."""
    given = join_repeated([("events", "open"), ("per_page", "1"), ("events", "click"), ("per_page", "2")])
    assert given == {"events": "open,click", "per_page": "2"}
    assert read_parameters({"messages": "a", "message_ids": "b"}) == {"messages": ["a", "b"]}


def test_unknown_parameters_are_ignored_unless_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """SparkPost ignores them; a setting makes them a 400 that names the nearest one."""
    assert read_parameters({"colour": "red", "FROM": "x"}) == {}
    monkeypatch.setenv("UNKNOWN_PARAMETERS", "refuse")
    with pytest.raises(ApiError, match="Invalid") as caught:
        read_parameters({"campagns": "x"})
    assert "did you mean campaigns?" in caught.value.description
    assert read_parameters({"timezone": "UTC"}) == {}  # known to the other dialect


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("bounce_kinds", "hrad", "hard"), ("event_types", "delivery", "delivered"),
        ("providers", "sparkpst", "sparkpost"),
        ("metadata.", "x", "metadata"), ("bounce_kind", "hard", "bounce_kinds"), ("not.campagns", "x", "campaigns"),
        ("not.per_page", "1", "per_page"), ("prefix.bounce_classes", "1", "not.bounce_classes"), ("tag", "x", "tags"),
    ],
)  # fmt: skip
def test_unknown_forms_of_our_own_are_refused(name: str, text: str, hint: str) -> None:
    """What only we have is never dropped in silence: a 400 names the nearest known form."""
    with pytest.raises(ApiError) as caught:
        read_parameters({name: text})
    assert caught.value.status == 400
    assert hint in caught.value.description


def test_versions_need_their_test() -> None:
    """`ab_test_versions` without `ab_tests` is SparkPost's error of a missing parameter."""
    with pytest.raises(ApiError) as caught:
        read_parameters({"ab_test_versions": "1"})
    assert (caught.value.status, caught.value.code) == (400, "1401")
    assert read_parameters({"ab_test_versions": "1", "ab_test_ids": "a"})["ab_test_versions"] == ["1"]


BAD = [
    ("per_page", "0"), ("per_page", "-1"), ("per_page", "10001"), ("per_page", "1e3"), ("per_page", "٣"),
    ("per_page", "9" * 5000), ("from", "now"), ("from", "2026-11-31T00:00"), ("to", "9999-12-31T23:59:59-23:59"),
    ("to", "0001-01-01T00:00"), ("from", "1700000000"), ("recipients", ",".join(["a"] * (LONGEST_LIST + 1))),
    ("bounce_classes", "ten"), ("bounce_classes", "9" * 30), ("bounce_kinds", "x" * 5000),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_values_are_named(name: str, text: str) -> None:
    """A value that can't be read is a 400 with SparkPost's code, which names the parameter."""
    with pytest.raises(ApiError) as caught:
        read_parameters({name: text})
    error = caught.value
    assert (error.status, error.code) == (400, "1200")
    assert error.description.startswith(f"{name} ")
    assert len(error.description) < 200


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../../etc/passwd", "/etc/passwd", "a\0b", "America", "x" * 5000])
def test_bad_zones_are_refused(zone: str) -> None:
    """Only names of time zones are looked up."""
    with pytest.raises(ApiError, match="Invalid"):
        read_parameters({"timezone": zone}, Dialect.V1)


def test_sql_binds_every_value() -> None:
    """The SQL of every filter, in each form and with each use of keys, is built; all values are bound."""
    for row in PARAMETERS.values():
        for form in ("", *row.forms) if row.filter else ():
            shapes = ((row.name, "not." in form, "prefix." in form),)
            names, sql = build_key_query(shapes)
            for use in Use:
                uses = tuple((name, use) for name in names)
                whole = sql + build_page_query(shapes, uses, paged=True) + build_count_query(shapes, uses)
                assert "%(v0" in whole
                assert "%(cursor_time)s" in whole
    assert PROVIDERS
