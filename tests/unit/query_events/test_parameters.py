from datetime import UTC, datetime

import pytest

from common.errors import ApiError
from query_events.parameters import LONGEST_LIST, PARAMETERS, read_parameters
from query_events.search import build_count_query, build_page_query

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
    ("to", "2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
]


@pytest.mark.parametrize(("name", "text", "value"), CASES)
def test_values_are_read(name: str, text: str, value: object) -> None:
    """Each parameter reads the forms that clients send."""
    assert read_parameters({name: text}) == {name: value}


def test_every_parameter_is_tested() -> None:
    """A row that is added to the table needs a case here, and says what it means."""
    assert {name for name, *_ in CASES} == set(PARAMETERS)
    assert all(row.meaning for row in PARAMETERS.values())


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_values_count_as_missing(text: str) -> None:
    """A client that sends every parameter, filled or not, gets what it means."""
    assert read_parameters(dict.fromkeys(PARAMETERS, text)) == {}


def test_unknown_parameters_are_ignored() -> None:
    """As SparkPost does."""
    assert read_parameters({"colour": "red", "FROM": "x", "timezone": "UTC"}) == {}


BAD = [
    ("per_page", "0"), ("per_page", "-1"), ("per_page", "10001"), ("per_page", "1e3"), ("per_page", "٣"),
    ("per_page", "9" * 5000), ("from", "now"), ("from", "2026-11-31T00:00"), ("to", "9999-12-31T23:59:59-23:59"),
    ("from", "1700000000"), ("recipients", ",".join(["a"] * (LONGEST_LIST + 1))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), BAD)
def test_bad_values_are_named(name: str, text: str) -> None:
    """A value that can't be read is a 400 with SparkPost's code, which names the parameter and not the value."""
    with pytest.raises(ApiError) as caught:
        read_parameters({name: text})
    error = caught.value
    assert (error.status, error.code) == (400, "1200")
    assert error.description.startswith(f"{name} ")
    assert len(error.description) < 100


def test_sql_binds_every_value() -> None:
    """The SQL of a page holds the conditions of its parameters, and a place for each value."""
    names = frozenset(name for name, row in PARAMETERS.items() if row.condition)
    sql = build_page_query(names, paged=True)
    for name in [*names, "limit", "cursor_time", "cursor_key"]:
        assert f"%({name})s" in sql
    assert 'ORDER BY "occurred_at" DESC,"event_key" DESC LIMIT' in sql
    assert "COUNT(*)" in build_count_query(names)
