"""Metrics in the function, from the request to the answer's bytes, beside a count over the raw events written by hand.

By hand is what one would write for the numbers alone: counts by type, and different messages for what is unique, which
is right within a group only. Hours are summarised first, but for the last ones, as they are in service. 30 days are
asked of the traffic that all parts share; a year is asked of as many events that are spread over one, in a database of
their own.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import ask, measure, open_connection
from bench.database import DATABASE, create_schema, run_postgres
from bench.figures import Figure, Target
from bench.loading import load_alone
from bench.progress import count_up, say
from bench.sizes import vacuum
from bench.stored import BATCH_SIZE, write_bodies
from bench.traffic import DAYS, START
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres
from query_events.metrics import MOST_ROWS, PATH
from summarise_hours.summaries import summarise_hours

TARGET = Target(most=1.0)
ROUNDS = 5
ROUNDS_BY_HAND = 2  # which take half a minute each of 5 M events
MONTH, YEAR = "30 days", "a year"
RANGES = {MONTH: timedelta(days=30), YEAR: timedelta(days=365)}
SPREAD_DAYS = 390  # of which the events lie in some nine tenths, a year
MONTHS = 14  # that they touch
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
# Messages whose injection came after the last event of the traffic are accepted nevertheless. Not timed.
UNTOLD = """
SELECT {groups} count(DISTINCT (e.message_id, e.recipient))
FROM events e
JOIN kinds USING (kind_key) LEFT JOIN mailings USING (mailing_key) LEFT JOIN receivers USING (receiver_key)
WHERE occurred_at >= %(from)s AND occurred_at < %(to)s
AND (event_type = 'delivered' OR event_type = 'bounced' AND NOT out_of_band)
AND NOT EXISTS (
    SELECT FROM events i JOIN kinds k ON k.kind_key = i.kind_key AND k.event_type = 'injected'
    WHERE i.message_id = e.message_id AND i.recipient = e.recipient)
{group_by}
"""
CHECKED = ("accepted", "delivered", "deferred", "bounced", "opened", "clicked", "complained", "unsubscribed")


def find_instant(server: Postgres) -> datetime:
    """The time of the last event: the hours before it are as they are in service."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(occurred_at) FROM events")
        ((instant,),) = cursor.fetchall()
    return instant  # type: ignore[no-any-return]


def summarise(server: Postgres, events: int, name: str = f"{DAYS} days") -> list[Figure]:
    """Count all hours, as the summariser would have by then."""
    say("summarising hours")
    with closing(psycopg2.connect(server.dsn(MIGRATOR, DATABASE), options="-c timezone=UTC -c work_mem=32MB")) as own:
        at = time.perf_counter()
        summarised = summarise_hours(own, find_instant(server), lambda: True)
        seconds = time.perf_counter() - at
    measured = f"{seconds / events * 1e6:.1f} us an event"
    return [Figure(name=f"summarise all hours of {name}", measured=measured, compared=f"{summarised.counted:,} hours")]


def measure_metrics(server: Postgres, name: str = MONTH) -> list[Figure]:
    """A figure for each grouping."""
    instant = find_instant(server)
    bound = {"from": instant - RANGES[name], "to": instant}
    with closing(open_connection(server)) as function, closing(open_connection(server, {})) as hand:
        return [_measure(function, hand, name, groups, bound) for groups in GROUPS]


def measure_year(events: int, seed: int) -> list[Figure]:
    """As `measure_metrics`, of events over a year."""
    with tempfile.TemporaryDirectory(prefix="mailwake-bench-") as folder, run_postgres(Path(folder)) as server:
        show = count_up("generating a year's events", events, BATCH_SIZE)
        bodies = write_bodies(Path(folder, "bodies"), events, seed, show, SPREAD_DAYS)
        create_schema(server, START - timedelta(days=SPREAD_DAYS - DAYS), MONTHS)
        load_alone(server, bodies, events)
        summarised = summarise(server, events, YEAR)
        vacuum(server)
        return summarised + measure_metrics(server, YEAR)


def _measure(function: Connection, hand: Connection, name: str, groups: str, bound: dict[str, datetime]) -> Figure:
    given = {key: format_instant(value) for key, value in bound.items()} | ({"group_by": groups} if groups else {})
    bound = {key: datetime.fromisoformat(format_instant(value)) for key, value in bound.items()}
    ask_function = partial(ask, function, PATH, given, bound["to"])
    count = partial(_count_by_hand, hand, BY_HAND, groups, bound)
    untold = {tuple(group): number for *group, number in _count_by_hand(hand, UNTOLD, groups, bound)}
    check_answer(ask(function, PATH, given | {"limit": str(MOST_ROWS)}, bound["to"]), count(), untold)  # warms up, too
    own = [measure(ask_function)[0] for _ in range(ROUNDS)]
    by_hand = [measure(count)[0] for _ in range(ROUNDS_BY_HAND)]
    say(f"  {name} by {groups or 'nothing'}: {median(own):.0f} ms, by hand {median(by_hand):.0f} ms")
    return Figure(
        name=f"metrics p50, {name} by {groups or 'nothing'}",
        measured=f"{median(own):.0f} ms",
        compared=f"count by hand {median(by_hand):.0f} ms",
        ratio=median(own) / median(by_hand),
        target=TARGET,
    )


def _count_by_hand(
    connection: Connection, query: str, groups: str, bound: dict[str, datetime]
) -> list[tuple[Any, ...]]:
    by = GROUPS[groups]
    statement = query.format(groups=f"{by}," if by else "", group_by=f"GROUP BY {by}" if by else "")
    with connection.cursor() as cursor:
        cursor.execute(statement, bound)
        return cursor.fetchall()


def check_answer(answer: bytes, by_hand: list[tuple[Any, ...]], untold: Mapping[tuple[Any, ...], int] = {}) -> None:
    """Each group shown, and the total, has the counts by hand: times of different counts would mean nothing."""
    content = json.loads(answer)
    groups: list[str] = content["group_by"]
    width = len(groups)
    counts = {
        tuple(map(_show, row[:width])): [
            row[width] + untold.get(row[:width], 0),
            *row[width + 1 : width + len(CHECKED)],
        ]
        for row in by_hand
    }
    found = {
        tuple(result[name] for name in groups): [result[name] for name in CHECKED] for result in content["results"]
    }
    if wrong := [group for group, numbers in found.items() if counts.get(group) != numbers]:
        raise RuntimeError(f"{wrong[0]}: metrics give {found[wrong[0]]}, by hand {counts.get(wrong[0])}")
    total = [content["total"][name] for name in CHECKED]
    sums = [sum(column) for column in zip(*counts.values(), strict=True)]
    if total != sums or (groups and content["total_count"] != len(counts)):
        raise RuntimeError(f"metrics give {total}, by hand {sums}")


def _show(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
