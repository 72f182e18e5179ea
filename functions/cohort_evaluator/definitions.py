"""Definitions of cohorts: from JSON to conditions. docs/cohorts.md describes the form; nothing in it has a default.

`stopped`, `restarted` and `did_not` are short for combinations of other conditions.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from cohort_evaluator.conditions import (
    ACTIVITIES,
    COMPANY,
    MAIL,
    USER,
    All,
    AnyOf,
    Calendar,
    Cohort,
    Condition,
    Did,
    DidFirst,
    DidInPeriods,
    DidThen,
    Field,
    Fixed,
    InCohort,
    LastHas,
    Not,
    Observed,
    Pattern,
    Rolling,
    Share,
    Test,
    Trait,
    Window,
    walk,
)
from cohort_evaluator.reading import (
    DEEPEST,
    LONGEST_WINDOW,
    DefinitionError,
    read_duration,
    read_instant,
    read_object,
    read_path,
    read_scalar,
    read_text,
    read_zone,
)
from common.events import Json

TESTS: Final = (
    *("is", "is_one_of", "at_least", "more_than", "at_most", "less_than"),
    *("contains", "contains_ignoring_case", "starts_with", "ends_with", "includes", "exists"),
)
TRAIT_TIMES: Final = ("before", "since", "within_last", "longer_ago_than", "within_next")
COMPARISONS: Final = (">=", ">", "<=", "<", "=", "!=")
MAIL_FIELDS: Final = (
    *("type", "provider", "provider_type", "campaign", "template", "subject", "from_address", "subaccount", "tags"),
    *("bounce_kind", "out_of_band", "machine_open", "first_open", "recipient_domain", "url", "ip_address"),
    *("user_agent", "message_id", "reason"),
)
ACTIVITY_FIELDS: Final = (
    *("name", "method", "route", "status", "direction", "api_version", "source", "user_agent", "duration", "company"),
)
TYPES: Final = (
    *("injected", "delivered", "deferred", "bounced", "rejected", "failed", "opened", "clicked", "complained"),
    *("unsubscribed", "subscribed", "autoresponded", "unknown"),
)
MOST_CONDITIONS: Final = 100
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")


def read_cohort(definition: object) -> Cohort:
    """A whole definition: name, title, subject and members. Raises `DefinitionError`."""
    given = read_object(definition, "definition", required=("name", "title", "subject", "members"))
    name = given["name"]
    if type(name) is not str or not _NAME.match(name):
        raise DefinitionError("name", "is 1 to 100 characters of a-z, 0-9 and dashes, and begins with no dash")
    title = read_text(given["title"], "title")
    if given["subject"] not in (USER, COMPANY):
        raise DefinitionError("subject", "is user or company")
    members = _read_condition(given["members"], "members", name, 1)
    if sum(1 for _ in walk(members)) > MOST_CONDITIONS:
        raise DefinitionError("members", f"has more than {MOST_CONDITIONS} conditions")
    return Cohort(name=name, title=title, subject=given["subject"], members=members)


def _read_condition(value: object, place: str, cohort: str, depth: int) -> Condition:
    if depth > DEEPEST:
        raise DefinitionError(place, f"is nested deeper than {DEEPEST}")
    given = read_object(value, place)
    kinds = [key for key in given if key in _CONDITIONS]
    if len(kinds) != 1:
        found = f"has {' and '.join(kinds)}" if kinds else f"has none of {', '.join(_CONDITIONS)}"
        raise DefinitionError(place, f"is one condition, and {found}")
    return _CONDITIONS[kinds[0]](given, place, cohort, depth)


def _read_all(given: Json, place: str, cohort: str, depth: int) -> Condition:
    return All(_read_conditions(given, "all", place, cohort, depth))


def _read_any(given: Json, place: str, cohort: str, depth: int) -> Condition:
    return AnyOf(_read_conditions(given, "any", place, cohort, depth))


def _read_conditions(given: Json, key: str, place: str, cohort: str, depth: int) -> tuple[Condition, ...]:
    read_object(given, place, required=(key,))
    here = f"{place}.{key}"
    if type(given[key]) is not list or not given[key]:
        raise DefinitionError(here, "is a list of at least one condition")
    return tuple(_read_condition(each, f"{here}[{index}]", cohort, depth + 1) for index, each in enumerate(given[key]))


def _read_not(given: Json, place: str, cohort: str, depth: int) -> Condition:
    read_object(given, place, required=("not",))
    return Not(_read_condition(given["not"], f"{place}.not", cohort, depth + 1))


def _read_trait(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    operators = [key for key in given if key != "trait"]
    if len(operators) != 1 or operators[0] not in (*TESTS, *TRAIT_TIMES):
        raise DefinitionError(place, f"needs one of {', '.join((*TESTS, *TRAIT_TIMES))} beside trait")
    operator, value = operators[0], given[operators[0]]
    here = f"{place}.{operator}"
    path = read_path(given["trait"], f"{place}.trait")
    if operator in ("before", "since"):
        return Trait(path, operator, read_instant(value, here))
    if operator in TRAIT_TIMES:
        return Trait(path, operator, read_duration(value, here))
    test = _read_operator(operator, value, here)
    return Trait(path, test.operator, test.value)


def _read_did(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    ways = [key for key in ("count", "distinct", "sum") if key in given]
    if len(ways) != 1:
        raise DefinitionError(place, "needs one of count, distinct and sum beside did")
    way = ways[0]
    read_object(given, place, required=("did", way, "window"))
    pattern = read_pattern(given["did"], f"{place}.did")
    here = f"{place}.{way}"
    numbers = read_object(given[way], here)
    field = None
    if way != "count":
        if "of" not in numbers:
            raise DefinitionError(here, "needs a field in `of`")
        field = read_field(numbers.pop("of"), f"{here}.of", pattern.kind)
        if way == "sum" and not field.path and field.name != "duration":
            raise DefinitionError(f"{here}.of", "is a number: duration, or a path in metadata or properties")
        if way == "distinct" and field.name == "tags":
            raise DefinitionError(f"{here}.of", "can't be tags, which are many values at once")
    if len(numbers) != 1 or next(iter(numbers)) not in COMPARISONS:
        raise DefinitionError(here, f"needs one of {', '.join(COMPARISONS)} with a number")
    ((operator, number),) = numbers.items()
    if type(number) is bool or not isinstance(number, int | float) or not abs(number) <= 10**15:
        raise DefinitionError(f"{here}.{operator}", "is a number")
    if way != "sum" and (type(number) is not int or number < 0):
        raise DefinitionError(f"{here}.{operator}", "is a whole number from 0 on")
    window = read_window(given["window"], f"{place}.window")
    distinct, total = (field if way == "distinct" else None), (field if way == "sum" else None)
    return Did(pattern, window, operator, number, distinct, total)


def _read_did_not(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("did_not", "window", "not_observed_that_long"))
    pattern = read_pattern(given["did_not"], f"{place}.did_not")
    window = read_window(given["window"], f"{place}.window")
    if isinstance(window, Fixed):
        raise DefinitionError(f"{place}.window", "is a rolling or a calendar one; else use not with did")
    choice = given["not_observed_that_long"]
    if type(choice) is not bool:
        raise DefinitionError(
            f"{place}.not_observed_that_long",
            "is true or false: what the condition is for those first seen within the window",
        )
    never = Not(_did_once(pattern, window))
    return never if choice else All((never, Observed(window)))


def _read_did_first(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("did_first", "window"))
    pattern = read_pattern(given["did_first"], f"{place}.did_first")
    return DidFirst(pattern, read_window(given["window"], f"{place}.window"))


def _read_did_then(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("did_then", "within", "window"))
    patterns = given["did_then"]
    if type(patterns) is not list or len(patterns) != 2:
        raise DefinitionError(f"{place}.did_then", "is a list of two: what came first, and what came then")
    first, second = (read_pattern(each, f"{place}.did_then[{index}]") for index, each in enumerate(patterns))
    within = read_duration(given["within"], f"{place}.within")
    return DidThen(first, second, within, read_window(given["window"], f"{place}.window"))


def _read_did_in_periods(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("did_in_periods", "at_least", "window"))
    pattern = read_pattern(given["did_in_periods"], f"{place}.did_in_periods")
    window = read_window(given["window"], f"{place}.window")
    if not isinstance(window, Calendar):
        raise DefinitionError(f"{place}.window", "is a calendar one: its days, weeks or months are the periods")
    at_least = given["at_least"]
    if type(at_least) is not int or not 1 <= at_least <= window.count:
        raise DefinitionError(f"{place}.at_least", f"is a whole number from 1 to {window.count}, the window's periods")
    return DidInPeriods(pattern, window, at_least)


def _read_last(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("last", "has", "window"))
    pattern = read_pattern(given["last"], f"{place}.last")
    has = _read_where(given["has"], f"{place}.has", pattern.kind)
    return LastHas(pattern, has, read_window(given["window"], f"{place}.window"))


def _read_stopped(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("stopped", "did_within", "not_within"))
    pattern = read_pattern(given["stopped"], f"{place}.stopped")
    outer = read_duration(given["did_within"], f"{place}.did_within")
    recent = read_duration(given["not_within"], f"{place}.not_within")
    if recent >= outer:
        raise DefinitionError(f"{place}.not_within", "is shorter than did_within")
    did = _did_once(pattern, Rolling(length=outer - recent, ending=recent))
    return All((did, Not(_did_once(pattern, Rolling(length=recent)))))


def _read_restarted(given: Json, place: str, _cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("restarted", "within", "after_pause_of"))
    pattern = read_pattern(given["restarted"], f"{place}.restarted")
    recent = read_duration(given["within"], f"{place}.within")
    pause = read_duration(given["after_pause_of"], f"{place}.after_pause_of")
    if recent + pause > LONGEST_WINDOW:
        raise DefinitionError(f"{place}.after_pause_of", "is too long")
    before = Rolling(length=LONGEST_WINDOW, ending=recent + pause)
    paused = Not(_did_once(pattern, Rolling(length=pause, ending=recent)))
    return All((_did_once(pattern, Rolling(length=recent)), paused, _did_once(pattern, before)))


def _read_in_cohort(given: Json, place: str, cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("cohort",))
    name = given["cohort"]
    if type(name) is not str or not _NAME.match(name):
        raise DefinitionError(f"{place}.cohort", "is the name of a cohort")
    if name == cohort:
        raise DefinitionError(f"{place}.cohort", "is the cohort itself")
    return InCohort(name)


def _read_share(given: Json, place: str, cohort: str, _depth: int) -> Condition:
    read_object(given, place, required=("share",))
    share = given["share"]
    if type(share) is bool or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise DefinitionError(f"{place}.share", "is a number from 0 to 1")
    return Share(float(share), cohort)


_CONDITIONS: Final[Mapping[str, Callable[[Json, str, str, int], Condition]]] = {
    "all": _read_all,
    "any": _read_any,
    "not": _read_not,
    "trait": _read_trait,
    "did": _read_did,
    "did_not": _read_did_not,
    "did_first": _read_did_first,
    "did_then": _read_did_then,
    "did_in_periods": _read_did_in_periods,
    "last": _read_last,
    "stopped": _read_stopped,
    "restarted": _read_restarted,
    "cohort": _read_in_cohort,
    "share": _read_share,
}


def _did_once(pattern: Pattern, window: Window) -> Did:
    return Did(pattern, window, ">=", 1)


def read_pattern(value: object, place: str) -> Pattern:
    """`{"event", "where"}`. Raises `DefinitionError`."""
    given = read_object(value, place, required=("event",), optional=("where",))
    kind = given["event"]
    if kind not in (MAIL, *ACTIVITIES):
        raise DefinitionError(f"{place}.event", f"is one of {', '.join((MAIL, *ACTIVITIES))}")
    return Pattern(kind, _read_where(given.get("where", {}), f"{place}.where", kind))


def _read_where(value: object, place: str, kind: str) -> tuple[tuple[Field, Test], ...]:
    tests = []
    for name, wanted in read_object(value, place).items():
        here = f"{place}.{name}"
        field = read_field(name, here, kind)
        if not isinstance(wanted, dict):
            tests.append((field, _read_operator("is", wanted, here)))
            continue
        if not wanted:
            raise DefinitionError(here, f"needs one of {', '.join(TESTS)}")
        for operator, operand in wanted.items():
            if operator not in TESTS:
                raise DefinitionError(f"{here}.{operator}", f"is none of {', '.join(TESTS)}")
            tests.append((field, _read_operator(operator, operand, f"{here}.{operator}")))
    for field, test in tests:
        if field.name == "type":
            _check_types(test, f"{place}.type")
    return tuple(tests)


def _check_types(test: Test, place: str) -> None:
    """So that a misspelt type does not stand for nothing."""
    values = test.value if isinstance(test.value, list) else [test.value]
    if test.operator in ("is", "is_one_of") and (wrong := [value for value in values if value not in TYPES]):
        raise DefinitionError(place, f"can't be {wrong[0]}: it is one of {', '.join(TYPES)}")


def read_field(value: object, place: str, kind: str) -> Field:
    """The name of a field of a kind of events, or `metadata.…`, `properties.…`. Raises `DefinitionError`."""
    if type(value) is not str:
        raise DefinitionError(place, "is the name of a field")
    name, dot, rest = value.partition(".")
    inner, fields = ("metadata", MAIL_FIELDS) if kind == MAIL else ("properties", ACTIVITY_FIELDS)
    if name == inner and dot:
        return Field(name, read_path(rest, place))
    if dot or name not in fields:
        raise DefinitionError(place, f"is no field of a {kind}: these are {', '.join(fields)}, and {inner}.…")
    return Field(name)


def _read_operator(operator: str, value: object, place: str) -> Test:
    if operator == "exists":
        if type(value) is not bool:
            raise DefinitionError(place, "is true or false")
        return Test(operator, value)
    if operator == "is_one_of":
        if type(value) is not list or not 1 <= len(value) <= 1000:
            raise DefinitionError(place, "is a list of 1 to 1,000 values")
        return Test(operator, [read_scalar(each, f"{place}[{index}]") for index, each in enumerate(value)])
    scalar = read_scalar(value, place)
    is_number = not isinstance(scalar, str | bool)
    if operator in ("at_least", "more_than", "at_most", "less_than") and not is_number:
        raise DefinitionError(place, "is a number")
    if operator in ("contains", "contains_ignoring_case", "starts_with", "ends_with") and type(scalar) is not str:
        raise DefinitionError(place, "is a text")
    return Test(operator, scalar)


def read_window(value: object, place: str) -> Window:
    """A rolling, calendar or fixed one. Raises `DefinitionError`."""
    given = read_object(value, place)
    if "last" in given:
        read_object(given, place, required=("last",), optional=("ending_ago",))
        length = read_duration(given["last"], f"{place}.last")
        ending = read_duration(given["ending_ago"], f"{place}.ending_ago") if "ending_ago" in given else timedelta(0)
        return Rolling(length=length, ending=ending)
    units = [unit for unit in ("days", "weeks", "months") if unit in given]
    if len(units) == 1:
        return _read_calendar(given, units[0], place)
    if "ever" in given:
        read_object(given, place, required=("ever",))
        if given["ever"] is not True:
            raise DefinitionError(f"{place}.ever", "is true")
        return Fixed()
    if "since" in given or "until" in given:
        read_object(given, place, optional=("since", "until"))
        since, until = (
            read_instant(given[key], f"{place}.{key}") if key in given else None for key in ("since", "until")
        )
        if since and until and since >= until:
            raise DefinitionError(f"{place}.until", "is later than since")
        return Fixed(since=since, until=until)
    raise DefinitionError(place, "needs one of last, days, weeks, months, since, until and ever")


def _read_calendar(given: Json, unit: str, place: str) -> Calendar:
    weeks = ("week_starts_on",) if unit == "weeks" else ()
    read_object(given, place, required=(unit, "zone", "current", *weeks))
    count = given[unit]
    most = {"days": 3660, "weeks": 520, "months": 120}[unit]
    if type(count) is not int or not 1 <= count <= most:
        raise DefinitionError(f"{place}.{unit}", f"is a whole number from 1 to {most}")
    zone = read_zone(given["zone"], f"{place}.zone").key
    if given["current"] not in ("included", "excluded"):
        raise DefinitionError(f"{place}.current", f"is included or excluded: whether the {unit} begin with the current")
    start = 0
    if weeks:
        if given["week_starts_on"] not in WEEKDAYS:
            raise DefinitionError(f"{place}.week_starts_on", f"is one of {', '.join(WEEKDAYS)}")
        start = WEEKDAYS.index(given["week_starts_on"])
    return Calendar(unit=unit[:-1], count=count, zone=zone, current=given["current"] == "included", week_start=start)
