"""Hours of the day in which members are not mailed, by the clock that hangs on the member's wall.

What clocks leap over or show twice needs no rule of its own: an instant is quiet if the clock shows a quiet time then.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

MINUTE: Final = timedelta(minutes=1)


class QuietHours(NamedTuple):
    """From a time of the day on until before another one; over midnight if that is earlier."""

    begin: time
    end: time
    zone: ZoneInfo

    def hold(self, instant: datetime) -> bool:
        """Whether an instant is quiet."""
        shown = instant.astimezone(self.zone).time()
        if self.begin < self.end:
            return self.begin <= shown < self.end
        return shown >= self.begin or shown < self.end


def read_quiet_hours(given: Mapping[str, str]) -> QuietHours:
    """`{"from": "21:00", "to": "08:00", "time_zone": "Europe/Berlin"}`, as it was checked before."""
    begin, end = time.fromisoformat(given["from"]), time.fromisoformat(given["to"])
    return QuietHours(begin, end, ZoneInfo(given["time_zone"]))


@lru_cache(1_000)
def find_quiet_end(quiet: QuietHours, instant: datetime) -> datetime | None:
    """When it is no longer quiet; None where it is not now. Minute by minute, as zones move by whole minutes."""
    if not quiet.hold(instant):
        return None
    at = instant.astimezone(UTC).replace(second=0, microsecond=0)
    while quiet.hold(at):
        at += MINUTE
    return at
