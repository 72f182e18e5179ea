"""The view of one recipient in the function, from the request to the answer's bytes.

Measured with as many monthly partitions as years of retention make: planning looks at each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from random import Random
from statistics import median

import psycopg2
from psycopg2 import sql

from bench.asking import ask, measure, open_connection
from bench.database import DATABASE, run_as_superuser
from bench.figures import Figure, Target, find_percentile
from bench.progress import count_up
from bench.queries import FIND_RECIPIENTS
from bench.stored import RECEIVED_AT
from bench.traffic import START
from local.postgres import SUPERUSER, Postgres

TARGET = Target(most=30.0)  # ms, of the p99
RANDOM, HEAVIEST = 2_000, 40  # recipients
ROUNDS_OF_HEAVIEST = 10
WARM_UP = 50
PARTITIONS = 24


def measure_recipient_view(server: Postgres, seed: int) -> list[Figure]:
    """Random recipients, each asked for once after others warmed the caches up; then the heaviest ones."""
    for month in range(PARTITIONS):
        instant = sql.Literal(START - timedelta(days=30 * month))
        run_as_superuser(server, sql.SQL("SELECT create_events_partition({})").format(instant))
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(FIND_RECIPIENTS)
        ranked: list[tuple[str, int]] = cursor.fetchall()
    names = [name for name, _ in ranked]
    some = Random(f"recipients {seed}").sample(names, min(RANDOM + WARM_UP, len(names)))
    heaviest = names[:HEAVIEST]
    with closing(open_connection(server)) as connection:
        _measure(connection, some[:WARM_UP])
        typical = _measure(connection, some[WARM_UP:])
        heavy = _measure(connection, heaviest * ROUNDS_OF_HEAVIEST)
    return [
        *_report("recipient view", f"one of {len(names):,} recipients, {PARTITIONS} months", typical),
        *_report("  the heaviest", f"{ranked[len(heaviest) - 1][1]:,} to {ranked[0][1]:,} events", heavy),
    ]


def _measure(connection: psycopg2.extensions.connection, recipients: Sequence[str]) -> list[float]:
    """Milliseconds of each answer."""
    show = count_up("viewing recipients", len(recipients))
    times: list[float] = []
    for number, recipient in enumerate(recipients, 1):
        path = f"/api/v1/recipients/{recipient}"
        times.append(measure(lambda path=path: ask(connection, path, {}, RECEIVED_AT))[0])  # type: ignore[misc]
        show(number)
    return times


def _report(name: str, what: str, times: list[float]) -> list[Figure]:
    p99 = find_percentile(times, 99)
    return [
        Figure(name=f"{name} p50, {what}", measured=f"{median(times):.2f} ms"),
        Figure(
            name=f"{name} p99",
            measured=f"{p99:.2f} ms",
            value=p99,
            target=TARGET,
        ),
    ]
