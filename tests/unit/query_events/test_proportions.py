import pytest

from query_events.proportions import Group, compare, find_interval, tell


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_intervals_are_those_that_newcombe_printed(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    """His examples (1998, table II, method 10), to the fourth digit."""
    difference = compare(Group(one[1], one[0]), Group(other[1], other[0]))
    assert difference is not None
    assert difference.value == pytest.approx(one[0] / one[1] - other[0] / other[1])
    assert (round(difference.low, 4), round(difference.high, 4)) == (low, high)


def test_interval_of_one_share_is_wilsons() -> None:
    """81 of 263 (Newcombe 1998, "Two-sided confidence intervals for the single proportion"); never beyond 0 and 1."""
    assert tuple(round(each, 4) for each in find_interval(Group(263, 81))) == (0.2553, 0.3662)
    assert find_interval(Group(20, 0))[0] == 0.0
    assert find_interval(Group(20, 20))[1] == 1.0


def test_nobody_is_compared_with_nobody() -> None:
    """There is no difference, and the words say which group is empty."""
    assert compare(Group(0, 0), Group(3, 1)) is None
    assert compare(Group(3, 1), Group(0, 0)) is None
    assert tell(Group(3, 1), Group(0, 0), "7 days").startswith("Nobody was held out at least 7 days ago")
    assert tell(Group(0, 0), Group(3, 1), "7 days").startswith("Nobody was to be mailed at least 7 days ago")


def test_words_tell_the_difference_and_how_sure_it_is() -> None:
    """Numbers in percentage points, and whether chance explains it."""
    assert tell(Group(70, 56), Group(80, 48), "7 days") == (
        "80.0 % of those to be mailed entered within 7 days, 60.0 % of those held out: 20.0 percentage points more."
        " With 95 % confidence the difference is between +5.2 and +33.4 points: chance alone hardly explains it."
    )
    assert "25.0 percentage points fewer" in tell(Group(8, 2), Group(8, 4), "2 hours")
    assert tell(Group(8, 2), Group(8, 4), "2 hours").endswith(": it may be chance.")
