"""Quiet hours, by clocks that are moved."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from common.quiet_hours import MINUTE, QuietHours, find_quiet_end, read_quiet_hours


def find(quiet: tuple[str, str, str], instant: str) -> str | None:
    """When they end, as UTC."""
    begin, end, zone = quiet
    hours = read_quiet_hours({"from": begin, "to": end, "time_zone": zone})
    found = find_quiet_end(hours, datetime.fromisoformat(instant))
    return None if found is None else found.strftime("%m-%d %H:%M:%S")


NIGHT = ("21:00", "08:00", "Europe/Berlin")
NOON = ("12:00", "14:00", "Asia/Kolkata")


@pytest.mark.parametrize(
    ("quiet", "instant", "end"),
    [
        # Berlin is one hour ahead of UTC in winter.
        (NIGHT, "2026-11-21T19:59:59.999999Z", None),
        (NIGHT, "2026-11-21T20:00:00Z", "11-22 07:00:00"),
        (NIGHT, "2026-11-22T06:59:59.999999Z", "11-22 07:00:00"),
        (NIGHT, "2026-11-22T07:00:00Z", None),
        (NOON, "2026-11-21T06:29:59Z", None),
        (NOON, "2026-11-21T07:00:01.5Z", "11-21 08:30:00"),
        (NOON, "2026-11-21T08:30:00Z", None),
        # The night in which clocks go forward, at 01:00Z, is shorter; the one in which they go back is longer.
        (NIGHT, "2026-03-28T22:00:00Z", "03-29 06:00:00"),
        (NIGHT, "2026-10-24T22:00:00Z", "10-25 07:00:00"),
        # They would end at a time that is left out: they do when it is leapt over.
        (("21:00", "02:30", "Europe/Berlin"), "2026-03-29T00:59:59Z", "03-29 01:00:00"),
        # They would only be at times that are left out.
        (("02:00", "03:00", "Europe/Berlin"), "2026-03-29T01:00:00Z", None),
        (("02:00", "03:00", "Europe/Berlin"), "2026-03-28T01:30:00Z", "03-28 02:00:00"),
        # 02:00 to 03:00 is shown twice: quiet both times, and what is before 02:30 again.
        (("02:00", "03:00", "Europe/Berlin"), "2026-10-25T00:00:00Z", "10-25 02:00:00"),
        (("23:00", "02:30", "Europe/Berlin"), "2026-10-24T22:00:00Z", "10-25 00:30:00"),
        (("23:00", "02:30", "Europe/Berlin"), "2026-10-25T00:45:00Z", None),
        (("23:00", "02:30", "Europe/Berlin"), "2026-10-25T01:15:00Z", "10-25 01:30:00"),
        # Half an hour is leapt over; midnight is; the only time that is not quiet is.
        (("22:00", "02:15", "Australia/Lord_Howe"), "2026-10-03T14:00:00Z", "10-03 15:30:00"),
        (("22:00", "00:30", "America/Santiago"), "2026-09-06T03:59:00Z", "09-06 04:00:00"),
        (("03:00", "02:00", "Europe/Berlin"), "2026-03-28T23:00:00Z", "03-30 00:00:00"),
    ],
)
def test_end_is_by_the_clock_on_the_wall(quiet: tuple[str, str, str], instant: str, end: str | None) -> None:
    """Whatever clocks leap over or show twice."""
    assert find(quiet, instant) == end


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "UTC"])
def test_the_end_is_the_first_minute_that_is_not_quiet(zone: str) -> None:
    """At each quarter of an hour of a year's moves of the clock."""
    hours = QuietHours(time(21, 30), time(7, 15), ZoneInfo(zone))
    instants = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=5) * number for number in range(1750)]
    ends = {instant: find_quiet_end(hours, instant) for instant in instants}
    for instant, end in ends.items():
        shown = instant.astimezone(hours.zone)
        is_quiet = (shown.hour, shown.minute) >= (21, 30) or (shown.hour, shown.minute) < (7, 15)
        assert (end is not None) == is_quiet
        if end is not None:
            assert not hours.hold(end)
            assert hours.hold(end - MINUTE)
            assert timedelta(0) < end - instant < timedelta(hours=11)
    ordered = [end for end in ends.values() if end]
    assert all(one <= other for one, other in pairwise(ordered))
