"""Times at which calendars are odd, and what happens around them."""

from datetime import UTC, datetime
from typing import NamedTuple


class Era(NamedTuple):
    """A few days around a change of a zone's clocks."""

    middle: datetime  # midnight UTC near the change
    zones: tuple[str, ...]  # the first is the one whose clocks change


def _era(year: int, month: int, day: int, *zones: str) -> Era:
    return Era(datetime(year, month, day, tzinfo=UTC), zones)


ERAS = (
    _era(2026, 3, 29, "Europe/Berlin", "UTC"),  # 2 becomes 3
    _era(2026, 10, 25, "Europe/Berlin", "Asia/Kathmandu"),  # 3 becomes 2
    _era(2018, 11, 4, "America/Sao_Paulo", "UTC"),  # midnight becomes 1: the day begins at 1
    _era(2018, 2, 18, "America/Sao_Paulo", "Europe/Berlin"),  # midnight becomes 23 of the day before
    _era(2024, 4, 26, "Africa/Cairo", "UTC"),  # midnight becomes 1
    _era(2024, 11, 1, "Africa/Cairo", "America/New_York"),  # midnight becomes 23
    _era(2026, 3, 8, "America/Havana", "America/New_York"),  # midnight becomes 1
    _era(2026, 11, 1, "America/Havana", "Pacific/Auckland"),  # 1 becomes midnight: it comes twice
    _era(2011, 12, 30, "Pacific/Apia", "UTC"),  # a day is left out
    _era(2024, 4, 7, "Australia/Lord_Howe", "UTC"),  # by half an hour
)
