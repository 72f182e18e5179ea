"""Pieces of definitions: texts, times, paths, objects. Whatever can't be understood says where it is, and why."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cohort_evaluator.conditions import Scalar

DEEPEST: Final = 20
LONGEST_TEXT: Final = 500
LONGEST_WINDOW: Final = timedelta(days=3660)
UNITS: Final = {
    **dict.fromkeys(("second", "seconds"), timedelta(seconds=1)),
    **dict.fromkeys(("minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("day", "days"), timedelta(hours=24)),
    **dict.fromkeys(("week", "weeks"), timedelta(hours=168)),
}
_DURATION = re.compile(r"([1-9][0-9]{0,9}) ([a-z]+)\Z")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})\Z"
)


class DefinitionError(ValueError):
    """A definition that can't be understood: where, and why."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place.encode(errors="replace").decode()  # a key may hold half a character
        self.reason = reason
        super().__init__(f"{self.place}: {self.reason}")


def read_object(
    value: object, place: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A copy of an object; what it must and may have is checked where either is told. Raises `DefinitionError`."""
    if not isinstance(value, dict):
        raise DefinitionError(place, "is an object")
    for key in required:
        if key not in value:
            raise DefinitionError(place, f"needs {key}")
    if required or optional:
        for key in value:
            if key not in required and key not in optional:
                raise DefinitionError(f"{place}.{key}", f"is unknown: there are {', '.join((*required, *optional))}")
    return dict(value)


def read_text(value: object, place: str) -> str:
    """A text, neither empty nor long. Raises `DefinitionError`."""
    if type(value) is not str or not 0 < len(value) <= LONGEST_TEXT or "\0" in value:
        raise DefinitionError(place, f"is a text of 1 to {LONGEST_TEXT} characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DefinitionError(place, "holds half a character")
    return value


def read_path(value: object, place: str) -> tuple[str, ...]:
    """A path: names with dots between them, or a list of names. Raises `DefinitionError`."""
    path = value.split(".") if type(value) is str else value
    if type(path) is not list or not path or not all(type(part) is str and part for part in path):
        raise DefinitionError(place, "is a path: names with dots between them, or a list of names")
    if len(path) > DEEPEST:
        raise DefinitionError(place, f"has more than {DEEPEST} names")
    return tuple(read_text(part, place) for part in path)


def read_scalar(value: object, place: str) -> Scalar:
    """A text, a number, true or false. Raises `DefinitionError`."""
    if isinstance(value, str):
        return read_text(value, place)
    if isinstance(value, bool | int) or (isinstance(value, float) and abs(value) < 1e300):
        if abs(value) >= 10**30:
            raise DefinitionError(place, "is too large")
        return value
    raise DefinitionError(place, "is a text, a number, true or false")


def read_instant(value: object, place: str) -> datetime:
    """A time with its zone. Raises `DefinitionError`."""
    if type(value) is str and _INSTANT.match(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise DefinitionError(place, "is a time with its zone, as 2026-11-21T09:00:00Z")


def read_duration(value: object, place: str) -> timedelta:
    """A length of time: `30 days`. Raises `DefinitionError`."""
    match = _DURATION.match(value) if type(value) is str else None
    if match is None or match[2] not in UNITS:
        raise DefinitionError(place, "is a number of seconds, minutes, hours, days (of 24 hours) or weeks, as 30 days")
    if int(match[1]) > LONGEST_WINDOW / UNITS[match[2]]:
        raise DefinitionError(place, f"is longer than {LONGEST_WINDOW.days} days")
    return int(match[1]) * UNITS[match[2]]


def read_zone(value: object, place: str) -> ZoneInfo:
    """A time zone by IANA's name. Raises `DefinitionError`."""
    try:
        return ZoneInfo(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, ZoneInfoNotFoundError, OSError):
        raise DefinitionError(place, "is the name of a time zone, as Europe/Berlin") from None
