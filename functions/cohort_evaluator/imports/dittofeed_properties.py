"""Traits, and properties of events, in Dittofeed's segments."""

import re
from collections.abc import Callable
from typing import Final

from cohort_evaluator.imports.imported import (
    Import,
    ImportRefusedError,
    read_choice,
    read_instant,
    read_list,
    read_number,
    read_object,
    read_scalar,
    read_text,
    read_whole,
    show_duration,
)
from common.events import Json

THROWN: Final = ("Within", "AbsoluteTimestamp", "HasBeen")  # of an event's property
_NAME: Final = re.compile(r"""\.?([^.\[\]'"*?@()$\s][^.\[\]'"*?@()]*)|\['([^']+)'\]|\["([^"]+)"\]""")
_LONGEST_WINDOW: Final = 3660 * 86_400


def read_trait(at: Import, node: Json, place: str) -> Json:
    """A node of the type Trait."""
    read_object(node, place, ("type", "id", "path", "operator"))
    path = ["metadata", *_read_path(node, place)]
    trait = {"trait": path if any("." in part for part in path) else ".".join(path)}
    here = f"{place}.operator"
    operator = read_object(node.get("operator"), here)
    kind = read_choice(operator, "type", here, (*_TESTS, "NotEquals", "Within", "AbsoluteTimestamp", "HasBeen"))
    if kind in _TESTS:
        return {**trait, **_TESTS[kind](at, operator, here)}
    if kind == "NotEquals":
        at.tell("whoever lacks the trait of a NotEquals is a member here")
        return {"not": {**trait, **_read_equals(at, operator, here)}}
    if kind == "HasBeen":
        raise ImportRefusedError(here, "HasBeen asks how long a trait has had a value, which no condition here does")
    at.tell("a trait is a time here where it is a text in ISO 8601; numbers are no times")
    if kind == "Within":
        read_object(operator, here, ("type", "windowSeconds"))
        return {**trait, "within_last": read_seconds(operator, "windowSeconds", here)}
    read_object(operator, here, ("type", "absoluteTimestamp", "direction"))
    instant = read_instant(operator.get("absoluteTimestamp"), f"{here}.absoluteTimestamp")
    if read_choice(operator, "direction", here, ("After", "Before")) == "Before":
        return {**trait, "before": instant}
    at.tell("After means at that very instant, too")
    return {**trait, "since": instant}


def read_includes(_at: Import, node: Json, place: str) -> Json:
    """A node of the type Includes."""
    read_object(node, place, ("type", "id", "path", "item"))
    path = ["metadata", *_read_path(node, place)]
    return {"trait": path, "includes": read_scalar(node.get("item"), f"{place}.item")}


def _read_equals(at: Import, operator: Json, place: str) -> Json:
    read_object(operator, place, ("type", "value"))
    return at.match_texts([read_scalar(operator.get("value"), f"{place}.value")])


def _read_compared(at: Import, operator: Json, place: str) -> Json:
    read_object(operator, place, ("type", "value"))
    at.tell("only numbers compare as numbers here, not texts that look like one")
    ours = "at_least" if operator["type"] == "GreaterThanOrEqual" else "less_than"
    return {ours: read_number(operator.get("value"), f"{place}.value")}


def _read_exists(at: Import, operator: Json, place: str) -> Json:
    read_object(operator, place, ("type",))
    at.tell("an empty text is a value here, and exists")
    return {"exists": operator["type"] == "Exists"}


_TESTS: Final[dict[str, Callable[[Import, Json, str], Json]]] = {
    "Equals": _read_equals,
    "GreaterThanOrEqual": _read_compared,
    "LessThan": _read_compared,
    "Exists": _read_exists,
    "NotExists": _read_exists,
}


def read_tests(at: Import, node: Json, key: str, place: str) -> tuple[Json, list[tuple[Json, str]]]:
    """Tests of an event's properties; and of those that it must fail, each with its place."""
    tests: Json = {}
    negations: list[tuple[Json, str]] = []
    for index, each in enumerate(read_list(node, key, place) if node.get(key) not in (None, []) else []):
        here = f"{place}.{key}[{index}]"
        given = read_object(each, here, ("path", "operator"))
        path = _read_path(given, here)
        if any("." in part for part in path):
            raise ImportRefusedError(f"{here}.path", "has a dot in a name")
        name = ".".join(("properties", *path))
        operator = read_object(given.get("operator"), f"{here}.operator")
        kind = read_choice(operator, "type", f"{here}.operator", (*_TESTS, "NotEquals", *THROWN))
        if kind in THROWN:
            raise ImportRefusedError(f"{here}.operator", f"{kind} of an event's property is an error in Dittofeed")
        if kind == "NotEquals":
            negations.append(({name: _read_equals(at, operator, f"{here}.operator")}, f"{here}.operator"))
            continue
        test = _TESTS[kind](at, operator, f"{here}.operator")
        if tests.setdefault(name, {}).keys() & test.keys():
            raise ImportRefusedError(here, "tests a property that another tests in the same way")
        tests[name].update(test)
    return tests, negations


def _read_path(given: Json, place: str) -> list[str]:
    """The names of a path in JSONPath, without its wildcards, indices and filters."""
    text = read_text(given, "path", place)
    rest = text.removeprefix("$")
    names: list[str] = []
    while rest:
        match = _NAME.match(rest)
        if match is None or (rest[0] not in ".[" if names or rest is not text else rest[0] == "."):
            raise ImportRefusedError(f"{place}.path", "is not names with dots between them")
        names.append(match[1] or match[2] or match[3])
        rest = rest[match.end() :]
    if not names:
        raise ImportRefusedError(f"{place}.path", "names nothing")
    return names


def read_seconds(given: Json, key: str, place: str) -> str:
    """A length of time."""
    seconds = read_whole(given, key, place)
    if seconds > _LONGEST_WINDOW:
        raise ImportRefusedError(f"{place}.{key}", "is longer than 3660 days")
    return show_duration(seconds)
