import pytest

from bench.filters import list_filters
from bench.values import FILTERS, FORMS, bind_value, build_condition, build_given
from query_events.given import recognise


def test_every_filter_is_measured() -> None:
    """Each declared filter has a row in the benchmark, and no row is left of one that is gone."""
    assert sorted(FILTERS) == sorted(list_filters())


@pytest.mark.parametrize("name", [*FILTERS, *FORMS])
def test_parameters_are_known(name: str) -> None:
    """What the benchmark asks for is known to the search: an unknown parameter would find everything."""
    row = (FILTERS | FORMS)[name]
    value = "|".join("x" for _ in row.parameters) or "x"
    for parameter in build_given(name, row, value):
        assert recognise(parameter) is not None


def test_parts_of_a_value_are_given_apart() -> None:
    """A version of a test is asked for together with its test."""
    given = build_given("ab_test_versions", FILTERS["ab_test_versions"], "colours|2")
    assert given == {"ab_test_ids": "colours", "ab_test_versions": "2"}


def test_keys_are_looked_up_first_or_left_to_the_planner() -> None:
    """What events share is selected by its key, in either of two ways; an event's own column is compared itself."""
    row = FILTERS["bounce_kinds"]
    keys = "SELECT kind_key FROM kinds WHERE bounce_kind = %(value)s"
    assert build_condition(row, keys_first=True) == f"kind_key = ANY (ARRAY({keys}))"
    assert build_condition(row, keys_first=False) == f"kind_key IN ({keys})"
    assert build_condition(FILTERS["recipients"], keys_first=True) == "recipient = %(value)s"


def test_words_are_bound_with_one_space_around_each() -> None:
    """Whatever separates words, the pattern has single spaces."""
    assert bind_value(FILTERS["campaigns"], "Black--Friday_2026")["words"] == "% black friday 2026 %"
    assert bind_value(FILTERS["recipient_domains"], "Yahoo.co.uk")["words"] == "% yahoo co uk %"
