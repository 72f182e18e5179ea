from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.errors import ApiError
from query_events.routing import READ_EVENTS, Caller
from query_events.usage_retention import ROUTES
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import REP, make_request
from tests.integration.test_behaviour import load, make_batch
from tests.integration.test_usage import open_query, show
from tests.integration.test_usage_customers import find_firsts, get_person, get_time, make_actions, make_calls, send

(RETENTION,) = ROUTES
ZONE = ZoneInfo("America/New_York")


def ask(connect: Connect, caller: Caller = REP, /, **given: str) -> dict[str, Any]:
    """The answer to a request."""
    return make_request(open_query(connect), RETENTION, given, caller)


def find_week(call: dict[str, Any]) -> datetime:
    """Its week's Monday in the zone."""
    at = get_time(call).astimezone(ZONE)
    return datetime(at.year, at.month, at.day, tzinfo=UTC) - timedelta(days=at.weekday())


@pytest.mark.parametrize("of", ["users", "companies"])
def test_triangle_is_as_counted_by_hand(connect: Connect, of: str) -> None:
    """Of late, repeated calls, of people who were merged too, in a zone whose weeks begin at another time."""
    random = Random(8)
    calls = make_calls(random, 70)
    send(connect, calls, make_actions(random, 50))
    whose = get_person if of == "users" else lambda call: str(call["company_id"])
    begin = datetime(2026, 10, 19, tzinfo=UTC)  # a Monday; somebody began before
    cohorts: dict[datetime, set[str]] = defaultdict(set)
    for who, call in find_firsts(calls, whose).items():
        cohorts[find_week(call)].add(who)
    active = defaultdict(set)
    for call in calls:
        active[find_week(call)].add(whose(call))
    last = datetime(2026, 11, 16, tzinfo=UTC)
    expected = []
    seen = set()
    for week in sorted(week for week in cohorts if week >= begin):
        weeks = [week + timedelta(weeks=since) for since in range((last - week).days // 7 + 1)]
        retained = [len(cohorts[week] & active[one]) for one in weeks]
        rates = [round(number / len(cohorts[week]), 6) for number in retained]
        seen |= set(rates)
        expected.append(
            {"week": week.date().isoformat(), "size": len(cohorts[week]), "retained": retained, "rates": rates}
        )
    answer = ask(connect, **{"from": "2026-10-21", "timezone": "America/New_York", "of": of})
    assert answer["results"] == expected
    assert answer["from"] == "2026-10-19T04:00:00.000Z"
    assert len(expected) > 1
    assert len(cohorts) > len(expected)
    assert {0.0, 1.0} < seen


def test_filters_choose_the_calls_that_count(connect: Connect) -> None:
    """Also the first one: who called something else before began with what is asked for."""
    other, first, later = ({**call} for call in make_calls(Random(1), 3))
    for call, weeks, uri in ((other, 4, "/v1/a"), (first, 3, "/v1/b"), (later, 1, "/v1/b")):
        call |= {"user_id": "ann", "company_id": "acme", "response": {"status": 200}}
        call["request"] = {**call["request"], "time": show(NOW - timedelta(weeks=weeks)), "uri": uri}
    later["response"] = {"status": 500}
    load(connect("mailwake_loader"), make_batch("moesif", "events", [other, first, later]))
    found = {
        name: [row["retained"] for row in ask(connect, **given)["results"]]
        for name, given in {
            "all": {},
            "route": {"routes": "/v1/b"},
            "status": {"routes": "/v1/b", "statuses": "200"},
            "company": {"companies": "acme", "of": "companies"},
            "nobody": {"users": "ben"},
        }.items()
    }
    assert found == {
        "all": [[1, 1, 0, 1, 0]],
        "route": [[1, 0, 1, 0]],
        "status": [[1, 0, 0, 0]],
        "company": [[1, 1, 0, 1, 0]],
        "nobody": [],
    }


def test_weeks_without_a_call_are_zero(connect: Connect) -> None:
    """Every row goes on to the range's last week; a range of the past ends with its own."""
    (call,) = make_calls(Random(1), 1)
    call["request"]["time"] = show(NOW - timedelta(weeks=4))
    load(connect("mailwake_loader"), make_batch("moesif", "events", [call]))
    assert [row["retained"] for row in ask(connect)["results"]] == [[1, 0, 0, 0, 0]]
    past = ask(connect, to="2026-11-02T00:00Z")
    assert [row["retained"] for row in past["results"]] == [[1, 0]]
    assert ask(connect, to="2026-10-01T00:00Z")["results"] == []


def test_weeks_begin_in_the_zone(connect: Connect) -> None:
    """What is Monday in one zone is still Sunday in another."""
    (call,) = make_calls(Random(1), 1)
    call["request"]["time"] = "2026-11-16T02:00:00.000Z"
    load(connect("mailwake_loader"), make_batch("moesif", "events", [call]))
    weeks = [ask(connect, timezone=zone)["results"][0]["week"] for zone in ("UTC", "America/New_York")]
    assert weeks == ["2026-11-16", "2026-11-09"]


def test_needs_no_addresses(connect: Connect) -> None:
    """Who may not see addresses gets the same numbers."""
    send(connect, make_calls(Random(2), 50), [])
    caller = Caller("reports", frozenset({READ_EVENTS}))
    assert ask(connect, caller) == ask(connect)


@pytest.mark.parametrize("given", [{"of": "mails"}, {"from": "x"}, {"timezone": "Mars"}, {"weeks": "3"}])
def test_wrong_parameters_are_refused(connect: Connect, given: dict[str, str]) -> None:
    """Each is a 400 that names the parameter."""
    with pytest.raises(ApiError) as raised:
        ask(connect, **given)
    assert raised.value.status == 400
    assert next(iter(given)) in raised.value.description
