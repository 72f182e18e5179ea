from random import Random

import pytest

from bench.figures import Figure, Target, draw_table, find_percentile


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (100, 100)])
def test_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    """The p-th percentile of 1 to 100, in any order, is the value at rank p, rounded up."""
    values = list(range(1, 101))
    Random(1).shuffle(values)
    assert find_percentile(values, percent) == expected


def test_percentile_of_one_value() -> None:
    """A single value is every percentile."""
    assert find_percentile([7.5], 99) == 7.5


def test_percentile_of_nothing_is_refused() -> None:
    """Without values there is no percentile, and no silent zero."""
    with pytest.raises(ValueError, match="no values"):
        find_percentile([], 50)


@pytest.mark.parametrize(("ratio", "verdict"), [(0.61, "ok"), (0.6, "ok"), (0.59, "FALLS SHORT")])
def test_least_target_includes_its_bound(ratio: float, verdict: str) -> None:
    """A ratio at or above the least one is good enough."""
    assert Figure(name="load", measured="", ratio=ratio, target=Target(least=0.6)).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(499.9, "ok"), (500, "ok"), (500.1, "FALLS SHORT")])
def test_most_target_judges_the_value_where_there_is_no_ratio(value: float, verdict: str) -> None:
    """Without a ratio the measured number itself must not exceed the target."""
    assert Figure(name="size", measured="", value=value, target=Target(most=500)).verdict == verdict


def test_ratio_is_judged_before_the_value() -> None:
    """A figure with both is judged by its ratio."""
    assert Figure(name="both", measured="", ratio=0.4, value=900, target=Target(most=0.5)).verdict == "ok"


def test_figure_without_target_has_no_verdict() -> None:
    """What is only shown neither passes nor fails."""
    assert Figure(name="p99", measured="3 ms", ratio=9.0).verdict == ""


def test_target_without_anything_to_judge_is_refused() -> None:
    """A target that nothing is held against is a mistake, not a pass."""
    with pytest.raises(ValueError, match="neither ratio nor value"):
        _ = Figure(name="load", measured="fast", target=Target(least=1)).verdict


def test_table_lines_its_columns_up() -> None:
    """Each column is as wide as its widest cell; the verdict ends the line, and no line ends in blanks."""
    figures = [
        Figure(name="load", measured="9 events/s", compared="10 events/s", ratio=0.9, target=Target(least=0.6)),
        Figure(name="  peak memory", measured="70 MiB"),
    ]
    assert draw_table(figures).splitlines() == [
        "figure         measured    compared with  ratio  target",
        "-------------  ----------  -------------  -----  ------  --",
        "load           9 events/s  10 events/s    0.90   >= 0.6  ok",
        "  peak memory  70 MiB",
    ]
