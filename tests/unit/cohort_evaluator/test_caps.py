"""Caps, by the calendar of a member's own time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cohort_evaluator.caps import Caps, find_room


@pytest.mark.parametrize(
    ("caps", "zone", "sent", "instant", "room"),
    [
        (Caps(), "UTC", ["2026-11-21T10:00Z"] * 9, "2026-11-21T12:00Z", None),
        (Caps(per_day=2), "UTC", ["2026-11-21T10:00Z", "2026-11-20T23:59Z"], "2026-11-21T12:00Z", None),
        (Caps(per_day=1), "UTC", ["2026-11-21T00:00Z"], "2026-11-21T12:00Z", "2026-11-22T00:00Z"),
        # The day is hers: 23:30 of the day before in UTC is 00:30 in Berlin.
        (Caps(per_day=1), "Europe/Berlin", ["2026-11-20T23:30Z"], "2026-11-21T12:00Z", "2026-11-21T23:00Z"),
        (Caps(per_day=1), "America/New_York", ["2026-11-20T23:30Z"], "2026-11-21T12:00Z", None),
        # A day of 25 hours, and one whose midnight is left out.
        (Caps(per_day=1), "Europe/Berlin", ["2026-10-24T22:00Z"], "2026-10-25T22:30Z", "2026-10-25T23:00Z"),
        (Caps(per_day=1), "America/Santiago", ["2026-09-05T12:00Z"], "2026-09-05T20:00Z", "2026-09-06T04:00Z"),
        # The 21st is a Saturday: the week ends after Sunday. Sunday is no new week.
        (Caps(per_week=1), "UTC", ["2026-11-16T00:00Z"], "2026-11-21T12:00Z", "2026-11-23T00:00Z"),
        (Caps(per_week=1), "UTC", ["2026-11-15T23:59Z"], "2026-11-21T12:00Z", None),
        (Caps(per_week=1), "UTC", ["2026-11-22T01:00Z"], "2026-11-22T12:00Z", "2026-11-23T00:00Z"),
        # Both: the later.
        (Caps(1, 2), "UTC", ["2026-11-17T00:00Z", "2026-11-21T01:00Z"], "2026-11-21T12:00Z", "2026-11-23T00:00Z"),
        (Caps(1, 3), "UTC", ["2026-11-17T00:00Z", "2026-11-21T01:00Z"], "2026-11-21T12:00Z", "2026-11-22T00:00Z"),
        # Over the turn of the year weeks go on.
        (Caps(per_week=1), "UTC", ["2026-12-28T00:00Z"], "2027-01-03T12:00Z", "2027-01-04T00:00Z"),
    ],
)
def test_room(caps: Caps, zone: str, sent: list[str], instant: str, room: str | None) -> None:
    """None where there is some now, else the next day's or week's first instant."""
    found = find_room(
        caps, ZoneInfo(zone), [datetime.fromisoformat(at) for at in sent], datetime.fromisoformat(instant)
    )
    assert found == (room and datetime.fromisoformat(room))
