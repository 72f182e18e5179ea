"""Growth, newcomers, first successes and transactions, held against formulas over all that was sent."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from common.errors import ApiError
from query_events.sizes import LARGEST_RESULTS, measure
from query_events.usage import MEANINGS, OF_BEFORE
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import REP, make_request
from tests.integration.test_behaviour import load, make_batch
from tests.integration.test_usage import USAGE, ask, open_query, show

Item = dict[str, Any]
MERGED = {"u3": "u1", "u4": "u1"}  # alias → who it is
BEGIN, END = NOW - timedelta(days=10), NOW
BEFORE = BEGIN - (END - BEGIN)


def make_calls(random: Random, number: int) -> list[Item]:
    """Calls of the last 40 days; customers begin one after the other, fail at first, and some leave."""
    calls = []
    for position in range(number):
        user = random.randrange(20)
        first, last = 40 - 2 * user, 12 * (user in (2, 5, 12, 13))  # days ago
        second = random.randrange(86_400 * last, 86_400 * first)
        at = NOW - timedelta(seconds=second, milliseconds=random.randrange(1000))
        call: Item = {
            "request": {
                "time": show(at),
                "uri": f"/v1/{random.choice('ab')}",
                "verb": "GET",
                "api_version": random.choice(("1", "2")),
                "headers": {"User-Agent": random.choice(("acme-python/1", "acme-python/2"))},
            },
            "user_id": f"u{user}",
            "company_id": f"c{user // 2}",
            "transaction_id": f"t-{position}",
            "weight": random.choice((1, 1, 10)),
        }
        status = random.choice((200, 201, 404, 500, None, 404, 404))
        if status is not None:
            call["response"] = {"time": show(at + timedelta(milliseconds=random.randrange(1, 999))), "status": status}
        calls.append(call)
    return calls


def make_actions(random: Random, number: int) -> list[Item]:
    """What else they did."""
    return [
        {
            "action_name": random.choice(("ordered", "paid", "looked")),
            "request": {
                "time": show(NOW - timedelta(seconds=random.randrange(86_400 * 45))),
                "uri": "https://example.com/",
                "user_agent_string": random.choice(("acme-python/1", "acme-python/2")),
            },
            "user_id": f"u{random.randrange(20)}",
            "company_id": f"c{random.randrange(10)}",
            "transaction_id": f"a-{position}",
        }
        for position in range(number)
    ]


def send(connect: Connect, calls: list[Item], actions: list[Item]) -> None:
    """In an order of its own: the oldest come last, a third twice, and two users turn out to be another one."""
    loader = connect("mailwake_loader")
    late = sorted(calls, key=lambda call: call["request"]["time"], reverse=True)
    third = len(late) // 3
    load(loader, make_batch("moesif", "events", late[:third], key="1"))
    load(loader, make_batch("segment", "alias", {"userId": "u1", "previousId": "u3"}, key="2"))
    load(loader, make_batch("moesif", "actions", actions, key="3"))
    load(loader, make_batch("moesif", "events", late[third:], key="4"))
    load(loader, make_batch("moesif", "events", late[: 2 * third], key="5"))
    load(loader, make_batch("segment", "alias", {"userId": "u3", "previousId": "u4"}, key="6"))


def get_time(item: Item) -> datetime:
    """When it happened."""
    return datetime.fromisoformat(item["request"]["time"])


def get_person(item: Item) -> str:
    """Whose it is."""
    user: str = item["user_id"]
    return MERGED.get(user, user)


def is_success(call: Item) -> bool:
    """Whether it was answered well."""
    return bool(call.get("response", {}).get("status", 599) < 400)


def find_firsts(items: Iterable[Item], whose: Callable[[Item], str]) -> dict[str, Item]:
    """The first of everybody's."""
    firsts: dict[str, Item] = {}
    for item in sorted(items, key=get_time, reverse=True):
        firsts[whose(item)] = item
    return firsts


def weigh(items: Iterable[Item]) -> int:
    """How many they stand for."""
    return sum(item.get("weight", 1) for item in items)


def count_by_hand(calls: list[Item], actions: list[Item], among: Callable[[Item], bool]) -> Item:
    """The numbers of the group whose items these are, by their formulas over everything that was sent."""
    own = [call for call in calls if among(call) and BEGIN <= get_time(call) < END]
    earlier = [call for call in calls if among(call) and BEFORE <= get_time(call) < BEGIN]
    before = weigh(earlier)
    done = weigh(action for action in actions if among(action) and BEGIN <= get_time(action) < END)
    ids = {call["transaction_id"] for call in own}
    seen = find_firsts([*calls, *actions], get_person)
    seconds = sorted(
        (get_time(call) - get_time(seen[person])).total_seconds()
        for person, call in find_firsts(filter(is_success, calls), get_person).items()
        if call["transaction_id"] in ids
    )
    tiles = [seconds[math.ceil(len(seconds) * part / 100) - 1] if seconds else None for part in (50, 95)]
    return {
        "calls": weigh(own),
        "users": len({get_person(call) for call in own}),
        "companies": len({call["company_id"] for call in own}),
        "new_users": sum(call["transaction_id"] in ids for call in find_firsts(calls, get_person).values()),
        "new_companies": sum(
            call["transaction_id"] in ids for call in find_firsts(calls, lambda call: call["company_id"]).values()
        ),
        "lost_users": len({get_person(call) for call in earlier} - {get_person(call) for call in own}),
        "lost_companies": len({call["company_id"] for call in earlier} - {call["company_id"] for call in own}),
        "calls_before": before,
        "growth_of_calls_before": round((weigh(own) - before) / before, 6) if before else None,
        "seconds_to_first_success_p50": tiles[0],
        "seconds_to_first_success_p95": tiles[1],
        "transactions": done,
        "calls_per_transaction": round(weigh(own) / done, 6) if done else None,
    }


ASKED = {"from": show(BEGIN), "to": show(END)}


def are(get: Callable[[Item], Any], name: object) -> Callable[[Item], bool]:
    """Whether an item is of this name."""
    return lambda item: bool(get(item) == name)


def pick(row: Item, names: Iterable[str]) -> Item:
    """The numbers that are compared."""
    return {name: row[name] for name in names}


def test_total_is_as_counted_by_hand(connect: Connect) -> None:
    """Late, repeated and of people who were merged: every number of the total, weights honoured."""
    random = Random(1)
    calls, actions = make_calls(random, 300), make_actions(random, 60)
    send(connect, calls, actions)
    expected = count_by_hand(calls, actions, lambda _item: True)
    assert pick(ask(connect, **ASKED)["total"], expected) == expected
    assert 0 < expected["new_users"] < expected["users"]
    assert 0 < expected["lost_companies"] < expected["lost_users"]
    assert expected["seconds_to_first_success_p50"] != expected["seconds_to_first_success_p95"]


GROUPS: dict[str, Callable[[Item], Any]] = {
    "company": lambda item: item["company_id"],
    "user": lambda item: item["user_id"],
    "client": lambda item: item["request"].get("user_agent_string") or item["request"]["headers"]["User-Agent"],
    "api_version": lambda item: item["request"].get("api_version"),
    "status": lambda item: item.get("response", {}).get("status"),
    "day": lambda item: item["request"]["time"][:10],
}


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_as_counted_by_hand(connect: Connect, group: str) -> None:
    """Each newcomer and first success counts in the group of that call; what a group can't have is null."""
    random = Random(2)
    calls, actions = make_calls(random, 300), make_actions(random, 100)
    send(connect, calls, actions)
    answer = ask(connect, **ASKED, group_by=group)
    begin = BEGIN if group == "day" else BEFORE
    names = {GROUPS[group](call) for call in calls if begin <= get_time(call) < END}
    assert {row[group] for row in answer["results"]} == names
    for row in answer["results"]:
        expected = count_by_hand(calls, actions, are(GROUPS[group], row[group]))
        if group == "day":
            expected |= dict.fromkeys(OF_BEFORE)
        if group in ("status", "api_version"):
            expected |= {"transactions": None, "calls_per_transaction": None}
        assert pick(row, expected) == expected
    for name in ("new_users", "new_companies"):
        assert sum(row[name] for row in answer["results"]) == answer["total"][name] > 0


def test_filters_do_not_make_newcomers(connect: Connect) -> None:
    """Who called before, though something else, is not new; only a first call that is asked for counts."""
    random = Random(6)
    calls, actions = make_calls(random, 300), make_actions(random, 60)
    send(connect, calls, actions)
    answer = ask(connect, **ASKED, routes="/v1/a", companies="c1,c7,c8,c9", transactions="ordered,paid")
    companies = ("c1", "c7", "c8", "c9")
    everything = count_by_hand(calls, actions, lambda _item: True)
    expected = count_by_hand(
        calls,
        actions,
        lambda item: (
            item["company_id"] in companies
            and item["request"]["uri"] in ("/v1/a", "https://example.com/")
            and item.get("action_name") != "looked"
        ),
    )
    assert pick(answer["total"], expected) == expected
    assert 0 < expected["new_users"] < everything["new_users"]


@pytest.mark.parametrize("order", ["company", *MEANINGS])
def test_rows_come_in_the_order_that_is_asked_for(connect: Connect, order: str) -> None:
    """By any number or group, upwards or down; what is null comes last."""
    random = Random(4)
    calls = make_calls(random, 200)
    unanswered = {**calls[0], "company_id": "c10", "transaction_id": "x"}
    unanswered.pop("response", None)
    unanswered["request"] = {**unanswered["request"], "time": show(NOW - timedelta(hours=1))}
    send(connect, [*calls, unanswered], make_actions(random, 30))
    for sign in ("", "-"):
        rows = ask(connect, **ASKED, group_by="company", order=sign + order)["results"]
        found = [row[order] for row in rows]
        told = [value for value in found if value is not None]
        assert found[: len(told)] == sorted(told, reverse=sign == "-")
        assert len({*told}) > (order != "companies")  # nothing is told by what is the same in all rows
        assert (None in found) is (order in NULLABLE)


NULLABLE = {
    *("milliseconds_average", "milliseconds_p50", "milliseconds_p90", "milliseconds_p99", "growth_of_calls_before"),
    *("seconds_to_first_success_p50", "seconds_to_first_success_p95", "calls_per_transaction"),
    *("error_rate_of_calls", "uptime_of_minutes"),  # of a company that left
}


def test_limit_is_the_number_of_rows(connect: Connect) -> None:
    """The first ones in order; the others are counted."""
    send(connect, make_calls(Random(4), 200), [])
    answer = ask(connect, **ASKED, group_by="company", order="-company", limit="2")
    assert [row["company"] for row in answer["results"]] == ["c9", "c8"]
    assert answer["total_count"] == 10


def test_answer_is_never_too_large(connect: Connect) -> None:
    """Of many groups with long names as many come as an answer may hold; also where all are new, it takes seconds."""
    calls = [
        {
            "request": {"time": show(NOW - timedelta(seconds=number + 1)), "uri": "/", "verb": "GET"},
            "user_id": f"{number:05}" + "u" * 250,
        }
        for number in range(10_000)
    ]
    load(connect("mailwake_loader"), make_batch("moesif", "events", calls))
    connection = open_query(connect)
    with connection.cursor() as cursor:  # the statistics don't know yet what was loaded
        cursor.execute("SET statement_timeout = '5s'")
    answer = make_request(connection, USAGE, {"group_by": "user", "limit": "10000"}, REP)
    assert answer["total_count"] == 10_000
    assert LARGEST_RESULTS * 0.9 < measure(answer["results"]) <= LARGEST_RESULTS


@pytest.mark.parametrize("order", ["colour", "company", "--calls"])
def test_wrong_orders_are_refused(connect: Connect, order: str) -> None:
    """What is neither a number nor a group that was asked for is a 400."""
    with pytest.raises(ApiError) as raised:
        ask(connect, order=order)
    assert raised.value.status == 400
    assert "order" in raised.value.description


def test_customers_who_left_are_growth_downwards(connect: Connect) -> None:
    """A period without any call has shrunk by all that was before."""
    call = make_calls(Random(5), 1)[0]
    call["request"]["time"] = show(BEGIN - timedelta(hours=1))
    load(connect("mailwake_loader"), make_batch("moesif", "events", [call]))
    total = ask(connect, **ASKED)["total"]
    assert (total["calls_before"], total["growth_of_calls_before"]) == (call["weight"], -1)
