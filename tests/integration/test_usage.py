import json
import math
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg2.extensions import connection as Connection

from common.errors import ApiError
from query_events.app import SESSION
from query_events.routing import READ_EVENTS, Caller
from query_events.usage import ROUTES
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import REP, make_request
from tests.integration.test_behaviour import load, make_batch

(USAGE,) = ROUTES
STATUSES = (200, 200, 200, 201, 400, 404, 500, 503, None)


def make_calls(number: int) -> list[dict[str, Any]]:
    """Calls of the last three days, some without an answer, some that stand for several."""
    random = Random(number)
    calls = []
    for position in range(number):
        at = NOW - timedelta(seconds=random.randrange(3 * 86_400), milliseconds=random.randrange(1000))
        status = random.choice(STATUSES)
        took = timedelta(milliseconds=random.choice((5, 20, 20, 40, 900, 3000)))
        call: dict[str, Any] = {
            "request": {"time": show(at), "uri": f"/v1/{random.choice(('a', 'b'))}/{position}", "verb": "GET"},
            "user_id": random.choice(("ann", "ben", "cy@example.com")),
            "company_id": random.choice(("acme", "globex")),
            "transaction_id": f"t-{position}",
            "weight": random.choice((1, 1, 1, 10)),
        }
        if status is not None:
            call["response"] = {"time": show(at + took), "status": status}
        calls.append(call)
    return calls


def show(at: datetime) -> str:
    """As clients do."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count_by_hand(calls: list[dict[str, Any]], minutes: float) -> dict[str, Any]:
    """The numbers by their formulas."""
    durations: list[int] = []
    up: dict[str, bool] = defaultdict(bool)
    total = errors = server_errors = 0
    for call in calls:
        weight, response = call["weight"], call.get("response")
        status = response["status"] if response else 599
        total += weight
        errors += weight * (status >= 400)
        server_errors += weight * (status >= 500)
        up[call["request"]["time"][:16]] |= status < 500
        if response:
            took = datetime.fromisoformat(response["time"]) - datetime.fromisoformat(call["request"]["time"])
            durations += [round(took / timedelta(milliseconds=1))] * weight
    durations.sort()
    tiles = {f"milliseconds_p{part}": durations[math.ceil(len(durations) * part / 100) - 1] for part in (50, 90, 99)}
    return {
        "calls": total,
        "errors": errors,
        "server_errors": server_errors,
        "error_rate_of_calls": round(errors / total, 6),
        "calls_per_minute": round(total / minutes, 6),
        "errors_per_minute": round(errors / minutes, 6),
        "uptime_of_minutes": round(sum(up.values()) / len(up), 6),
        "milliseconds_average": round(sum(durations) / len(durations), 3),
        **tiles,
        "users": len({call["user_id"] for call in calls}),
        "companies": len({call["company_id"] for call in calls}),
    }


def ask(connect: Connect, caller: Caller = REP, /, **given: str) -> dict[str, Any]:
    """The answer to a request."""
    return make_request(open_query(connect), USAGE, given, caller)


def open_query(connect: Connect) -> Connection:
    """A connection with the settings that the query function has."""
    connection = connect("mailwake_query")
    connection.autocommit = True
    with connection.cursor() as cursor:
        for name, value in SESSION.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    return connection


def test_total_is_as_counted_by_hand(connect: Connect) -> None:
    """Every number of the total, weights honoured, over a range that leaves some calls out."""
    calls = make_calls(400)
    load(connect("mailwake_loader"), make_batch("moesif", "events", calls))
    begin = NOW - timedelta(days=2)
    within = [call for call in calls if show(begin) <= call["request"]["time"] < show(NOW)]
    answer = ask(connect, **{"from": show(begin)})
    assert 0 < len(within) < len(calls)
    expected = count_by_hand(within, 2 * 24 * 60)
    assert {name: answer["total"][name] for name in expected} == expected
    assert set(answer["meanings"]) == set(answer["total"])


@pytest.mark.parametrize("group", ["route", "method", "status", "company", "user", "day", "hour"])
def test_groups_are_as_counted_by_hand(connect: Connect, group: str) -> None:
    """Each group by itself, in a zone whose days begin at another time; groups by time in order, others by calls."""
    calls = make_calls(300)
    load(connect("mailwake_loader"), make_batch("moesif", "events", calls))
    zone = ZoneInfo("Asia/Kathmandu")
    begin = NOW - timedelta(days=3)
    names: dict[str, Callable[[dict[str, Any]], Any]] = {
        "route": lambda call: f"GET {call['request']['uri'].rpartition('/')[0]}/{{id}}",
        "method": lambda call: call["request"]["verb"],
        "status": lambda call: call.get("response", {}).get("status"),
        "company": lambda call: call["company_id"],
        "user": lambda call: call["user_id"],
        "day": lambda call: local(call).date().isoformat(),
        "hour": lambda call: local(call).replace(minute=0, second=0, microsecond=0).isoformat(),
    }

    def local(call: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(call["request"]["time"]).astimezone(zone)

    grouped = defaultdict(list)
    for call in calls:
        grouped[names[group](call)].append(call)
    answered = {name: found for name, found in grouped.items() if any("response" in call for call in found)}
    asked = {"from": show(begin), "to": show(NOW + timedelta(seconds=1)), "timezone": "Asia/Kathmandu"}
    answer = ask(connect, **asked, group_by=group)
    found = {row.pop(group): row for row in answer["results"]}
    minutes = (NOW + timedelta(seconds=1) - begin) / timedelta(minutes=1)
    assert found.keys() == grouped.keys()
    assert answer["total_count"] == len(grouped)
    expected = {name: count_by_hand(one, minutes) for name, one in answered.items()}
    assert {name: {each: found[name][each] for each in numbers} for name, numbers in expected.items()} == expected
    if group in ("day", "hour"):
        assert [*found] == sorted(found)
    else:
        assert [row["calls"] for row in found.values()] == sorted(
            (row["calls"] for row in found.values()), reverse=True
        )


def test_filters_narrow(connect: Connect) -> None:
    """Only the calls that are asked for are counted; two groups at once, as many as wanted."""
    calls = make_calls(200)
    load(connect("mailwake_loader"), make_batch("moesif", "events", calls))
    given = {"companies": "acme", "users": "ann,ben", "statuses": "200,404", "routes": "/v1/a/{id}"}
    answer = ask(connect, **given, group_by="user,status", limit="3")
    wanted = [
        call
        for call in calls
        if call["company_id"] == "acme"
        and call["user_id"] in ("ann", "ben")
        and call.get("response", {}).get("status") in (200, 404)
        and call["request"]["uri"].startswith("/v1/a/")
    ]
    assert answer["total"]["calls"] == sum(call["weight"] for call in wanted)
    assert len(answer["results"]) == 3
    assert answer["total_count"] == 4


def test_ids_of_one_person_are_one_user(connect: Connect) -> None:
    """Users who were merged count as one; actions are no calls."""
    loader = connect("mailwake_loader")
    load(loader, make_batch("moesif", "events", make_calls(50)))
    load(loader, make_batch("segment", "alias", {"userId": "ann", "previousId": "ben"}, key="two"))
    load(loader, make_batch("segment", "track", {"userId": "dan", "event": "x"}, key="three"))
    assert ask(connect)["total"]["users"] == 2


def test_nothing_is_null_or_zero(connect: Connect) -> None:
    """Without calls the counts are 0, and what is divided by nothing is null."""
    total = ask(connect, group_by="client")["total"]
    assert (total["calls"], total["error_rate_of_calls"], total["milliseconds_p50"]) == (0, None, None)


def test_addresses_are_masked(connect: Connect) -> None:
    """Who may not see addresses does not see them in users' ids."""
    load(connect("mailwake_loader"), make_batch("moesif", "events", make_calls(50)))
    caller = Caller("reports", frozenset({READ_EVENTS}))
    assert "cy@example.com" in json.dumps(ask(connect, group_by="user"))
    assert "cy@example.com" not in json.dumps(ask(connect, caller, group_by="user"))


@pytest.mark.parametrize(
    "given", [{"group_by": "day,hour"}, {"group_by": "colour"}, {"statuses": "x"}, {"limit": "0"}, {"colour": "red"}]
)
def test_wrong_parameters_are_refused(connect: Connect, given: dict[str, str]) -> None:
    """Each is a 400 that names the parameter."""
    with pytest.raises(ApiError) as raised:
        ask(connect, **given)
    assert raised.value.status == 400
    assert next(iter(given)) in raised.value.description


def test_range_may_be_turned_around(connect: Connect) -> None:
    """A range that ends before it begins holds nothing."""
    given = {"from": datetime(2026, 2, 1, tzinfo=UTC).isoformat(), "to": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}
    assert ask(connect, **given)["total"]["calls"] == 0
