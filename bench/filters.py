"""Each filter of the search, from the request's parameters to the answer's bytes, beside SQL written by hand.

A frequent and a rare value, each within a day, a week and a month; pages of PAGE events. By hand is what one would
write for this filter alone: the page with the same columns, and the count where there is more. It is run twice, with
keys of shared rows looked up first and with the planner free to join; what counts is the faster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from random import Random
from statistics import median
from typing import Any, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import SEARCH, ask, measure, open_connection
from bench.by_hand import Rows, search_by_hand
from bench.database import DATABASE
from bench.figures import Figure, Target
from bench.progress import count_up, say
from bench.stored import RECEIVED_AT
from bench.traffic import DAYS, START
from bench.values import FILTERS, FORMS, Filter, bind_value, build_condition, build_given, count_shared, find_value
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres
from query_events.parameters import PARAMETERS

PAGE = 100
ENOUGH_MS = 500.0  # of a search's own rounds; slow ones are measured less often
ROUNDS = range(3, 16)  # fewest and most
# The limit is this many times the SQL by hand, plus what reading a request and writing an answer may take.
FACTOR, ALLOWED_MS = 1.5, 2.0
TARGET = Target(most=1.0)
END = START + timedelta(days=DAYS - 5)
RANGES = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class Search(NamedTuple):
    """What is asked for."""

    name: str  # of the filter
    row: Filter
    value: str
    what: str  # "frequent, week"
    begin: datetime


class Measured(NamedTuple):
    """Medians in milliseconds."""

    search: Search
    own: float
    by_hand: float

    @property
    def limit(self) -> float:
        """What the search may take."""
        return FACTOR * self.by_hand + ALLOWED_MS


class Sides(NamedTuple):
    """Connections: the function's, and those of the SQL by hand."""

    function: Connection
    keys_first: Connection
    free: Connection


def list_filters() -> list[str]:
    """The names of the declared filters, but for the range that every search has."""
    return [name for name, row in PARAMETERS.items() if row.filter and name not in ("from", "to")]


def measure_filters(server: Postgres) -> list[Figure]:
    """A figure for each filter: the search that comes closest to its limit, or exceeds it most."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection:
        searches = list(_plan(connection))
    found: dict[str, list[Measured]] = {}
    show = count_up("searching by each filter", len(searches))
    with ExitStack() as stack:
        sides = Sides(*(
            stack.enter_context(closing(each))
            for each in (open_connection(server), open_connection(server), open_connection(server, {}))
        ))  # fmt: skip
        for number, search in enumerate(searches, 1):
            measured = _measure(sides, search)
            say(f"  {search.name} {search.what}: {measured.own:.2f} ms, by hand {measured.by_hand:.2f} ms")
            found.setdefault(search.name, []).append(measured)
            show(number)
    return [_report(name, each) for name, each in found.items()]


def _plan(connection: Connection) -> Iterator[Search]:
    with connection.cursor() as cursor:
        count_shared(cursor)
        for name, row in ({name: FILTERS[name] for name in list_filters()} | FORMS).items():
            for rare in (False, True):
                value = find_value(cursor, row, rare=rare)
                if value is None:
                    raise RuntimeError(f"no event has a value for {name}")
                for range_name, length in RANGES.items():
                    yield Search(name, row, value, f"{'rare' if rare else 'frequent'}, {range_name}", END - length)


def _measure(sides: Sides, search: Search) -> Measured:
    given = {
        **build_given(search.name, search.row, search.value),
        "from": format_instant(search.begin),
        "to": format_instant(END),
        "per_page": str(PAGE),
    }
    bound = {**bind_value(search.row, search.value), "from": search.begin, "to": END}
    ways: dict[str, Callable[[], Any]] = {
        "own": lambda: ask(sides.function, SEARCH, given, RECEIVED_AT),
        "keys first": lambda: search_by_hand(
            sides.keys_first, build_condition(search.row, keys_first=True), bound, PAGE
        ),
        "free": lambda: search_by_hand(sides.free, build_condition(search.row, keys_first=False), bound, PAGE),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    answers = {way: call() for way, call in ways.items()}  # warms up
    _check(search, answers["own"], answers["keys first"])
    # In changing order: what one reads is in memory for the next, or has pushed out what that needs.
    orders = Random(f"{search.name} {search.what}")
    while len(times["own"]) < ROUNDS.start or (len(times["own"]) < ROUNDS.stop and sum(times["own"]) < ENOUGH_MS):
        for way in orders.sample(list(ways), len(ways)):
            times[way].append(measure(ways[way])[0])
    return Measured(search, median(times["own"]), min(median(times["keys first"]), median(times["free"])))


def _check(search: Search, body: bytes, by_hand: tuple[Rows, int]) -> None:
    """Times of different searches would mean nothing."""
    answer = json.loads(body)
    rows, total = by_hand
    times = [result["timestamp"] for result in answer["results"]]
    if answer["total_count"] != total or times != [format_instant(row[0]) for row in rows]:
        raise RuntimeError(f"{search.name} {search.what}: {answer['total_count']:,} events found, by hand {total:,}")


def _report(name: str, measured: list[Measured]) -> Figure:
    worst = max(measured, key=lambda each: each.own / each.limit)
    return Figure(
        name=f"{name} p50, {worst.search.what}",
        measured=f"{worst.own:.2f} ms",
        compared=f"{FACTOR} x by hand {worst.by_hand:.2f} + {ALLOWED_MS:g} ms",
        ratio=worst.own / worst.limit,
        target=TARGET,
    )
