"""Cohorts of PostHog.

Source: posthog/models/property/property.py and hogql_cohort_query.py of PostHog's repository: `filters.properties` is a
tree of `AND` and `OR` whose leaves are properties of a person, other cohorts, and what a person did.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cohort_evaluator.imports.imported import (
    Import,
    Imported,
    ImportRefusedError,
    find_name,
    is_date,
    read_choice,
    read_instant,
    read_list,
    read_object,
    read_text,
    read_whole,
    show_duration,
)
from cohort_evaluator.imports.posthog_properties import RELATIVE, UNITS, read_person, read_where
from common.events import Json

SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400}
MONTHS: Final = "PostHog counts whole months back from today, and no window here does: say it in days"
COMPARISONS: Final = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "eq": "=", "exact": "="}
PAGES: Final = {"$pageview": "page", "$screen": "screen"}
# What PostHog adds to a leaf for itself.
OWN_KEYS: Final = ("bytecode", "bytecode_error", "conditionHash", "sort_key", "label")
BASE: Final = ("type", "value", "key", "event_type", "negation", "event_filters", *OWN_KEYS)
OUTER: Final = ("time_value", "time_interval")
WINDOW: Final = (*OUTER, "explicit_datetime", "explicit_datetime_to")
LATER: Final = ("seq_time_value", "seq_time_interval")
DEEPEST: Final = 20


def read_posthog(cohort: object, *, name: str | None = None, zone: str | None = None) -> Imported:
    """A cohort (as the API gives it, or only its filters) as one of ours; `zone` is that of PostHog's project.

    Raises `ImportRefusedError`.
    """
    given = read_object(cohort, "cohort")
    name, title = find_name(name, given.get("name"))
    if given.get("is_static"):
        raise ImportRefusedError("is_static", "it is a list of people, not a condition")
    at = _Leaves(Import("PostHog"))
    if zone is not None:
        try:
            at.zone = ZoneInfo(zone)
        except (ValueError, ZoneInfoNotFoundError, OSError):
            raise ImportRefusedError("zone", "is the name of a time zone, as Europe/Berlin") from None
    place = ""
    if "filters" in given:
        given, place = read_object(given["filters"], "filters"), "filters."
    if given.get("filterTestAccounts"):
        raise ImportRefusedError(f"{place}filterTestAccounts", "leaves out accounts by a setting of PostHog's project")
    read_object(given, place.rstrip(".") or "cohort", ("properties", "filterTestAccounts", "name", "version"))
    members = at.read_group(read_object(given.get("properties"), f"{place}properties"), f"{place}properties", 1)
    return at.at.finish(name, title, members)


class _Leaves:
    def __init__(self, at: Import) -> None:
        self.at = at
        self.zone: ZoneInfo | None = None

    def read_group(self, given: Json, place: str, depth: int) -> Json:
        if depth > DEEPEST:
            raise ImportRefusedError(place, f"is nested deeper than {DEEPEST}")
        read_object(given, place, ("type", "values"))
        kind = read_choice(given, "type", place, ("AND", "OR"))
        conditions = []
        for index, each in enumerate(read_list(given, "values", place)):
            here = f"{place}.values[{index}]"
            inner = read_object(each, here)
            if "values" in inner:
                conditions.append(self.read_group(inner, here, depth + 1))
            else:
                conditions.append(self.at.keep(self.read_leaf(inner, here), here))
        return {"all" if kind == "AND" else "any": conditions}

    def read_leaf(self, leaf: Json, place: str) -> Json:
        kind = read_choice(leaf, "type", place, ("person", "person_metadata", "cohort", "behavioral"))
        negation = leaf.get("negation")
        if not (negation is None or type(negation) is bool):
            raise ImportRefusedError(f"{place}.negation", "is true or false")
        if kind == "person_metadata":
            raise ImportRefusedError(place, "asks what PostHog knows of the person's record, which is not here")
        if kind == "person":
            condition = read_person(self.at, leaf, place, self.zone)
        elif kind == "cohort":
            condition = self.read_cohort(leaf, place)
        else:
            condition = self.read_behaviour(leaf, place)
        if not negation:
            return condition
        self.at.tell("a negation stands by itself here; PostHog takes it only beside something that is true")
        return {"not": condition}

    def read_cohort(self, leaf: Json, place: str) -> Json:
        read_object(leaf, place, ("type", "key", "value", "negation", "operator", "cohort_name", *OWN_KEYS))
        operator = read_choice({"operator": leaf.get("operator") or "in"}, "operator", place, ("in", "not_in", "exact"))
        number = read_whole(leaf, "value", place)
        self.at.tell(f"cohort {number} is asked for as posthog-{number}: import it by this name")
        condition = {"cohort": f"posthog-{number}"}
        return {"not": condition} if operator == "not_in" else condition

    def read_behaviour(self, leaf: Json, place: str) -> Json:
        value = read_choice(leaf, "value", place, _BEHAVIOURS)
        keys, read = _BEHAVIOURS[value]
        read_object(leaf, place, (*BASE, *keys))
        return read(self, leaf, self.read_event(leaf, place), place)

    def read_event(self, leaf: Json, place: str, prefix: str = "") -> Json:
        """Which events."""
        kind = f"{prefix}event_type"
        if leaf.get(kind) == "actions":
            raise ImportRefusedError(f"{place}.{kind}", "names an action, which is defined in PostHog alone")
        read_choice({kind: leaf.get(kind) or "events"}, kind, place, ("events",))
        key = read_text(leaf, f"{prefix}event" if prefix else "key", place)
        where = {} if prefix else read_where(self.at, leaf, place)
        if key in PAGES:
            self.at.tell(f"{key} is a {PAGES[key]} here")
            return {"event": PAGES[key], "where": where}
        if key.startswith("$"):
            self.at.tell(f"{key} is an event of PostHog's own; here it is an action of this name, if one is sent")
        return {"event": "action", "where": {"name": key, **where}}

    def read_window(self, leaf: Json, place: str) -> Json:
        """When."""
        start, end = leaf.get("explicit_datetime"), leaf.get("explicit_datetime_to")
        if start is None and end is None:
            return self.read_last(leaf, place, *OUTER)
        if leaf.get("time_value") is not None:
            raise ImportRefusedError(f"{place}.time_value", "is there beside explicit_datetime: leave one of them out")
        if end is not None:
            return {"since": self.read_start(start, place), "until": self.read_end(end, place)}
        relative = RELATIVE.match(start) if type(start) is str else None
        if relative is None:
            return {"since": self.read_start(start, place)}
        if relative[2] not in UNITS:
            raise ImportRefusedError(f"{place}.explicit_datetime", MONTHS)
        last = {"time_value": int(relative[1]), "time_interval": UNITS[relative[2]]}
        return self.read_last(last, f"{place}.explicit_datetime", *OUTER)

    def read_start(self, value: object, place: str) -> str:
        return read_instant(value, f"{place}.explicit_datetime", self.zone)

    def read_end(self, value: object, place: str) -> str:
        here = f"{place}.explicit_datetime_to"
        if not is_date(value):
            return read_instant(value, here, self.zone)
        self.at.tell("a last day counts until its end, as in PostHog")
        try:
            following = datetime.fromisoformat(str(value)) + timedelta(days=1)
        except (ValueError, OverflowError):
            raise ImportRefusedError(here, "is a time") from None
        return read_instant(following.isoformat(), here, self.zone)

    def read_last(self, leaf: Json, place: str, number_key: str, unit_key: str) -> Json:
        """The last minutes or hours, or local days."""
        number, unit = self.read_length(leaf, place, number_key, unit_key)
        if unit in ("minute", "hour"):
            self.at.tell("minutes and hours are counted to the second here")
            return {"last": show_duration(number * SECONDS[unit])}
        days = number * SECONDS[unit] // 86_400
        if self.zone is None:
            raise ImportRefusedError(f"{place}.{number_key}", "counts local days: say of which time zone")
        self.at.tell(f"in PostHog the last {days} days are today and the {days} days before it, and so they are kept")
        return {"days": days + 1, "zone": self.zone.key, "current": "included"}

    def read_length(self, leaf: Json, place: str, number_key: str, unit_key: str) -> tuple[int, str]:
        unit = read_choice(leaf, unit_key, place, (*SECONDS, "month", "year"))
        if unit not in SECONDS:
            raise ImportRefusedError(f"{place}.{unit_key}", MONTHS)
        return read_whole(leaf, number_key, place), unit

    def read_did(self, leaf: Json, event: Json, place: str) -> Json:
        return _did_once(event, self.read_window(leaf, place))

    def read_first(self, leaf: Json, event: Json, place: str) -> Json:
        return {"did_first": event, "window": self.read_window(leaf, place)}

    def read_multiple(self, leaf: Json, event: Json, place: str) -> Json:
        comparison = COMPARISONS[read_choice(leaf, "operator", place, COMPARISONS)]
        number = read_whole(leaf, "operator_value", place)
        window = self.read_window(leaf, place)
        condition = {"did": event, "count": {comparison: number}, "window": window}
        if comparison not in ("<", "<="):
            return condition
        if comparison == "<" and number == 1:
            raise ImportRefusedError(f"{place}.operator_value", "lt 1 is true of nobody in PostHog")
        self.at.tell(
            "in PostHog who did it not at all has not done it “at most” so often, and so it is kept: at least once"
        )
        return {"all": [_did_once(event, window), condition]}

    def read_sequence(self, leaf: Json, event: Json, place: str) -> Json:
        unit = read_choice(leaf, "seq_time_interval", place, (*SECONDS, "month", "year"))
        number = read_whole(leaf, "seq_time_value", place)
        if unit == "year":
            raise ImportRefusedError(
                f"{place}.seq_time_interval", "is a year, which is no number of days: say it in days"
            )
        if unit == "month":
            self.at.tell("a month between two events is 30 days, as in PostHog")
        within = show_duration(number * (SECONDS[unit] if unit in SECONDS else 30 * SECONDS["day"]))
        self.at.tell("of a sequence the second event is in the window here; in PostHog the first is, too")
        second = self.read_event(leaf, place, "seq_")
        return {"did_then": [event, second], "within": within, "window": self.read_window(leaf, place)}

    def read_stopped(self, leaf: Json, event: Json, place: str) -> Json:
        self.check_pause(leaf, place)
        did = _did_once(event, self.read_last(leaf, place, *OUTER))
        return {"all": [did, {"not": _did_once(event, self.read_last(leaf, place, *LATER))}]}

    def read_restarted(self, leaf: Json, event: Json, place: str) -> Json:
        outer, recent = self.check_pause(leaf, place)
        if not {leaf["time_interval"], leaf["seq_time_interval"]} <= {"minute", "hour"}:
            raise ImportRefusedError(
                place, "asks for a pause of local days that ended some days ago, and no window here does: use restarted"
            )
        window = self.read_last(leaf, place, *LATER)
        pause = {"last": show_duration(outer - recent), "ending_ago": show_duration(recent)}
        return {
            "all": [
                _did_once(event, window),
                {"not": {"did_first": event, "window": window}},
                {"not": _did_once(event, pause)},
            ]
        }

    def check_pause(self, leaf: Json, place: str) -> tuple[int, int]:
        """The seconds of both windows."""
        outer, recent = (self.read_length(leaf, place, *keys) for keys in (OUTER, LATER))
        seconds = outer[0] * SECONDS[outer[1]], recent[0] * SECONDS[recent[1]]
        if seconds[1] >= seconds[0]:
            raise ImportRefusedError(f"{place}.seq_time_value", "is shorter than time_value")
        return seconds

    def read_regularly(self, leaf: Json, event: Json, place: str) -> Json:
        often = (read_choice(leaf, "operator", place, COMPARISONS), read_whole(leaf, "operator_value", place, 0))
        if often not in (("gte", 1), ("gt", 0)):
            raise ImportRefusedError(
                f"{place}.operator_value", "asks for more than once a period, which nothing here does"
            )
        number, unit = self.read_length(leaf, place, *OUTER)
        if (number, unit) != (1, "day"):
            raise ImportRefusedError(
                f"{place}.time_interval", "PostHog's periods go back from yesterday; here only those of one day do so"
            )
        if self.zone is None:
            raise ImportRefusedError(place, "counts local days: say of which time zone")
        self.at.tell("today is none of the periods, as in PostHog")
        window = {"days": read_whole(leaf, "total_periods", place), "zone": self.zone.key, "current": "excluded"}
        return {"did_in_periods": event, "at_least": read_whole(leaf, "min_periods", place), "window": window}


def _did_once(event: Json, window: Json) -> Json:
    return {"did": event, "count": {">=": 1}, "window": window}


_BEHAVIOURS: Final[dict[str, tuple[tuple[str, ...], Callable[[_Leaves, Json, Json, str], Json]]]] = {
    "performed_event": (WINDOW, _Leaves.read_did),
    "performed_event_first_time": (WINDOW, _Leaves.read_first),
    "performed_event_multiple": ((*WINDOW, "operator", "operator_value"), _Leaves.read_multiple),
    "performed_event_sequence": ((*WINDOW, *LATER, "seq_event", "seq_event_type"), _Leaves.read_sequence),
    "stopped_performing_event": ((*OUTER, *LATER), _Leaves.read_stopped),
    "restarted_performing_event": ((*OUTER, *LATER), _Leaves.read_restarted),
    "performed_event_regularly": (
        (*OUTER, "operator", "operator_value", "min_periods", "total_periods"),
        _Leaves.read_regularly,
    ),
}
