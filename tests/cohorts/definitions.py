"""Random definitions, with few and small numbers so that they mean something to few and close events."""

from random import Random
from typing import Any

from common.events import Json
from tests.cohorts.eras import Era

KINDS = ("mail", "call", "action", "page", "screen")
DURATIONS = ("1 second", "6 hours", "12 hours", "1 day", "36 hours", "2 days", "90 minutes", "1 week")
COMPARISONS = (">=", ">", "<=", "<", "=", "!=")
MAIL_TESTS: tuple[Json, ...] = (
    *({"type": kind} for kind in ("opened", "delivered", "clicked", "bounced")),
    {"type": {"is_one_of": ["opened", "clicked"]}},
    {"machine_open": False},
    {"out_of_band": True},
    {"first_open": {"is": True}},
    {"bounce_kind": "hard"},
    {"bounce_kind": {"exists": False}},
    {"provider": "sparkpost"},
    {"provider_type": {"starts_with": "initial"}},
    {"recipient_domain": {"ends_with": ".com"}},
    *({"tags": {operator: value}} for operator, value in (("includes", "a"), ("exists", True), ("includes", "b"))),
    *({name: "Abc"} for name in ("campaign", "template", "subject", "from_address", "subaccount", "url")),
    *({name: {"contains_ignoring_case": "aB"}} for name in ("ip_address", "reason", "user_agent", "message_id")),
    *({name: {"contains_ignoring_case": value}} for name, value in (("subject", "äb%_'\\"), ("url", "\u0130"))),
    *({name: {"exists": False}} for name in ("campaign", "from_address", "user_agent")),
)
ACTIVITY_TESTS: tuple[Json, ...] = (
    *({"name": value} for value in ("sign up", {"is_one_of": ["buy", "x"]}, {"exists": True}, {"contains": "u"})),
    *({"status": value} for value in (200, 400, {"at_least": 400}, {"less_than": 400}, {"exists": False}, "400")),
    *({"route": value} for value in ("/a", {"starts_with": "/b"}, {"contains": "abc"}, {"exists": False})),
    *({"duration": value} for value in ({"more_than": 100}, {"at_most": 100}, 0)),
    {"method": "GET"},
    {"direction": "Incoming"},
    {"api_version": "a"},
    {"source": "moesif"},
    {"user_agent": {"contains_ignoring_case": "B"}},
)
VALUE_TESTS: tuple[Any, ...] = (
    *(1, "1", "a", True, {"at_least": 2}, {"more_than": 0.1}, {"at_most": 0.2}, {"less_than": 3}, {"is": 2.5}),
    *({"exists": True}, {"exists": False}, {"includes": "a"}, {"includes": 1}, {"starts_with": "A"}, {"is": False}),
    *({"contains": "b"}, {"ends_with": "c"}, {"is_one_of": [1, "a", True]}, {"contains_ignoring_case": "ABC"}),
    *({"contains_ignoring_case": "äB%"}, {"at_least": 12_345_678_901_234_567_890}, {"is_one_of": [1e15, "[]"]}),
)
TRAIT_TESTS: tuple[Json, ...] = (
    *({"is": value} for value in ("pro", 1, True, 7)),
    *({"is_one_of": ["free", "pro", 3]}, {"at_least": 1}, {"less_than": 2}, {"contains": "ro"}, {"starts_with": "P"}),
    *({"contains_ignoring_case": "PRO"}, {"includes": "a"}, {"includes": 1}, {"exists": True}, {"exists": False}),
    {"ends_with": "e"},
)


class Definer:
    """Makes definitions around a time."""

    def __init__(self, random: Random, era: Era) -> None:
        self.random = random
        self.era = era

    def define(self, name: str, subject: str, others: list[str]) -> Json:
        """A cohort that may ask for others, which are of the same subject."""
        return {"name": name, "title": name, "subject": subject, "members": self._condition(others, 1)}

    def aggregate(self) -> Json:
        """A figure of a template."""
        pattern, way = self._pattern(), self._choose("count", "sum", "min", "max", "last", "top")
        if way == "count":
            return {"count": pattern, "window": self._window()}
        if way in ("last", "top"):
            times = ["occurred_at"] if way == "last" else []
            field = self._choose(self._field(pattern["event"]), *times)
        else:
            inner = "metadata" if pattern["event"] == "mail" else "properties"
            numeric = [] if inner == "metadata" else ["duration", "status"]
            field = self._choose(f"{inner}.n", f"{inner}.n", f"{inner}.m.x", *numeric)
        return {way: pattern, "of": field, "window": self._window()}

    def _choose(self, *values: Any) -> Any:
        return self.random.choice(values)

    def _condition(self, others: list[str], depth: int) -> Json:
        if depth < 4 and self.random.random() < 0.35:
            way = self._choose("all", "any", "not", "all", "any")
            if way == "not":
                return {"not": self._condition(others, depth + 1)}
            return {way: [self._condition(others, depth + 1) for _ in range(self._choose(2, 2, 3))]}
        if others and self.random.random() < 0.3:
            return {"cohort": self.random.choice(others)}
        leaves = (self._did, self._did, self._did, self._did_not, self._did_first, self._did_then)
        more = (self._did_in_periods, self._last, self._stopped, self._restarted, self._trait, self._trait, self._trait)
        found: Json = self._choose(*leaves, *more, self._share)()
        return found

    def _share(self) -> Json:
        return {"share": self._choose(0, 0.3, 0.5, 0.7, 1)}

    def _trait(self) -> Json:
        if self.random.random() < 0.5:
            operator = self._choose("before", "since", "within_last", "longer_ago_than", "within_next")
            moment = self._duration() if operator in ("within_last", "longer_ago_than", "within_next") else self._time()
            return {"trait": "metadata.since", operator: moment}
        path = self._choose("metadata.plan", "metadata.plan", "metadata.a.x", "metadata.a", "company_id")
        return {"trait": path, **self.random.choice(TRAIT_TESTS)}

    def _did(self) -> Json:
        pattern = self._pattern()
        way = self._choose("count", "count", "distinct", "sum")
        if way == "count":
            wanted: Json = {self.random.choice(COMPARISONS): self._choose(0, 1, 1, 2, 3, 5)}
        elif way == "distinct":
            wanted = {"of": self._field(pattern["event"]), self.random.choice(COMPARISONS): self._choose(1, 2)}
        else:
            inner = "metadata" if pattern["event"] == "mail" else "properties"
            field = self._choose(f"{inner}.n", f"{inner}.m.x", *(["duration"] if inner == "properties" else []))
            wanted = {"of": field, self.random.choice(COMPARISONS): self._choose(0, 1, 0.3, 2.5, 4, 350)}
        return {"did": pattern, way: wanted, "window": self._window()}

    def _field(self, kind: str) -> str:
        if kind == "mail":
            return str(self._choose("type", "campaign", "url", "metadata.n", "metadata.m.x", "machine_open"))
        return str(self._choose("name", "status", "route", "company", "properties.n", "properties.m.x"))

    def _did_not(self) -> Json:
        window = self._window(fixed=False)
        return {"did_not": self._pattern(), "window": window, "not_observed_that_long": self._choose(True, False)}

    def _did_first(self) -> Json:
        return {"did_first": self._pattern(), "window": self._window()}

    def _did_then(self) -> Json:
        pair = [self._pattern(), self._pattern()]
        return {"did_then": pair, "within": self._duration(), "window": self._window()}

    def _did_in_periods(self) -> Json:
        window = self._calendar()
        count = next(window[unit] for unit in ("days", "weeks", "months") if unit in window)
        at_least = self.random.randint(1, count)
        return {"did_in_periods": self._pattern(), "at_least": at_least, "window": window}

    def _last(self) -> Json:
        pattern = self._pattern()
        return {"last": pattern, "has": self._tests(pattern["event"]), "window": self._window()}

    def _stopped(self) -> Json:
        recent, outer = self._choose(("6 hours", "1 day"), ("1 day", "2 days"), ("1 second", "12 hours"))
        return {"stopped": self._pattern(), "did_within": outer, "not_within": recent}

    def _restarted(self) -> Json:
        return {"restarted": self._pattern(), "within": self._duration(), "after_pause_of": self._duration()}

    def _pattern(self) -> Json:
        kind = self.random.choice(KINDS[:3] if self.random.random() < 0.8 else KINDS)
        return {"event": kind, **({"where": self._tests(kind)} if self.random.random() < 0.5 else {})}

    def _tests(self, kind: str) -> Json:
        tests: Json = {}
        for _ in range(self._choose(1, 1, 2)):
            if self.random.random() < 0.4:
                inner = "metadata" if kind == "mail" else "properties"
                tests[f"{inner}.{self._choose('n', 'n', 'm.x', 'm.x', 'm', 'n.0')}"] = self.random.choice(VALUE_TESTS)
            else:
                tests |= self.random.choice(MAIL_TESTS if kind == "mail" else ACTIVITY_TESTS)
        return tests

    def _window(self, *, fixed: bool = True) -> Json:
        way = self._choose("rolling", "rolling", "rolling", "calendar", "calendar", *(["ever", "fixed"] * fixed))
        if way == "ever":
            return {"ever": True}
        if way == "fixed":
            return dict(self._choose({"since": self._time()}, {"until": self._time()}, self._between()))
        if way == "calendar":
            return self._calendar()
        return {"last": self._duration(), **({"ending_ago": self._duration()} if self.random.random() < 0.3 else {})}

    def _between(self) -> Json:
        first, second = sorted((self._time(), self._time()))
        return {"since": first, "until": second} if first < second else {"since": first}

    def _calendar(self) -> Json:
        unit = self._choose("days", "days", "days", "weeks", "months")
        count = self._choose(1, 1, 2, 3) if unit == "days" else self._choose(1, 2)
        window: Json = {unit: count, "zone": self.random.choice((self.era.zones[0], *self.era.zones))}
        window["current"] = self._choose("included", "excluded")
        return window | ({"week_starts_on": self._choose("monday", "sunday", "saturday")} if unit == "weeks" else {})

    def _duration(self) -> str:
        return str(self.random.choice(DURATIONS))

    def _time(self) -> str:
        day = self.era.middle.replace(hour=self._choose(0, 12)).isoformat()
        return day.replace("+00:00", "Z")
