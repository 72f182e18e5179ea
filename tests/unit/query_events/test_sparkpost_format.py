import pytest

from query_events.sparkpost_format import to_float, to_int


@pytest.mark.parametrize(
    ("value", "expected"),
    [("101", 101), (101, 101), ("-1", -1), ("", ""), ("a1", "a1"), (None, None), ("9" * 30, "9" * 30)],
)
def test_ids_become_integers(value: object, expected: object) -> None:
    """What says a whole number becomes one; anything else stays."""
    assert to_int(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("39.17", 39.17), (-76, -76.0), ("21044", 21044.0), ("SW1A", "SW1A"), (None, None), (True, True)],
)
def test_coordinates_become_floats(value: object, expected: object) -> None:
    """What says a number becomes a float; a British postcode stays."""
    assert to_float(value) == expected
