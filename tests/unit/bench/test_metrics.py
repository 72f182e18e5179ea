import json
from datetime import date
from typing import Any

import pytest

from bench.metrics import CHECKED, check_answer

ZEROS = dict.fromkeys(CHECKED, 0)


def answer(**rows: int) -> bytes:
    """An answer by day, with so many accepted on each."""
    results = [{"day": day.replace("_", "-").strip("-"), **ZEROS, "accepted": number} for day, number in rows.items()]
    total = {**ZEROS, "accepted": sum(rows.values())}
    content: dict[str, Any] = {"group_by": ["day"], "results": results, "total": total, "total_count": len(rows)}
    return json.dumps(content).encode()


def count(*numbers: int) -> list[tuple[Any, ...]]:
    """The rows by hand of the first days of November: the group, the counts, and two that are not compared."""
    return [(date(2026, 11, day), number, *[0] * 7, 9, 9) for day, number in enumerate(numbers, 1)]


def test_equal_counts_may_be_timed() -> None:
    """Also where the answer shows the first groups only."""
    check_answer(answer(_2026_11_01=4, _2026_11_02=5), count(4, 5))
    content = json.loads(answer(_2026_11_01=4, _2026_11_02=5))
    content["results"].pop()
    check_answer(json.dumps(content).encode(), count(4, 5))
    check_answer(answer(_2026_11_01=4), count(3), {(date(2026, 11, 1),): 1})


@pytest.mark.parametrize("numbers", [(4, 6), (5, 4), (4, 5, 0), (9,)], ids=str)
def test_one_different_count_ends_the_benchmark(numbers: tuple[int, ...]) -> None:
    """Be it a group's, though the total is right, or a group too many or too few."""
    with pytest.raises(RuntimeError, match="by hand"):
        check_answer(answer(_2026_11_01=4, _2026_11_02=5), count(*numbers))
