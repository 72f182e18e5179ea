"""Properties of persons and events in PostHog's cohorts."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from cohort_evaluator.imports.imported import (
    Import,
    ImportRefusedError,
    is_date,
    read_choice,
    read_instant,
    read_list,
    read_number,
    read_object,
    read_scalar,
    read_text,
)
from common.events import Json

# What tests a value, in our words; and what it is that must not be so.
NEGATED: Final = {"is_not": "exact", "not_in": "exact", "not_icontains": "icontains"}
NUMBERS: Final = {"gt": "more_than", "gte": "at_least", "lt": "less_than", "lte": "at_most"}
DATES: Final = ("is_date_exact", "is_date_before", "is_date_after")
REFUSED: Final = {"regex": "a regular expression", "not_regex": "a regular expression"}
KEYS: Final = ("type", "key", "value", "operator", "bytecode", "conditionHash", "label")
RELATIVE: Final = re.compile(r"-([1-9][0-9]{0,5})([hdwmqy])\Z")
UNITS: Final = {"h": "hour", "d": "day", "w": "week"}


def read_person(at: Import, leaf: Json, place: str, zone: ZoneInfo | None) -> Json:
    """A property of a person."""
    read_object(leaf, place, (*KEYS, "negation", "bytecode_error", "sort_key"))
    key = read_text(leaf, "key", place)
    if key.startswith("$"):
        at.tell("PostHog's own properties ($…) are here only where they were sent as traits")
    trait = {"trait": ["metadata", key] if "." in key else f"metadata.{key}"}
    operator = read_operator(leaf, place, (*_TESTS, *NEGATED, *DATES))
    if operator in DATES:
        return _read_date(at, trait, operator, leaf, place, zone)
    if operator in NEGATED:
        return {"not": {**trait, **_TESTS[NEGATED[operator]](at, leaf, place)}}
    return {**trait, **_TESTS[operator](at, leaf, place)}


def read_where(at: Import, leaf: Json, place: str) -> Json:
    """The filters of an event's properties."""
    where: Json = {}
    for index, each in enumerate(read_list(leaf, "event_filters", place) if leaf.get("event_filters") else []):
        here = f"{place}.event_filters[{index}]"
        given = read_object(each, here, KEYS)
        read_choice(given, "type", here, ("event",))
        key = read_text(given, "key", here)
        if "." in key:
            raise ImportRefusedError(f"{here}.key", "has a dot in its name")
        operator = read_operator(given, here, (*_TESTS, *NEGATED, *DATES))
        if operator in NEGATED or operator in DATES:
            raise ImportRefusedError(f"{here}.operator", f"{operator} of an event's property has no form here")
        test = _TESTS[operator](at, given, here)
        known = where.setdefault(f"properties.{key}", {})
        if known.keys() & test.keys():
            raise ImportRefusedError(here, "tests a property that another tests in the same way")
        known.update(test)
    return where


def read_operator(given: Json, place: str, choices: tuple[str, ...]) -> str:
    """An operator; exact if there is none."""
    operator = given.get("operator")
    if type(operator) is str and operator in REFUSED:
        raise ImportRefusedError(f"{place}.operator", f"is {REFUSED[operator]}, which nothing here is tested by")
    return "exact" if operator is None else read_choice(given, "operator", place, choices)


def _read_exact(at: Import, given: Json, place: str) -> Json:
    values = given.get("value")
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise ImportRefusedError(f"{place}.value", "is a list of at least one")
    return at.match_texts([read_scalar(value, f"{place}.value") for value in listed])


def _read_contains(_at: Import, given: Json, place: str) -> Json:
    return {"contains_ignoring_case": read_text({"value": _find_value(given)}, "value", place)}


def _read_compared(at: Import, given: Json, place: str) -> Json:
    at.tell("only numbers compare as numbers here, not texts that look like one")
    return {NUMBERS[given["operator"]]: read_number(_find_value(given), f"{place}.value")}


def _read_set(_at: Import, given: Json, _place: str) -> Json:
    return {"exists": given["operator"] == "is_set"}


def _find_value(given: Json) -> Any:
    """The value, which may be in a list by itself."""
    value = given.get("value")
    return value[0] if isinstance(value, list) and len(value) == 1 else value


_TESTS: Final[dict[str, Callable[[Import, Json, str], Json]]] = {
    "exact": _read_exact,
    "in": _read_exact,
    "icontains": _read_contains,
    **dict.fromkeys(NUMBERS, _read_compared),
    "is_set": _read_set,
    "is_not_set": _read_set,
}


def _read_date(at: Import, trait: Json, operator: str, leaf: Json, place: str, zone: ZoneInfo | None) -> Json:
    """A property that is a time."""
    value = _find_value(leaf)
    here = f"{place}.value"
    at.tell("a trait is a time here where it is a text in ISO 8601; a date is midnight in UTC")
    relative = RELATIVE.match(value) if type(value) is str else None
    if relative is not None:
        return _read_relative(at, trait, operator, relative, place)
    moment = read_instant(value, here, zone)
    if operator == "is_date_before":
        return {**trait, "before": moment}
    if not is_date(value):
        if operator == "is_date_exact":
            raise ImportRefusedError(here, "is not a date: nothing here asks for one instant")
        at.tell("is_date_after means at that very instant, too")
        return {**trait, "since": moment}
    try:
        following = (datetime.fromisoformat(value) + timedelta(days=1)).isoformat()
    except OverflowError:
        raise ImportRefusedError(here, "is too late") from None
    ended = read_instant(following, here, zone)
    if operator == "is_date_after":
        at.tell("is_date_after with a date means after its end")
        return {**trait, "since": ended}
    return {"all": [{**trait, "since": moment}, {**trait, "before": ended}]}


def _read_relative(at: Import, trait: Json, operator: str, relative: re.Match[str], place: str) -> Json:
    if relative[2] not in UNITS:
        raise ImportRefusedError(
            f"{place}.value", "is months or years ago, which are no number of days: say it in days"
        )
    if operator == "is_date_exact":
        raise ImportRefusedError(f"{place}.operator", "is_date_exact of a time that moves has no form here")
    at.tell("a time so long ago is counted to the second here; PostHog may begin with a day or an hour")
    length = f"{relative[1]} {UNITS[relative[2]]}s"
    if operator == "is_date_before":
        return {**trait, "longer_ago_than": length}
    return {"any": [{**trait, "within_last": length}, {**trait, "within_next": "3660 days"}]}
