"""Usage in the function, from the request to the answer's bytes, beside a count over the raw calls written by hand.

By hand is what one would write for most of the numbers: calls, those before, errors, distinct and new users, companies,
minutes with an answer, percentiles. The calls lie evenly over a year; all hours but the last are packed, as in service.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import ask, measure, open_connection
from bench.calls import write_calls
from bench.database import DATABASE, create_schema, run_postgres
from bench.figures import Figure, Target
from bench.metrics import MIGRATOR
from bench.progress import say
from bench.sizes import vacuum
from bench.traffic import START
from bench.vocabulary import BENCHMARK_VOCABULARY
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres
from query_events import usage, usage_retention
from s3_loader.batches import Batch, Limits
from s3_loader.behaviour import BehaviourLoader
from sources import find_source
from summarise_hours.summaries import summarise_hours
from summarise_hours.usage import USAGE

TARGET = Target(most=1.0)
ROUNDS = 3
DAYS = 365
MOST = 5_000_000  # calls
BATCH_SIZE = 500
END = START + timedelta(days=DAYS)
LIMITS = Limits(timedelta(days=500), START - timedelta(days=30))
RANGES = {"7 days": timedelta(days=7), "a year": timedelta(days=DAYS)}
ZONE = "Europe/Berlin"
GROUPS = {
    "": "1",
    "company": "company_id",
    "route": "concat_ws(' ', method, route)",
    "day": f"(occurred_at AT TIME ZONE '{ZONE}')::date",
    "user": "identity_id",
}
BY_HAND = """
WITH calls AS (
    SELECT {group} AS by, occurred_at >= %(from)s AS is_in, occurred_at, coalesce(weight, 1) AS weight, status,
           duration, person_id, company_id
    FROM activities JOIN operations USING (operation_id) LEFT JOIN identities USING (identity_id)
    WHERE activity_type = 'call' AND occurred_at >= %(before)s AND occurred_at < %(to)s
),
firsts AS (
    SELECT person_id, min(occurred_at) AS occurred_at
    FROM activities JOIN operations USING (operation_id) JOIN identities USING (identity_id)
    WHERE activity_type = 'call' AND occurred_at < %(to)s GROUP BY person_id
)
SELECT by, sum(weight) FILTER (WHERE is_in), coalesce(sum(weight) FILTER (WHERE is_in AND status >= 400), 0),
       count(DISTINCT calls.person_id) FILTER (WHERE is_in), count(DISTINCT company_id) FILTER (WHERE is_in),
       count(firsts.person_id) FILTER (WHERE is_in),
       count(DISTINCT date_trunc('minute', calls.occurred_at)) FILTER (WHERE is_in),
       count(DISTINCT date_trunc('minute', calls.occurred_at)) FILTER (WHERE is_in AND status < 500),
       sum(weight) FILTER (WHERE NOT is_in),
       percentile_disc(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY duration) FILTER (WHERE is_in)
FROM calls LEFT JOIN firsts USING (person_id, occurred_at) GROUP BY by
"""
SIZE = "SELECT pg_total_relation_size('usage_hours') + pg_total_relation_size('first_activities')"


def measure_usage(events: int) -> list[Figure]:
    """Packing, and a figure for each range and grouping, over so many calls at most."""
    calls = min(events, MOST) // BATCH_SIZE * BATCH_SIZE
    with run_postgres() as server:
        create_schema(server, START, 1)
        _load(server, calls)
        figures = _pack(server, calls)
        vacuum(server)
        with closing(open_connection(server)) as function, closing(open_connection(server, {})) as hand:
            for name, length in RANGES.items():
                bound = {"from": END - length, "to": END}
                figures += [_measure(function, hand, name, groups, bound) for groups in GROUPS]
            figures.append(_measure_retention(function))
    return figures


def _load(server: Postgres, calls: int) -> None:
    say(f"loading {calls:,} API calls of a year")
    source, loader = find_source("moesif"), BehaviourLoader()
    assert source is not None
    with closing(psycopg2.connect(server.dsn("mailwake_loader", DATABASE), options="-c timezone=UTC")) as connection:
        for batch in _make_batches(calls):
            loader.load(connection, batch, loader.read(source, batch, LIMITS))


def _make_batches(calls: int) -> Iterator[Batch]:
    for body in write_calls(BENCHMARK_VOCABULARY, calls, BATCH_SIZE, DAYS):
        name = hashlib.blake2b(body, digest_size=16).hexdigest()
        yield Batch(f"raw/moesif/2027/10/05/12/{name}", "moesif", None, name[:16], END, body, query="events")


def _pack(server: Postgres, calls: int) -> list[Figure]:
    say("packing hours")
    options = "-c timezone=UTC -c work_mem=32MB"
    with closing(psycopg2.connect(server.dsn(MIGRATOR, DATABASE), options=options)) as own:
        at = time.perf_counter()
        hours = summarise_hours(own, END, lambda: True, USAGE).counted
        seconds = time.perf_counter() - at
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(SIZE)
        ((size,),) = cursor.fetchall()
    return [
        Figure(
            name="pack a year of API calls",
            measured=f"{seconds / calls * 1e6:.1f} us a call",
            compared=f"{hours:,} hours",
        ),
        Figure(name="  their size", measured=f"{int(size) / calls:.1f} bytes a call"),
    ]


def _measure(function: Connection, hand: Connection, name: str, groups: str, bound: dict[str, datetime]) -> Figure:
    given = {key: format_instant(value) for key, value in bound.items()} | {"timezone": ZONE, "limit": "10000"}
    if groups:
        given["group_by"] = groups
    ask_function = partial(ask, function, usage.PATH, given, END)
    count = partial(_count_by_hand, hand, groups, bound)
    _check(ask_function(), count(), groups)  # warms up, too
    own = [measure(ask_function)[0] for _ in range(ROUNDS)]
    by_hand = [measure(count)[0] for _ in range(ROUNDS)]
    say(f"  usage, {name} by {groups or 'nothing'}: {median(own):.0f} ms, by hand {median(by_hand):.0f} ms")
    return Figure(
        name=f"usage p50, {name} by {groups or 'nothing'}",
        measured=f"{median(own):.0f} ms",
        compared=f"count by hand {median(by_hand):.0f} ms",
        ratio=median(own) / median(by_hand),
        target=TARGET,
    )


def _measure_retention(function: Connection) -> Figure:
    given = {"from": format_instant(START), "to": format_instant(END), "timezone": ZONE}
    own = [measure(partial(ask, function, usage_retention.PATH, given, END))[0] for _ in range(ROUNDS)]
    return Figure(name="retention p50, a year by week", measured=f"{median(own):.0f} ms")


def _count_by_hand(connection: Connection, groups: str, bound: dict[str, datetime]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            BY_HAND.format(group=GROUPS[groups]), {**bound, "before": bound["from"] - (bound["to"] - bound["from"])}
        )
        return cursor.fetchall()


def _check(answer: bytes, by_hand: list[tuple[Any, ...]], groups: str) -> None:
    """Times of different counts would mean nothing."""
    decoded = json.loads(answer)
    names = ("calls", "errors", "users", "companies", "new_users")
    tiles = ("milliseconds_p50", "milliseconds_p90", "milliseconds_p99")
    rows = [row for row in decoded["results"] if row["calls"]] if groups else [decoded["total"]]
    found = sorted(tuple(row[name] for name in (*names, *tiles)) for row in rows)
    wanted = sorted((*map(int, row[1:6]), *row[-1]) for row in by_hand if row[1])
    if len(rows) < 10_000 and found != wanted:
        raise RuntimeError(f"usage by {groups or 'nothing'} gives other numbers than the count by hand")
