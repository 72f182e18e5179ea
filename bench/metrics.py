"""Metrics in the function, from the request to the answer's bytes, beside a count over the raw events written by hand.

By hand is what one would write for the numbers alone: counts by type, and different messages for what is unique, which
is right within a group only. Hours are summarised first, but for the last ones, as they are in service. The traffic
lies within `DAYS` days: a year is a range of 365 days around all of it.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import ask, measure, open_connection
from bench.database import DATABASE
from bench.figures import Figure, Target
from bench.progress import say
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres
from query_events.metrics import PATH
from summarise_hours.summaries import summarise_hours

TARGET = Target(most=1.0)
ROUNDS = 5
RANGES = {"30 days": timedelta(days=30), "a year": timedelta(days=365)}
MIGRATOR = "mailwake_migrator"
GROUPS = {"": "", "campaign,day": "campaign, occurred_at::date", "recipient_domain": "domain"}
BY_HAND = """
SELECT {groups} count(*) FILTER (WHERE event_type = 'injected'), count(*) FILTER (WHERE event_type = 'delivered'),
       count(*) FILTER (WHERE event_type = 'deferred'), count(*) FILTER (WHERE event_type = 'bounced'),
       count(*) FILTER (WHERE event_type = 'opened'), count(*) FILTER (WHERE event_type = 'clicked'),
       count(*) FILTER (WHERE event_type = 'complained'), count(*) FILTER (WHERE event_type = 'unsubscribed'),
       count(DISTINCT message_id) FILTER (WHERE event_type = 'opened'),
       count(DISTINCT message_id) FILTER (WHERE event_type = 'clicked')
FROM events
JOIN kinds USING (kind_key) LEFT JOIN mailings USING (mailing_key) LEFT JOIN receivers USING (receiver_key)
WHERE occurred_at >= %(from)s AND occurred_at < %(to)s
{group_by}
"""
CHECKED = ("accepted", "delivered", "deferred", "bounced", "opened", "clicked", "complained", "unsubscribed")


def find_instant(server: Postgres) -> datetime:
    """The time of the last event: the hours before it are as they are in service."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(occurred_at) FROM events")
        ((instant,),) = cursor.fetchall()
    return instant  # type: ignore[no-any-return]


def summarise(server: Postgres, events: int) -> list[Figure]:
    """Count all hours, as the summariser would have by then."""
    say("summarising hours")
    with closing(psycopg2.connect(server.dsn(MIGRATOR, DATABASE), options="-c timezone=UTC -c work_mem=32MB")) as own:
        at = time.perf_counter()
        summarised = summarise_hours(own, find_instant(server), lambda: True)
        seconds = time.perf_counter() - at
    measured = f"{seconds / events * 1e6:.1f} us an event"
    return [Figure(name="summarise all hours", measured=measured, compared=f"{summarised.counted:,} hours")]


def measure_metrics(server: Postgres) -> list[Figure]:
    """A figure for each range and grouping."""
    instant = find_instant(server)
    bounds = {name: {"from": instant - length, "to": instant} for name, length in RANGES.items()}
    with closing(open_connection(server)) as function, closing(open_connection(server, {})) as hand:
        return [_measure(function, hand, name, groups, bound) for name, bound in bounds.items() for groups in GROUPS]


def _measure(function: Connection, hand: Connection, name: str, groups: str, bound: dict[str, datetime]) -> Figure:
    given = {key: format_instant(value) for key, value in bound.items()} | ({"group_by": groups} if groups else {})
    bound = {key: datetime.fromisoformat(format_instant(value)) for key, value in bound.items()}
    ask_function = partial(ask, function, PATH, given, bound["to"])
    count = partial(_count_by_hand, hand, groups, bound)
    _check(ask_function(), count())  # warms up, too
    own = [measure(ask_function)[0] for _ in range(ROUNDS)]
    by_hand = [measure(count)[0] for _ in range(ROUNDS)]
    say(f"  {name} by {groups or 'nothing'}: {median(own):.0f} ms, by hand {median(by_hand):.0f} ms")
    return Figure(
        name=f"metrics p50, {name} by {groups or 'nothing'}",
        measured=f"{median(own):.0f} ms",
        compared=f"count by hand {median(by_hand):.0f} ms",
        ratio=median(own) / median(by_hand),
        target=TARGET,
    )


def _count_by_hand(connection: Connection, groups: str, bound: dict[str, datetime]) -> list[tuple[Any, ...]]:
    by = GROUPS[groups]
    statement = BY_HAND.format(groups=f"{by}," if by else "", group_by=f"GROUP BY {by}" if by else "")
    with connection.cursor() as cursor:
        cursor.execute(statement, bound)
        return cursor.fetchall()


def _check(answer: bytes, by_hand: list[tuple[Any, ...]]) -> None:
    """Times of different counts would mean nothing."""
    total = json.loads(answer)["total"]
    sums = [sum(row[column - 10] for row in by_hand) for column in range(len(CHECKED))]
    found = [total[name] for name in CHECKED]
    # Messages whose injection is not told, or lies before the range, are accepted nevertheless.
    if found[1:] != sums[1:] or found[0] < sums[0]:
        raise RuntimeError(f"metrics give {found}, by hand {sums}")
