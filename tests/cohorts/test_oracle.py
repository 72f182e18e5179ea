"""The oracle itself, held against cases that were worked out by hand."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest

from cohort_evaluator.definitions import read_cohort
from common.activities import ADDRESS, ANONYMOUS, COMPANY, FIRST, LAST, MERGE, USER, Identity
from common.events import Json
from oracle.facts import Event, Fact, Link, Write
from oracle.telling import Oracle
from oracle.values import MISSING, passes, read_time
from oracle.windows import start_day

ADA, BOB = Identity(USER, "ada"), Identity(USER, "bob")
ADDRESS_OF_ADA, ANONYMOUS_ONE = Identity(ADDRESS, "ada@example.com"), Identity(ANONYMOUS, "a1")
ACME = Identity(COMPANY, "acme")
NUMBERS = {ADA: 1, BOB: 2, ADDRESS_OF_ADA: 3, ANONYMOUS_ONE: 4, ACME: 5}
CALLED: Json = {"event": "call"}
DAY: Json = {"last": "1 day"}


def at(text: str) -> datetime:
    """`10T12:00`, a day of November 2026 and a time in UTC; or a whole instant."""
    whole = text if len(text) > len("10T12:00:00.000001") else f"2026-11-{text}"
    return datetime.fromisoformat(whole).replace(tzinfo=UTC)


def call(when: str, who: Identity | None = ADA, *, key: int | None = None, weight: int = 1, **fields: Any) -> Event:
    """An API call; its time is its key unless one is given."""
    instant = at(when)
    properties = fields.pop("properties", {})
    key = int(instant.timestamp()) if key is None else key
    return Event("call", instant, key, who, fields.get("company"), weight, fields, properties)


def write(when: str, path: str, value: object, who: Identity = ADA) -> Write:
    """A trait's value."""
    return Write(who, at(when), tuple(path.split(".")), value)


def define(members: Json, name: str = "c", subject: str = "user") -> Any:
    """A cohort."""
    return read_cohort({"name": name, "title": name, "subject": subject, "members": members})


def show(instant: datetime | None) -> str | None:
    """As `at` reads it."""
    if instant is None:
        return None
    text = instant.isoformat()[:-6]
    return text.removeprefix("2026-11-").removesuffix(":00")


class Told:
    """An oracle with one cohort that is switched on at the 1st of November, before anything is known."""

    def __init__(self, members: Json, subject: str = "user") -> None:
        self.oracle = Oracle()
        self.oracle.save(define(members, subject=subject))
        self.oracle.tick(at("01T00:00"), {})

    def tick(self, when: str, *facts: Fact) -> None:
        """Facts arrive, and a tick follows."""
        for fact in facts:
            self.oracle.tell(fact)
        self.oracle.tick(at(when), NUMBERS)

    def list_intervals(self, who: Identity = ADA, name: str = "c") -> list[tuple[str | None, str | None]]:
        """Whose memberships were told."""
        found = self.oracle.list_memberships().get((name, NUMBERS[who]), [])
        return [(show(entered), show(exited)) for entered, exited in found]

    def list_transitions(self, who: Identity = ADA) -> list[str]:
        """Whose transitions were told: what and when, and by which tick."""
        found = self.oracle.list_transitions().get(("c", NUMBERS[who]), [])
        return [f"{kind} {show(when)} told {show(told)}" for kind, when, told in found]


def evaluate(members: Json, facts: Sequence[Fact], who: Identity = ADA, until: str = "28T00:00") -> Any:
    """The memberships where everything has arrived before one tick."""
    told = Told(members, "company" if who == ACME else "user")
    told.tick(until, *facts)
    return told.list_intervals(who)


def did(window: Json, pattern: Json | None = None, *, count: Json | None = None) -> Json:
    """A count, of at least one call unless told otherwise."""
    return {"did": pattern or CALLED, "count": count or {">=": 1}, "window": window}


def test_window_slides_past_an_event() -> None:
    """A member leaves to the second when nothing happens, and enters where the count falls, too."""
    facts = [call("10T12:00"), call("10T18:00:01")]
    assert evaluate(did(DAY), facts) == [("10T12:00", "11T18:00:01")]
    assert evaluate(did(DAY, count={">=": 2}), facts) == [("10T18:00:01", "11T12:00")]
    assert evaluate(did(DAY, count={"<=": 1}), facts) == [("10T12:00", "10T18:00:01"), ("11T12:00", None)]
    assert evaluate(did(DAY, count={"=": 1}), facts) == [("10T12:00", "10T18:00:01"), ("11T12:00", "11T18:00:01")]
    assert evaluate(did(DAY, count={"!=": 1}), facts) == [("10T18:00:01", "11T12:00"), ("11T18:00:01", None)]
    assert evaluate(did({"last": "1 day", "ending_ago": "6 hours"}), facts) == [("10T18:00", "12T00:00:01")]


def test_days_are_not_24_hours() -> None:
    """Of a calendar day counts what happened from midnight on, where the definition says so; else the day before."""
    days: Json = {"days": 1, "zone": "Europe/Berlin", "current": "included"}
    facts = [call("10T12:00")]
    assert evaluate(did(days | {"current": "excluded"}), [call("10T23:00")]) == [("11T23:00", "12T23:00")]
    assert evaluate(did(days), facts) == [("10T12:00", "10T23:00")]
    assert evaluate(did(days | {"current": "excluded"}), facts) == [("10T23:00", "11T23:00")]
    assert evaluate(did(days | {"days": 2}), facts) == [("10T12:00", "11T23:00")]
    assert evaluate(did({"last": "24 hours"}), facts) == [("10T12:00", "11T12:00")]


def test_weeks_and_months() -> None:
    """Weeks begin where the definition says, months with their first day."""
    weeks: Json = {"weeks": 1, "zone": "UTC", "current": "included", "week_starts_on": "monday"}
    facts = [call("13T12:00")]  # a Friday
    assert evaluate(did(weeks), facts) == [("13T12:00", "16T00:00")]
    assert evaluate(did(weeks | {"week_starts_on": "saturday"}), facts) == [("13T12:00", "14T00:00")]
    assert evaluate(did(weeks | {"current": "excluded"}), facts) == [("16T00:00", "23T00:00")]
    months: Json = {"months": 1, "zone": "UTC", "current": "excluded"}
    found = evaluate(did(months), facts, until="2027-02-01T00:00:00")
    assert found == [("2026-12-01T00:00", "2027-01-01T00:00")]


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00"),
        ("Europe/Berlin", date(2026, 3, 30), "2026-03-29T22:00"),  # 23 hours later
        ("Europe/Berlin", date(2026, 10, 26), "2026-10-25T23:00"),  # 25 hours after the 25th
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00"),  # begins at 1: midnight is left out
        ("America/Sao_Paulo", date(2018, 11, 5), "2018-11-05T02:00"),
        ("America/Sao_Paulo", date(2018, 2, 18), "2018-02-18T03:00"),  # when it is 0 it becomes 23
        ("Africa/Cairo", date(2024, 4, 26), "2024-04-25T22:00"),  # begins at 1
        ("Africa/Cairo", date(2024, 11, 1), "2024-10-31T22:00"),  # when it is 0 it becomes 23
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00"),  # begins at 1
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00"),  # midnight comes twice: the first
        ("America/Havana", date(2026, 11, 2), "2026-11-02T05:00"),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),  # left out
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
        ("Asia/Kathmandu", date(2026, 11, 1), "2026-10-31T18:15"),
    ],
)
def test_day_begins(zone: str, day: date, begins: str) -> None:
    """A day begins when the clocks of its zone show midnight, or later if midnight is left out."""
    assert start_day(zone, day) == datetime.fromisoformat(begins).replace(tzinfo=UTC)


def test_day_without_midnight() -> None:
    """Where midnight is left out a day's window ends at one o'clock, which is the instant that midnight would be."""
    oracle = Oracle()
    oracle.save(define(did({"days": 1, "zone": "America/Sao_Paulo", "current": "included"})))
    oracle.tick(at("2018-11-01T00:00:00"), {})
    oracle.tell(call("2018-11-04T02:59:59"))  # 23:59:59 of the third
    oracle.tell(call("2018-11-04T03:00:00"))  # 1:00 of the fourth
    oracle.tick(at("2018-11-06T00:00:00"), NUMBERS)
    found = oracle.list_memberships()["c", 1]
    assert [(show(entered), show(exited)) for entered, exited in found] == [("2018-11-04T02:59:59", "2018-11-05T02:00")]


def test_fixed_windows() -> None:
    """Since an instant, until before another, or ever: what counts once does so for good."""
    facts = [call("10T12:00"), call("12T12:00")]
    assert evaluate(did({"ever": True}), facts) == [("10T12:00", None)]
    assert evaluate(did({"since": "2026-11-10T12:00:01Z"}), facts) == [("12T12:00", None)]
    assert evaluate(did({"until": "2026-11-12T12:00:00Z"}, count={">=": 2}), facts) == []
    assert evaluate(did({"until": "2026-11-12T12:00:01Z"}, count={">=": 2}), facts) == [("12T12:00", None)]


def test_samples_count_by_weight() -> None:
    """A call that stands for three counts three times, in sums as well; distinct values count once."""
    facts = [call("10T12:00", weight=3, status=200, duration=100), call("10T13:00", status=200.0, duration=50)]
    assert evaluate(did({"ever": True}, count={">=": 3}), facts) == [("10T12:00", None)]
    total = {"did": CALLED, "sum": {"of": "duration", "=": 350}, "window": {"ever": True}}
    assert evaluate(total, facts) == [("10T13:00", None)]
    distinct = {"did": CALLED, "distinct": {"of": "status", "=": 1}, "window": {"ever": True}}
    assert evaluate(distinct, [*facts, call("10T14:00")]) == [("10T12:00", None)]


def test_sums_are_exact() -> None:
    """A tenth and two tenths are three tenths; what is no number adds nothing."""
    total = {"did": CALLED, "sum": {"of": "properties.n", "=": 0.3}, "window": {"ever": True}}
    values = [0.1, 0.2, "7", True, None]
    facts = [call(f"10T1{hour}:00", properties={"n": value}) for hour, value in enumerate(values)]
    assert evaluate(total, facts) == [("10T11:00", None)]


def test_nobody_does_it_twice_by_sending_it_twice() -> None:
    """An event that comes again is the same one; another key is another event."""
    twice = did({"ever": True}, count={">=": 2})
    assert evaluate(twice, [call("10T12:00"), call("10T12:00", status=400)]) == []
    assert evaluate(twice, [call("10T12:00"), call("10T12:00", key=2)]) == [("10T12:00", None)]


def test_did_not_of_those_who_are_new() -> None:
    """Who was first seen within the window is in or not, as the definition chooses; traits are no sign of life."""
    facts: list[Fact] = [write("09T00:00", "plan", "pro"), Event("mail", at("10T12:00"), 1, ADA), call("12T00:00")]
    condition = {"did_not": CALLED, "window": DAY, "not_observed_that_long": True}
    assert evaluate(condition, facts) == [("09T00:00", "12T00:00"), ("13T00:00", None)]
    condition["not_observed_that_long"] = False
    assert evaluate(condition, facts) == [("11T12:00", "12T00:00"), ("13T00:00", None)]
    assert evaluate(condition, facts[:1]) == []


def test_first_time_ever() -> None:
    """Only the first event of all times counts, and only in the window."""
    facts = [call("10T12:00"), call("12T12:00")]
    assert evaluate({"did_first": CALLED, "window": DAY}, facts) == [("10T12:00", "11T12:00")]
    assert evaluate({"did_first": CALLED, "window": {"since": "2026-11-11T00:00:00Z"}}, facts) == []


def test_one_then_the_other() -> None:
    """The second within the time after the first, to the microsecond; at one instant neither is first."""
    condition = {
        "did_then": [{"event": "call", "where": {"status": 200}}, {"event": "call", "where": {"status": 400}}],
        "within": "1 hour",
        "window": DAY,
    }
    first = call("10T12:00", status=200)
    assert evaluate(condition, [first, call("10T13:00", status=400)]) == [("10T13:00", "11T13:00")]
    assert evaluate(condition, [first, call("10T13:00:00.000001", status=400)]) == []
    assert evaluate(condition, [first, call("10T12:00", status=400, key=2)]) == []
    assert evaluate(condition, [call("10T11:59", status=400), first]) == []
    same = {"did_then": [CALLED, CALLED], "within": "1 hour", "window": DAY}
    assert evaluate(same, [first, call("10T12:30")]) == [("10T12:30", "11T12:30")]


def test_so_many_of_the_days() -> None:
    """Days count, not events."""
    window = {"days": 3, "zone": "UTC", "current": "included"}
    facts = [call("10T12:00"), call("10T13:00"), call("12T12:00")]
    assert evaluate({"did_in_periods": CALLED, "at_least": 2, "window": window}, facts) == [("12T12:00", "13T00:00")]
    window = {"days": 3, "zone": "UTC", "current": "excluded"}
    assert evaluate({"did_in_periods": CALLED, "at_least": 2, "window": window}, facts) == [("13T00:00", "14T00:00")]


def test_last_event_has() -> None:
    """The newest in time, whatever came last; of one time that with the greater key; none has nothing."""
    condition = {"last": CALLED, "has": {"status": 400}, "window": DAY}
    facts = [call("10T14:00", status=200), call("10T12:00", status=400), call("10T13:00", status=400)]
    assert evaluate(condition, facts) == [("10T12:00", "10T14:00")]
    pair = [call("10T12:00", key=-2, status=400), call("10T12:00", key=1, status=200)]
    assert evaluate(condition, pair) == []
    assert evaluate(condition, [pair[0], call("10T12:00", key=-3, status=200)]) == [("10T12:00", "11T12:00")]
    assert evaluate({"last": CALLED, "has": {"status": {"exists": False}}, "window": DAY}, []) == []


def test_stopped_and_restarted() -> None:
    """Stopped: did it in the longer time and not in the shorter. Restarted: did it again after a pause."""
    stopped = {"stopped": CALLED, "did_within": "3 days", "not_within": "1 day"}
    assert evaluate(stopped, [call("10T12:00"), call("11T00:00")]) == [("12T00:00", "14T00:00")]
    restarted = {"restarted": CALLED, "within": "1 day", "after_pause_of": "2 days"}
    facts = [call("10T12:00"), call("12T12:00"), call("16T12:00")]
    assert evaluate(restarted, facts) == [("16T12:00", "17T12:00")]


def test_traits_as_they_were() -> None:
    """A trait counts from its write to the next, whichever came first; a write above it takes it away."""
    condition = {"trait": "plan", "is": "pro"}
    facts: list[Fact] = [write("12T00:00", "plan", "free"), write("10T00:00", "plan", "pro")]
    assert evaluate(condition, facts) == [("10T00:00", "12T00:00")]
    assert evaluate(condition, [write("10T00:00", "plan", "free"), write("10T00:00", "plan", "pro")]) == [
        ("10T00:00", None)
    ]
    deep = {"trait": "a.b", "exists": True}
    facts = [write("10T00:00", "a.b", 1), write("11T00:00", "a", 7), write("12T00:00", "a.b", None)]
    assert evaluate(deep, facts) == [("10T00:00", "11T00:00")]


def test_times_in_traits() -> None:
    """A day is its midnight in UTC; what is relative changes with time alone."""
    facts = [write("05T00:00", "until", "2026-11-10"), write("20T00:00", "until", "2026-11-12T01:00+02:00")]
    assert evaluate({"trait": "until", "within_next": "2 days"}, facts) == [("08T00:00", "10T00:00")]
    assert evaluate({"trait": "until", "within_last": "2 days"}, facts) == [("10T00:00", "12T00:00")]
    assert evaluate({"trait": "until", "longer_ago_than": "2 days"}, facts) == [("12T00:00", None)]
    assert evaluate({"trait": "until", "before": "2026-11-11T00:00:00Z"}, facts) == [("05T00:00", "20T00:00")]
    assert evaluate({"trait": "until", "before": "2026-11-10T00:00:00Z"}, facts) == []
    assert evaluate({"trait": "until", "since": "2026-11-11T23:00:00Z"}, facts) == [("20T00:00", None)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-10", "10T00:00"),
        ("2026-11-10T12:00Z", "10T12:00"),
        ("2026-11-10 12:00:00.5+01:30", "10T10:30:00.500000"),
        ("2026-02-30", None),
        ("2026-11-10T12:00", None),
        ("2026-11-10T24:00Z", None),
        (20261110, None),
    ],
)
def test_time_as_text(value: object, expected: str | None) -> None:
    """A time is a day, or an instant with its zone."""
    assert show(read_time(value)) == expected


@pytest.mark.parametrize(
    ("test", "passing", "failing"),
    [
        ({"is": 1}, [1, 1.0], [True, "1", 2, MISSING]),
        ({"is": True}, [True], [1, "true", MISSING]),
        ({"is_one_of": ["a", 2]}, ["a", 2.0], ["2", MISSING]),
        ({"at_least": 2}, [2, 3.5], [1.9, "3", True, MISSING]),
        ({"less_than": 0.3}, [0.1], [0.3, MISSING]),
        ({"contains": "b"}, ["abc"], ["aBc", ["b"], MISSING]),
        ({"contains_ignoring_case": "ÄB"}, ["xäbx"], ["ab", MISSING]),
        ({"starts_with": "a"}, ["ab"], ["ba", 1]),
        ({"ends_with": "b"}, ["ab"], ["ba", 1]),
        ({"includes": 1}, [["a", 1.0]], [1, ["1"], [True], MISSING]),
        ({"exists": True}, [0, "", False, []], [MISSING]),
        ({"exists": False}, [MISSING], [0, ""]),
    ],
)
def test_values_pass(test: Json, passing: list[object], failing: list[object]) -> None:
    """Types are not mixed, and what is missing passes nothing but that."""
    members = define({"trait": "x", **test}).members
    assert all(passes(value, members) for value in passing)
    assert not any(passes(value, members) for value in failing)


def test_machine_opens_are_told_apart() -> None:
    """Opens by machines count unless the definition says otherwise."""
    machine = Event("mail", at("10T12:00"), 1, ADA, fields={"type": "opened", "machine_open": True})
    where: Json = {"type": "opened"}
    assert evaluate(did(DAY, {"event": "mail", "where": where}), [machine]) == [("10T12:00", "11T12:00")]
    where["machine_open"] = False
    assert evaluate(did(DAY, {"event": "mail", "where": where}), [machine]) == []


def test_companies_do_what_their_users_do() -> None:
    """The users of a company are those whose newest `company_id` names it: what they do and get counts for it, but for
    calls that name another one; also what was before they were said to be of it.
    """
    mail = Event("mail", at("10T12:00"), 1, ADA, fields={"type": "opened"})
    opened: Json = did({"ever": True}, {"event": "mail", "where": {"type": "opened"}})
    of_acme = write("10T11:00", "company_id", "acme", ADA)
    assert evaluate(opened, [of_acme, mail], ACME) == [("10T12:00", None)]
    assert evaluate(opened, [of_acme, write("09T11:00", "company_id", "other", ADA), mail], ACME) == [
        ("10T12:00", None)
    ]
    assert evaluate(opened, [of_acme, write("11T11:00", "company_id", "other", ADA), mail], ACME) == []
    assert evaluate(opened, [of_acme, write("11T11:00", "company_id", None, ADA), mail], ACME) == []
    assert evaluate(opened, [mail], ACME) == []
    called = did({"ever": True})
    assert evaluate(called, [of_acme, call("10T12:00", company="other")], ACME) == []
    assert evaluate(called, [of_acme, call("10T12:00")], ACME) == [("10T12:00", None)]


def test_companies_are_there_once_a_user_is_said_to_be_of_them() -> None:
    """Before that nothing is true of them."""
    facts = [write("10T11:00", "company_id", "acme", ADA), write("11T11:00", "company_id", "other", ADA)]
    assert evaluate({"not": did({"ever": True})}, facts, ACME) == [("10T11:00", None)]


def test_companies_do_what_names_them() -> None:
    """The calls that name a company are its own, whoever made them."""
    facts = [call("10T12:00", company="acme"), call("10T13:00", None, company="acme"), call("10T14:00", BOB)]
    assert evaluate(did({"ever": True}, count={">=": 2}), facts, ACME) == [("10T13:00", None)]
    trait = write("11T00:00", "plan", "pro", ACME)
    assert evaluate({"trait": "plan", "is": "pro"}, [trait], ACME) == [("11T00:00", None)]


def test_share_is_the_same_at_all_times() -> None:
    """All, nobody, or about a part, by cohort and subject."""
    facts = [call("10T12:00")]
    assert evaluate({"share": 1}, facts) == [("10T12:00", None)]
    assert evaluate({"share": 0}, facts) == []
    numbers = {Identity(USER, f"user-{number}"): number for number in range(1000)}
    oracle = Oracle()
    oracle.save(define({"share": 0.3}))
    oracle.tick(at("10T00:00"), numbers)
    assert 250 < len(oracle.list_memberships()) < 350


def test_late_event_enters_and_falsifies() -> None:
    """A late event tells of the instants at which things changed, since the last that was told and never before it; a
    membership that was never true ends where it began.
    """
    told = Told({"did_not": CALLED, "window": DAY, "not_observed_that_long": True})
    told.tick("10T12:00", write("10T00:00", "plan", "pro"))
    told.tick("11T12:00", call("10T00:00"))
    assert told.list_transitions() == [
        "entered 10T00:00 told 10T12:00",
        "exited 10T00:00 told 11T12:00",
        "entered 11T00:00 told 11T12:00",
    ]
    told.tick("12T12:00", call("10T06:00"))  # untrue until 6:00, not from 0:00 on
    assert told.list_intervals() == [("10T00:00", "10T00:00"), ("11T00:00", "11T00:00"), ("11T06:00", None)]


def test_definition_that_is_changed() -> None:
    """Members by the old definition leave when the new one is switched on, and nothing before that is told again."""
    told = Told(did(DAY))
    told.tick("10T13:00", call("10T12:00"))
    told.oracle.save(define(did(DAY, count={">=": 2})))
    told.tick("10T14:00", call("10T12:30"))
    assert told.list_intervals() == [("10T12:00", None)]
    told.oracle.save(define(did(DAY, count={">=": 3})))
    told.tick("10T15:00")
    assert told.list_intervals() == [("10T12:00", "10T15:00")]
    told.oracle.delete("c")
    told.tick("10T16:00")
    assert told.list_intervals() == [("10T12:00", "10T15:00")]


def test_nothing_is_told_of_before_the_switch() -> None:
    """Who fits when a cohort is switched on enters then, however long the truth is older."""
    oracle = Oracle()
    oracle.tell(call("10T12:00"))
    oracle.save(define(did({"last": "1 week"})))
    oracle.tick(at("12T00:00"), NUMBERS)
    assert oracle.list_memberships()["c", 1][0].entered_at == at("12T00:00")


def test_people_who_turn_out_to_be_one() -> None:
    """The one who becomes part of the other leaves then; the other is judged by all that both did."""
    told = Told(did({"last": "1 week"}, count={">=": 2}))
    told.tick("10T13:00", call("10T12:00", BOB), call("10T12:30", BOB), call("10T12:45"))
    assert told.list_intervals(BOB) == [("10T12:30", None)]
    told.tick("11T00:00", Link(ADA, BOB, MERGE, at("10T23:00")))
    assert told.list_transitions(BOB)[-1] == "exited 11T00:00 told 11T00:00"
    assert told.list_intervals() == [("10T12:30", None)]


def test_addresses_move_and_anonymous_ids_stay() -> None:
    """An address is his who named it last, with all its mails; an anonymous id hers whose it was first."""
    mails = [Event("mail", at("10T12:00"), 1, ADDRESS_OF_ADA)]
    told = Told(did({"ever": True}, {"event": "mail"}))
    told.tick("10T13:00", *mails, Link(ADDRESS_OF_ADA, ADA, LAST, at("10T11:00")))
    assert told.list_intervals() == [("10T12:00", None)]
    told.tick("11T13:00", Link(ADDRESS_OF_ADA, BOB, LAST, at("11T11:00")))
    assert told.list_intervals() == [("10T12:00", "10T12:00")]
    assert told.list_intervals(BOB) == [("10T12:00", None)]
    calls: list[Fact] = [call("10T12:00", ANONYMOUS_ONE), Link(ANONYMOUS_ONE, ADA, FIRST, at("10T13:00"))]
    found = evaluate(did({"ever": True}), [*calls, Link(ANONYMOUS_ONE, BOB, FIRST, at("10T14:00"))])
    assert found == [("10T12:00", None)]


def test_cohorts_that_ask_for_others() -> None:
    """The inner one is told first, in the same tick; what is told counts."""
    told = Told(did(DAY))
    told.oracle.save(define({"cohort": "c"}, "a-outer"))
    told.oracle.save(define({"not": {"cohort": "unknown"}}, "none"))
    told.tick("09T00:00")
    told.tick("12T00:00", call("10T12:00"))
    assert told.list_intervals(name="a-outer") == [("10T12:00", "11T12:00")]
    assert told.list_intervals(name="none") == [("09T00:00", None)]


def test_ticks_that_are_repeated() -> None:
    """A tick at the same instant tells nothing twice; ticks in between change no instant."""
    facts = [call("10T12:00"), call("10T18:00")]
    once, often = Told(did(DAY, count={"=": 1})), Told(did(DAY, count={"=": 1}))
    once.tick("12T00:00", *facts)
    for when in ("10T19:00", "10T19:00", "11T12:00", "11T15:00", "12T00:00"):
        often.tick(when, *facts)
    assert once.list_intervals() == often.list_intervals() == [("10T12:00", "10T18:00"), ("11T12:00", "11T18:00")]


def test_nothing_is_true_before_anything_is_known() -> None:
    """Who is in a cohort for what he did not do is in it from the first thing on that is known of him."""
    facts = [write("10T00:00", "plan", "pro")]
    assert evaluate({"not": did({"ever": True})}, facts) == [("10T00:00", None)]
    assert evaluate({"not": did({"ever": True})}, [*facts, call("11T00:00")]) == [("10T00:00", "11T00:00")]


def test_clock_that_is_fast() -> None:
    """What is dated after the tick counts when its time has come."""
    told = Told(did(DAY))
    told.tick("10T00:00", call("10T12:00"))
    assert told.list_intervals() == []
    told.tick("10T12:00")
    assert told.list_intervals() == [("10T12:00", None)]
