"""The console's search box in the function, from the request to the answer's bytes.

Words of a subject and how an address begins are asked for as functions/console/static/search.js asks: the newest page
of its usual range, and of all there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from random import Random
from statistics import median

import psycopg2
from psycopg2.extensions import connection as Connection

from bench.asking import SEARCH, ask, measure, open_connection
from bench.database import DATABASE
from bench.figures import Figure, Target, find_percentile
from bench.progress import count_up
from bench.stored import RECEIVED_AT
from common.clock import format_instant
from local.postgres import SUPERUSER, Postgres

TARGET = Target(most=100.0)  # ms, p99
PAGE = 50
RANGES = {"30 days": timedelta(days=30), "all days": timedelta(days=400)}
SEARCHES = 100  # of each kind and range
WARM_UP = 10
LENGTHS = (3, 5, 8)  # characters of an address that are typed

SUBJECTS = "SELECT DISTINCT subject FROM mailings WHERE subject IS NOT NULL ORDER BY 1"
ADDRESSES = """
SELECT DISTINCT recipient FROM events TABLESAMPLE SYSTEM (1) REPEATABLE (1) WHERE recipient IS NOT NULL ORDER BY 1
"""


def measure_console(server: Postgres, seed: int) -> list[Figure]:
    """A figure for each kind of search and each range: the time within which 99 of 100 are answered."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection:
        typed = {
            "subjects": list(_pick_words(_read(connection, SUBJECTS), Random(f"subjects {seed}"))),
            "prefix.recipients": list(_pick_beginnings(_read(connection, ADDRESSES), Random(f"addresses {seed}"))),
        }
    show = count_up("searching as the console does", len(typed) * len(RANGES) * SEARCHES)
    figures: list[Figure] = []
    with closing(open_connection(server)) as function:
        for name, texts in typed.items():
            for range_name, length in RANGES.items():
                times = []
                for number, text in enumerate([*texts[:WARM_UP], *texts]):
                    times.append(_search(function, name, text, length))
                    show(len(figures) * SEARCHES + max(number - WARM_UP, 0))
                figures.append(_report(name, range_name, times[WARM_UP:]))
    return figures


def _read(connection: Connection, query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [text for (text,) in cursor.fetchall()]


def _pick_words(subjects: list[str], random: Random) -> Iterator[str]:
    """One to three words that stand together in some subject."""
    for _ in range(SEARCHES):
        words = random.choice(subjects).split()
        first = random.randrange(len(words))
        yield " ".join(words[first : first + random.randint(1, 3)])


def _pick_beginnings(addresses: list[str], random: Random) -> Iterator[str]:
    """The first characters of some address."""
    for _ in range(SEARCHES):
        yield random.choice(addresses)[: random.choice(LENGTHS)]


def _search(connection: Connection, name: str, text: str, length: timedelta) -> float:
    given = {
        name: text,
        "delimiter": "\x1f",
        "from": format_instant(RECEIVED_AT - length),
        "to": format_instant(RECEIVED_AT),
        "per_page": str(PAGE),
        "total": "none",
    }
    return measure(lambda: ask(connection, SEARCH, given, RECEIVED_AT))[0]


def _report(name: str, range_name: str, times: list[float]) -> Figure:
    p99 = find_percentile(times, 99)
    return Figure(
        name=f"console {name}, {range_name}",
        measured=f"p50 {median(times):.1f} ms, p99 {p99:.1f} ms",
        compared=f"p99 {TARGET.most:.0f} ms",
        value=p99,
        target=TARGET,
    )
