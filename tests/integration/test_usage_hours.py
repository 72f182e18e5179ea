"""Packed hours: whatever came late, twice, or went, the numbers are what the calls themselves give."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection

from local.postgres import SUPERUSER
from maintain_partitions.partitions import maintain_partitions
from query_events import usage_retention
from s3_loader.behaviour import BEGIN
from s3_loader.contents import find_late_hours
from summarise_hours.summaries import summarise_hours
from summarise_hours.usage import USAGE as STEPS
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import REP, make_request
from tests.integration.test_behaviour import load, make_batch
from tests.integration.test_loading import count, select
from tests.integration.test_usage import USAGE, show
from tests.integration.test_usage_customers import (
    ASKED,
    count_by_hand,
    get_time,
    make_actions,
    make_calls,
    pick,
)

(RETENTION,) = usage_retention.ROUTES
EARLY = show(NOW - timedelta(days=45))
QUESTIONS: tuple[dict[str, str], ...] = (
    {},
    {"from": EARLY},
    {"from": "2026-11-11T17:21:09.5Z", "to": "2026-11-19T03:59:59.001Z", "group_by": "route,status"},
    {"from": EARLY, "group_by": "company"},
    {"group_by": "user"},
    {"from": EARLY, "group_by": "client,method"},
    {"from": EARLY, "group_by": "day", "timezone": "America/New_York"},
    {"from": EARLY, "group_by": "day,api_version", "timezone": "Asia/Kathmandu"},
    {"group_by": "hour", "timezone": "Asia/Kathmandu"},
    {"group_by": "hour,status", "timezone": "Europe/Berlin"},
    {"from": EARLY, "routes": "/v1/a", "statuses": "200,404", "companies": "c1,c2,c7", "transactions": "paid"},
    {"users": "u1,u2", "group_by": "user,route"},
)
WEEKS: tuple[dict[str, str], ...] = (
    {},
    {"of": "companies", "timezone": "Asia/Kathmandu"},
    {"routes": "/v1/a", "companies": "c0,c1,c2,c3,c4"},
)


def pack(connect: Connect) -> int:
    """A run of the summariser; how many hours it packed."""
    return summarise_hours(connect("mailwake_migrator"), NOW, lambda: True, STEPS).counted


@contextmanager
def unpacked(connect: Connect) -> Iterator[Connection]:
    """A connection that sees no packed hour."""
    connection = connect(SUPERUSER)
    with connection.cursor() as cursor:
        cursor.execute("SET join_collapse_limit = 1; TRUNCATE usage_hours, usage_stale_hours, first_activities")
    yield connection
    connection.rollback()


def ask_all(connection: Connection) -> list[dict[str, Any]]:
    """The answers to all questions."""
    usage = [make_request(connection, USAGE, {**ASKED, "limit": "10000", **given}, REP) for given in QUESTIONS]
    return usage + [make_request(connection, RETENTION, given, REP) for given in WEEKS]


def check(connect: Connect) -> dict[str, Any]:
    """Compares what packed hours say with what the calls themselves say; the total of the usual range."""
    query = connect("mailwake_query")
    query.autocommit = True
    answers = ask_all(query)
    with unpacked(connect) as connection:
        for given, answer, other in zip((*QUESTIONS, *WEEKS), answers, ask_all(connection), strict=True):
            assert answer == other, given
    total: dict[str, Any] = answers[0]["total"]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_numbers_stay_exact(connect: Connect, seed: int) -> None:
    """Before any hour is packed, after, and after late calls, repeated ones, replays and merges of people."""
    random = Random(seed)
    loader = connect("mailwake_loader")
    calls, actions = make_calls(random, 250), make_actions(random, 60)
    late = [calls.pop(random.randrange(len(calls))) for _ in range(60)]
    first = make_batch("moesif", "events", calls, key="1")
    load(loader, first)
    load(loader, make_batch("moesif", "actions", actions[:40], key="2"))
    check(connect)
    assert pack(connect) > 700
    check(connect)
    load(loader, first, replay=True)
    load(loader, make_batch("moesif", "events", random.sample(calls, 50), key="3"))
    assert count(connect("mailwake_migrator"), "usage_stale_hours") == 0
    load(loader, make_batch("segment", "alias", {"userId": "u1", "previousId": "u3"}, key="4"))
    load(loader, make_batch("moesif", "events", late, key="5"))
    load(loader, make_batch("moesif", "actions", actions[40:], key="6"))
    check(connect)
    stale = len({get_time(item).replace(minute=0, second=0) for item in (*late, *actions[40:])})
    assert pack(connect) > stale // 2
    load(loader, make_batch("segment", "alias", {"userId": "u3", "previousId": "u4"}, key="7"))
    expected = count_by_hand([*calls, *late], actions, lambda _item: True)
    total = check(connect)
    assert pick(total, expected) == expected
    assert pack(connect) == 0


def test_packed_hours_are_what_is_read(connect: Connect) -> None:
    """Else nothing here would test them."""
    load(connect("mailwake_loader"), make_batch("moesif", "events", make_calls(Random(1), 50)))
    pack(connect)
    superuser = connect(SUPERUSER)
    with superuser, superuser.cursor() as cursor:
        cursor.execute(
            "UPDATE usage_hours SET weights = array_fill(1000, ARRAY[cardinality(operations)])"
            " WHERE operations IS NOT NULL"
        )
        cursor.execute("UPDATE first_activities SET occurred_at = '2026-11-20Z' WHERE first_of = 'call'")
    query = connect("mailwake_query")
    query.autocommit = True
    total = make_request(query, USAGE, {"from": EARLY}, REP)["total"]
    assert total["calls"] >= 45_000
    day = {"from": "2026-11-20", "to": "2026-11-21"}
    assert make_request(query, USAGE, day, REP)["total"]["new_users"] == total["users"]


def test_retention_forgets_hours_and_finds_new_firsts(connect: Connect) -> None:
    """Who called before the retention only is new when she calls again; so do companies, and first successes."""
    loader, migrator = connect("mailwake_loader"), connect("mailwake_migrator")
    random = Random(11)
    load(loader, make_batch("moesif", "events", make_calls(random, 200)))
    load(loader, make_batch("moesif", "actions", make_actions(random, 60), key="two"))
    pack(connect)
    query = connect("mailwake_query")
    query.autocommit = True
    kept = {"from": "2026-11-09"}
    before = make_request(query, USAGE, kept, REP)["total"]
    maintain_partitions(migrator, NOW, premake_months=1, retention_months=12, activity_retention_weeks=1)
    assert select(migrator, "SELECT min(hour) >= '2026-11-09Z' FROM usage_hours") == [(True,)]
    assert select(migrator, "SELECT min(occurred_at) >= '2026-11-09Z' FROM first_activities") == [(True,)]
    check(connect)
    after = make_request(query, USAGE, kept, REP)["total"]
    assert after["new_users"] > before["new_users"]
    assert after["new_companies"] > before["new_companies"]
    assert pack(connect) == 0


COUNT_BY_HAND = """
SELECT coalesce(sum(coalesce(weight, 1)), 0)::int, count(DISTINCT person_id)::int,
       (SELECT count(*)::int FROM (
            SELECT min(occurred_at) AS first FROM activities JOIN operations USING (operation_id)
            JOIN identities USING (identity_id) WHERE activity_type = 'call' GROUP BY person_id) AS began
        WHERE first >= %(from)s)
FROM activities JOIN operations USING (operation_id) LEFT JOIN identities USING (identity_id)
WHERE activity_type = 'call' AND occurred_at >= %(from)s AND occurred_at < %(to)s
"""


@pytest.mark.slow
def test_loaders_and_summariser_at_once(connect: Connect) -> None:
    """While both are at work, usage is at each instant what a count over the calls of the same state gives."""
    random = Random(5)
    calls = make_calls(random, 600)
    random.shuffle(calls)
    over, failures = threading.Event(), list[BaseException]()

    def start(work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as failure:  # noqa: BLE001 (the test fails with it)
                failures.append(failure)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def send_part(connection: Connection, number: int) -> None:
        part = calls[number::2]
        for begin in range(0, len(part), 6):
            load(connection, make_batch("moesif", "events", part[begin : begin + 6], key=f"{number}-{begin}"))

    def summarise(migrator: Connection) -> None:
        instant = NOW - timedelta(days=40)
        while not over.is_set():
            instant = min(NOW, instant + timedelta(hours=30))
            summarise_hours(migrator, instant, lambda: True, STEPS)

    loaders = [start(partial(send_part, connect("mailwake_loader"), number)) for number in range(2)]
    summariser = start(partial(summarise, connect("mailwake_migrator")))
    query = connect("mailwake_query")
    query.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    bound = {"from": NOW - timedelta(days=20), "to": NOW}

    def check_state() -> None:
        with query.cursor() as cursor:
            cursor.execute(COUNT_BY_HAND, bound)
            ((calls, users, new_users),) = cursor.fetchall()
        total = make_request(query, USAGE, {name: show(at) for name, at in bound.items()}, REP)["total"]
        query.rollback()
        assert (total["calls"], total["users"], total["new_users"]) == (calls, users, new_users)

    rounds = 0
    while any(thread.is_alive() for thread in loaders) and not failures:
        check_state()
        rounds += 1
    over.set()
    for thread in (*loaders, summariser):
        thread.join()
    assert not failures
    assert rounds > 3
    check_state()
    check(connect)
    pack(connect)
    check(connect)


def test_announcing_waits_for_loads(connect: Connect) -> None:
    """A load that began before may not know that its hours are packed: they are not until it is over."""
    loader, migrator = connect("mailwake_loader"), connect("mailwake_migrator")
    load(loader, make_batch("moesif", "events", make_calls(Random(1), 20)))
    with migrator, migrator.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    with loader.cursor() as cursor:
        cursor.execute(BEGIN)
        with pytest.raises(errors.LockNotAvailable):
            summarise_hours(migrator, NOW, lambda: True, STEPS)
        cursor.execute("ROLLBACK")
    assert count(migrator, "usage_hours") > 0
    assert select(migrator, "SELECT count(*) FROM usage_hours WHERE ready") == [(0,)]
    assert pack(connect) > 0


def test_only_what_is_older_than_the_packed_hours_is_late() -> None:
    """Its hours are told once each; none where nothing is packed."""
    times = [NOW, NOW + timedelta(minutes=59), NOW - timedelta(minutes=1)]
    hour = timedelta(hours=1)
    assert find_late_hours(times, NOW + hour) == [NOW - hour, NOW]
    assert find_late_hours(times, NOW) == [NOW - hour]
    assert find_late_hours(times, None) == []
