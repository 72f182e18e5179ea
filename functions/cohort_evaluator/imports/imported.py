"""What the importers share: what was imported, why it can't be, and the reading of the other system's JSON."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from cohort_evaluator.conditions import USER, Scalar
from cohort_evaluator.definitions import MOST_CONDITIONS, read_cohort
from cohort_evaluator.reading import LONGEST_TEXT, DefinitionError
from common.events import Json

UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_PLACEHOLDER: Final = "some-other-name"


class ImportRefusedError(ValueError):
    """A cohort that can't be kept exactly: the place in the other system's JSON, and why."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place.encode(errors="replace").decode()
        self.reason = reason.encode(errors="replace").decode()
        super().__init__(f"{self.place}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A definition in our JSON, which `read_cohort` reads; and what the other system does otherwise, in words."""

    definition: Json
    differences: list[str]


@dataclass(slots=True)
class Import:
    """An import on its way."""

    system: str  # as people call it
    differences: dict[str, None] = field(default_factory=dict)  # an ordered set
    conditions: int = 0

    def tell(self, difference: str) -> None:
        """Notes a difference, once."""
        self.differences[difference] = None

    def keep(self, condition: Json, place: str) -> Json:
        """A condition that `read_cohort` reads by itself. Raises `ImportRefusedError`."""
        self.conditions += 1
        if self.conditions > MOST_CONDITIONS:
            raise ImportRefusedError(place, f"is one of more than {MOST_CONDITIONS} conditions")
        try:
            read_cohort(build_definition(_PLACEHOLDER, _PLACEHOLDER, condition))
        except DefinitionError as error:
            raise ImportRefusedError(place, f"has no form here: {error}") from None
        return condition

    def finish(self, name: str, title: str, members: Json) -> Imported:
        """All of it. Raises `ImportRefusedError`."""
        definition = build_definition(name, title, members)
        try:
            read_cohort(definition)
        except DefinitionError as error:
            raise ImportRefusedError("all of it", f"has no form here: {error}") from None
        return Imported(definition, list(self.differences))

    def match_texts(self, values: Iterable[Scalar]) -> Json:
        """The operator for a value that is one of these where numbers and truths are compared as texts."""
        found: list[Scalar] = []
        for value in values:
            for meant in (value, *_find_twins(value)):
                if not any(meant == known and type(meant) is type(known) for known in found):
                    found.append(meant)
        values = list(values)
        if len(found) > len(values):
            twins = " and ".join(show(value) for value in found[:2])
            self.tell(
                f"{self.system} compares values as texts; so that the same match here, {twins} both stand for one"
            )
        return {"is": found[0]} if len(found) == 1 else {"is_one_of": found}


def _find_twins(value: Scalar) -> tuple[Scalar, ...]:
    """What has the same text."""
    if isinstance(value, bool):
        return (show(value),)
    if isinstance(value, int | float):
        return (str(value),)
    if value in ("true", "false"):
        return (value == "true",)
    if _NUMBER.match(value):
        number = float(value) if "." in value else int(value)
        return (number,) if str(number) == value else ()
    return ()


def show(value: Scalar) -> str:
    """A value as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def build_definition(name: str, title: str, members: Json) -> Json:
    """A definition of users."""
    return {"name": name, "title": title, "subject": USER, "members": members}


def find_name(name: str | None, given: object) -> tuple[str, str]:
    """The name that was asked for, or one made of the other system's; and the title."""
    title = given.strip()[:LONGEST_TEXT] if type(given) is str and given.strip() else None
    name = name or (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:100] if title else None)
    if not name:
        raise ImportRefusedError("name", "is missing: say what the cohort is to be called")
    return name, title or name


def read_object(value: object, place: str, known: Iterable[str] | None = None) -> Json:
    """An object; where `known` is given, one with no other keys, but for those whose value is null."""
    if not isinstance(value, dict):
        raise ImportRefusedError(place, "is an object")
    if known is not None:
        for key, inner in value.items():
            if inner is not None and key not in known:
                raise ImportRefusedError(f"{place}.{key}", "is unknown")
    return value


def read_list(given: Json, key: str, place: str) -> list[Any]:
    """A list of at least one."""
    value = given.get(key)
    if not isinstance(value, list) or not value:
        raise ImportRefusedError(f"{place}.{key}", "is a list of at least one")
    return value


def read_text(given: Json, key: str, place: str) -> str:
    """A text that is not empty."""
    value = given.get(key)
    if type(value) is not str or not value:
        raise ImportRefusedError(f"{place}.{key}", "is a text")
    return value


def read_choice(given: Json, key: str, place: str, choices: Iterable[str]) -> str:
    """One of some texts."""
    value = given.get(key)
    if type(value) is not str or value not in choices:
        raise ImportRefusedError(f"{place}.{key}", f"is one of {', '.join(choices)}")
    return value


def read_whole(given: Json, key: str, place: str, least: int = 1) -> int:
    """A whole number, also as a text."""
    value = given.get(key)
    if type(value) is str and re.fullmatch(r"[0-9]{1,12}", value, re.ASCII):
        value = int(value)
    if type(value) is not int or not least <= value < 10**12:
        raise ImportRefusedError(f"{place}.{key}", f"is a whole number from {least} on")
    return value


def read_scalar(value: object, place: str) -> Scalar:
    """A text, a number or a truth."""
    if isinstance(value, bool) or (type(value) is str and 0 < len(value) <= LONGEST_TEXT):
        return value
    if isinstance(value, int | float) and abs(value) < 10**15:
        return int(value) if value == int(value) else value
    raise ImportRefusedError(place, f"is a text of 1 to {LONGEST_TEXT} characters, a number, true or false")


def read_number(value: object, place: str) -> int | float:
    """A number, also as a text."""
    if type(value) is str and _NUMBER.match(value):
        value = float(value) if "." in value else int(value)
    if type(value) is bool or not isinstance(value, int | float) or not abs(value) < 10**15:
        raise ImportRefusedError(place, "is a number")
    return value


def read_instant(value: object, place: str, zone: tzinfo | None = None) -> str:
    """A time as we write it; without a zone it is of `zone`, a date its midnight there."""
    moment = None
    if type(value) is str and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None and zone is not None:
                moment = moment.replace(tzinfo=zone)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError):
            moment = None
    raise ImportRefusedError(place, "is a time" if moment is None else "is a time of no zone: say of which")


def is_date(value: object) -> bool:
    """Whether it is a date without a time."""
    return type(value) is str and _DATE.match(value) is not None


def show_duration(seconds: int) -> str:
    """A length of time in the largest unit that it is a multiple of."""
    unit, length = next((unit, length) for unit, length in UNITS if seconds % length == 0)
    return f"{seconds // length} {unit}{'' if seconds == length else 's'}"
