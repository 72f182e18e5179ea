"""The search for one recipient, from the request's parameters to the answer's bytes, beside SQL written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from random import Random
from statistics import median

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import SEARCH, ask, measure, open_connection
from bench.by_hand import select_page
from bench.database import DATABASE
from bench.figures import Figure, Target, find_percentile
from bench.progress import count_up
from bench.stored import RECEIVED_AT
from bench.traffic import START
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres

DEFAULT_PAGE = 1_000  # events, where nobody asks for another number

TARGET = Target(most=1.5)
RANDOM, HEAVIEST = 400, 40  # recipients
ROUNDS = 3  # for each recipient
WARM_UP = 50
BEGIN, END = START - timedelta(days=1), RECEIVED_AT

FIND_RECIPIENTS = """
SELECT recipient, count(*) FROM events WHERE recipient IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1
"""


def measure_queries(server: Postgres, seed: int) -> list[Figure]:
    """Random recipients, then the heaviest ones, both sides in turns over connections of the function's own kind."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(FIND_RECIPIENTS)
        ranked: list[tuple[str, int]] = cursor.fetchall()
    names = [name for name, _ in ranked]
    some = Random(f"queries {seed}").sample(names, min(RANDOM, len(names)))
    with closing(open_connection(server)) as function, closing(open_connection(server)) as hand:
        _measure(function, hand, some[:WARM_UP], lambda _done: None)
        typical = _measure(function, hand, some, count_up("querying random recipients", len(some)))
        heaviest = names[:HEAVIEST]
        heavy = _measure(function, hand, heaviest, count_up("querying the heaviest recipients", len(heaviest)))
    least, most = ranked[len(heaviest) - 1][1], ranked[0][1]
    return [
        *_report("query", f"one of {len(names):,} recipients", typical, TARGET),
        *_report("  the heaviest", f"{least:,} to {most:,} events", heavy, None),
    ]


def _ask_function(connection: Connection, recipient: str) -> object:
    given = {"recipients": recipient, "from": format_instant(BEGIN), "to": format_instant(END)}
    return ask(connection, SEARCH, given, END)


def _ask_by_hand(connection: Connection, recipient: str) -> object:
    bound = {"recipient": recipient, "from": BEGIN, "to": END}
    return select_page(connection, "recipient = %(recipient)s", bound, DEFAULT_PAGE)


def _measure(
    function: Connection, hand: Connection, recipients: Sequence[str], show: Callable[[int], None]
) -> tuple[list[float], list[float]]:
    """Milliseconds of every query, the function's and those by hand."""
    own: list[float] = []
    by_hand: list[float] = []
    for number, recipient in enumerate(recipients, 1):
        for _ in range(ROUNDS):
            own.append(measure(partial(_ask_function, function, recipient))[0])
            by_hand.append(measure(partial(_ask_by_hand, hand, recipient))[0])
        show(number)
    return own, by_hand


def _report(name: str, what: str, times: tuple[list[float], list[float]], target: Target | None) -> list[Figure]:
    p50, hand_p50 = (median(side) for side in times)
    p99, hand_p99 = (find_percentile(side, 99) for side in times)
    return [
        Figure(
            name=f"{name} p50, {what}",
            measured=f"{p50:.2f} ms",
            compared=f"SQL by hand {hand_p50:.2f} ms",
            ratio=p50 / hand_p50,
            target=target,
        ),
        Figure(
            name=f"{name} p99" if name.startswith(" ") else "  p99",
            measured=f"{p99:.2f} ms",
            compared=f"SQL by hand {hand_p99:.2f} ms",
            ratio=p99 / hand_p99,
        ),
    ]
