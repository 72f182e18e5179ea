"""Values of fields and traits, and what tests say of them."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from cohort_evaluator.conditions import Field, Test
from oracle.facts import Event

MISSING: Final = object()
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d))?", re.ASCII
)


def get_value(event: Event, field: Field) -> object:
    """The value of an event's field, or `MISSING`: so are null and objects."""
    value: object = event.properties if field.path else event.fields.get(field.name)
    for name in field.path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return drop_empty(value)


def drop_empty(value: object) -> object:
    """The value, or `MISSING` for null and for an object."""
    return MISSING if value is None or isinstance(value, Mapping) else value


def passes(value: object, test: Test) -> bool:
    """Whether a value passes a test. What is missing passes none but that it does not exist."""
    if test.operator == "exists":
        return (value is not MISSING) == test.value
    return value is not MISSING and TESTS[test.operator](value, test.value)


def is_number(value: object) -> bool:
    """Booleans are none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def to_decimal(number: Any) -> Decimal:
    """A number as it was written: 0.1 is a tenth."""
    return Decimal(str(number))


def normalise(value: object) -> object:
    """What two scalars share if they are the same: 1 and 1.0 are, "1" and true are others; None of what is none."""
    if is_number(value):
        return "number", to_decimal(value)
    return (type(value).__name__, value) if isinstance(value, str | bool) else None


def is_same(value: object, other: object) -> bool:
    """Whether two scalars are the same."""
    return normalise(value) is not None and normalise(value) == normalise(other)


def fold(text: str) -> str:
    """Lower case, character by character."""
    return "".join(character.lower()[0] for character in text)


def _on_texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, other: isinstance(value, str) and compare(value, other)


def _on_numbers(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, other: is_number(value) and compare(to_decimal(value), to_decimal(other))


TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "is": is_same,
    "is_one_of": lambda value, others: any(is_same(value, other) for other in others),
    "at_least": _on_numbers(lambda value, other: value >= other),
    "more_than": _on_numbers(lambda value, other: value > other),
    "at_most": _on_numbers(lambda value, other: value <= other),
    "less_than": _on_numbers(lambda value, other: value < other),
    "contains": _on_texts(lambda value, other: other in value),
    "contains_ignoring_case": _on_texts(lambda value, other: fold(other) in fold(value)),
    "starts_with": _on_texts(str.startswith),
    "ends_with": _on_texts(str.endswith),
    "includes": lambda value, other: isinstance(value, list) and any(is_same(one, other) for one in value),
}


def read_time(value: object) -> datetime | None:
    """A trait's value as a time: a day (its midnight in UTC) or an instant with its zone."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.replace(tzinfo=UTC) if len(value) == len("2026-11-21") else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
