"""What a cohort asks of its members, as it is once it has been read (definitions.py): a tree of conditions.

A condition is true or false of a subject at an instant. Events count in a window: each event *enters* it at one instant
and *leaves* it at another, and counts from the first on and until before the second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

USER: Final = "user"
COMPANY: Final = "company"
MAIL: Final = "mail"  # the kind of event that happens to a mail; the others are activities
ACTIVITIES: Final = ("call", "action", "page", "screen")
Scalar = str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolling:
    """Events up to `ending` ago and not as long ago as `ending` + `length`: (t - ending - length, t - ending]."""

    length: timedelta
    ending: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calendar:
    """Whole days, weeks or months of a time zone; the current one counts with what has happened of it, or not."""

    unit: str  # day, week or month
    count: int
    zone: str  # IANA's name
    current: bool  # whether the current one is the newest that counts; else it is the one before
    week_start: int = 0  # 0 for Monday to 6 for Sunday


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed:
    """Events since an instant, if one is given, and before another, if one is given."""

    since: datetime | None = None
    until: datetime | None = None


Window = Rolling | Calendar | Fixed
EVER: Final = Fixed()


@dataclass(frozen=True, slots=True)
class Test:
    """What a value must be like. A value of another type, or none, never is."""

    operator: str  # one of definitions.TESTS
    value: Scalar | list[Scalar]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event, or a path within its metadata (of a mail) or its properties (of an activity)."""

    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pattern:
    """Events of a kind whose fields pass the tests, all of them."""

    kind: str  # MAIL or one of ACTIVITIES
    where: tuple[tuple[Field, Test], ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    """Each of them."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not so."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Trait:
    """What is known of the subject. Operators besides those of a `Test`: exists (a bool), before and since (an aware
    datetime), within_last, longer_ago_than and within_next (a timedelta).
    """

    path: tuple[str, ...]
    operator: str
    value: Scalar | list[Scalar] | datetime | timedelta


@dataclass(frozen=True, slots=True)
class Did:
    """How often the subject did it in the window (a call counts as often as its weight says), or how many different
    values, or what sum of values (each times the weight), a field had; values that are not numbers add nothing.
    """

    pattern: Pattern
    window: Window
    operator: str  # >=, >, <=, <, = or !=
    number: int | float
    distinct: Field | None = None
    total: Field | None = None


@dataclass(frozen=True, slots=True)
class DidFirst:
    """The first time ever that the subject did it is in the window."""

    pattern: Pattern
    window: Window


@dataclass(frozen=True, slots=True)
class DidThen:
    """In the window the subject did the second, and the first before it, not longer before than `within`."""

    first: Pattern
    second: Pattern
    within: timedelta
    window: Window


@dataclass(frozen=True, slots=True)
class DidInPeriods:
    """In at least so many of the window's days, weeks or months the subject did it."""

    pattern: Pattern
    window: Calendar
    at_least: int


@dataclass(frozen=True, slots=True)
class LastHas:
    """The newest such event in the window passes the tests, all of them; of events at one time that with the greatest
    key is the newest.
    """

    pattern: Pattern
    has: tuple[tuple[Field, Test], ...]
    window: Window


@dataclass(frozen=True, slots=True)
class Observed:
    """The subject's first event of any kind has left the window (a Rolling or a Calendar one) already."""

    window: Window


@dataclass(frozen=True, slots=True)
class InCohort:
    """The subject is a member of another cohort, of the same kind of subjects."""

    name: str


@dataclass(frozen=True, slots=True)
class Share:
    """A part of all subjects, the same at all times; which one depends on the seed."""

    share: float  # 0 to 1
    seed: str


Condition = All | AnyOf | Not | Trait | Did | DidFirst | DidThen | DidInPeriods | LastHas | Observed | InCohort | Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """A definition."""

    name: str  # a-z, 0-9 and dashes
    title: str
    subject: str  # USER or COMPANY
    members: Condition


def walk(condition: Condition) -> Iterator[Condition]:
    """A condition and all within it."""
    yield condition
    if isinstance(condition, All | AnyOf):
        for each in condition.conditions:
            yield from walk(each)
    elif isinstance(condition, Not):
        yield from walk(condition.condition)


def find_references(condition: Condition) -> set[str]:
    """The names of the cohorts that a condition asks for."""
    return {each.name for each in walk(condition) if isinstance(each, InCohort)}
