"""Times as a mapping describes them."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any

from providers._events import CACHED
from providers._fields import read_epoch

ReadTime = Callable[[Any], datetime]


def build_read_time(form: str, zone: str | None = None) -> ReadTime:
    """What reads times of a format: seconds, milliseconds, iso, or strptime's; those without a zone are of `zone`.

    Raises `ValueError` where there is no such zone; what it gives raises `ValueError` too.
    """
    if form == "seconds":
        return read_epoch
    if form == "milliseconds":
        return _read_milliseconds
    place = None if zone is None else load_zone(zone)

    @lru_cache(CACHED)
    def read(text: str) -> datetime:
        instant = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007
        if instant.tzinfo is None:
            if place is None:
                raise ValueError("no zone")
            instant = instant.replace(tzinfo=place)
        return instant.astimezone(UTC)

    def read_time(value: Any) -> datetime:
        try:
            if type(value) is str:
                return read(value.strip())
        except (ValueError, OverflowError):
            pass
        raise ValueError

    return read_time


def load_zone(name: str) -> tzinfo:
    """A zone by its name in the tz database. Raises `ValueError`."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # reads files

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"time.zone: there is no zone {name!r}; write one such as UTC or Europe/Berlin") from None


def _read_milliseconds(value: Any) -> datetime:
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    try:
        if type(value) is int or type(value) is float:
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError
