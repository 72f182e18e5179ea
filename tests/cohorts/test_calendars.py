"""The beginnings of days, weeks and months in SQL, held against a clock that is read minute by minute."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from local.postgres import SUPERUSER, Postgres
from oracle.windows import find_period, shift, start_day

# Whose clocks change at midnight or nearly so, by half an hour, by two hours, or by a day.
ZONES = (
    *("America/Sao_Paulo", "America/Havana", "America/Asuncion", "America/Santiago", "America/St_Johns"),
    *("Africa/Cairo", "Africa/Casablanca", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Asia/Damascus"),
    *("Atlantic/Azores", "America/Scoresbysund", "Antarctica/Troll", "Australia/Lord_Howe", "Pacific/Apia"),
    *("Europe/Berlin", "Asia/Kathmandu", "Asia/Pyongyang", "America/Caracas", "Pacific/Chatham"),
)
FIRST, LAST = date(2009, 12, 28), date(2024, 12, 31)
STARTS = "SELECT start_period(%s, %s, %s, %s, %s)"


def find_changes(zone: str) -> list[date]:
    """The days on which a zone's clocks change, and those beside them."""
    clock, found = ZoneInfo(zone), set()
    noon = datetime(FIRST.year, FIRST.month, FIRST.day, 12, tzinfo=UTC)
    while noon.date() < LAST:
        after = noon + timedelta(days=1)
        if noon.astimezone(clock).utcoffset() != after.astimezone(clock).utcoffset():
            found |= {noon.date() + timedelta(days=days) for days in (-1, 0, 1, 2)}
        noon = after
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_periods_begin_when_clocks_say_so(migrated: Postgres, zone: str) -> None:
    """Around every change of a zone's clocks in fifteen years the day, the next one, the week and the month before."""
    wrong = []
    dsn = migrated.dsn(SUPERUSER, "mailwake")
    with contextlib.closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        for day in find_changes(zone):
            instant = start_day(zone, day) + timedelta(hours=5)
            for unit, start, number in (("day", 0, 0), ("day", 0, 1), ("week", 6, 0), ("month", 0, -1)):
                cursor.execute(STARTS, (instant, unit, start, zone, number))
                first = shift(unit, find_period(unit, start, zone, instant), number)
                if cursor.fetchall()[0][0] != start_day(zone, first):
                    wrong.append((day, unit, number))
    assert wrong == []
