"""Times without a zone."""

import pytest

from common.clock import format_instant
from providers._times import read_american


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("11/21/2026 9:29:02 AM", "2026-11-21T09:29:02.000Z"),
        ("11/21/2026 9:29:02 pm", "2026-11-21T21:29:02.000Z"),
        ("11/21/2026 12:00:00 AM", "2026-11-21T00:00:00.000Z"),
        ("11/21/2026 12:00:00 PM", "2026-11-21T12:00:00.000Z"),
        ("1/2/2026 1:02 AM", "2026-01-02T01:02:00.000Z"),
        ("11/21/2026 21:29:02", "2026-11-21T21:29:02.000Z"),
        ("11/21/2026 9:29:02\u202fPM", "2026-11-21T21:29:02.000Z"),
        ("2026-11-21 09:29:02", "2026-11-21T09:29:02.000Z"),
        ("2026-11-21T09:29:02+02:00", "2026-11-21T07:29:02.000Z"),
        ("1795252320", "2026-11-21T09:12:00.000Z"),
        (1795252320, "2026-11-21T09:12:00.000Z"),
    ],
)
def test_times_are_read(text: object, instant: str) -> None:
    """Twelve is the first hour of each half of the day; without a zone it is UTC."""
    assert format_instant(read_american(text)) == instant


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "21/11/2026 9:29:02 AM",
        "11/21/2026 13:00:00 PM",
        "11/21/2026 0:00 AM",
        "9" * 40,
        None,
        [],
        10**30,
        "0001-01-01T00:00:00+14:00",
        "11/21/2026",
        "1/1/0000 1:00 AM",
    ],
)
def test_what_is_no_time(value: object) -> None:
    """A day before the month, hours that a clock has not, and all else is refused, without being repeated."""
    with pytest.raises(ValueError, match=r"^(the time|timestamp) ") as failure:
        read_american(value)
    assert not value or str(value) not in str(failure.value)
