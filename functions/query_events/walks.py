"""A recipient's events, back in time, and what they say of her standing.

Where they are few, as nearly always, all are read, without an order: so Postgres uses the index of recipients whatever
its statistics say. Where they are many they are walked back in time, a stretch for each page; the newest of them tell
most of the standing, and what they don't tell is counted by the kinds that would.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import now
from query_events.own_parameters import BEGINNING, END
from query_events.standings import Standing, Tally, find_standing, list_missing, tally
from query_events.states import Fact, get_position
from query_events.timelines import Position, read_all_kinds, read_kinds

FEW = 2_000  # events of one recipient that are read at once
STRETCH, STRETCH_LEAST = 8, 100  # events that are walked, where there are more: for each entry of a page, and besides
AGES = tuple(timedelta(days=2**number) for number in range(10))  # that a walk goes back before it takes all
LEAST_KEY = -(2**63)

FACTS = "SELECT occurred_at, event_key, kind_key, reason, message_id FROM events WHERE recipient = %(recipient)s"
SOME_FACTS = f"{FACTS} LIMIT %(limit)s"
# Without this Postgres may walk everybody's events back in time and look for the recipient's among them, which takes
# long where hers are old. So it finds hers by their index, and sorts them: by what no index has, since where the range
# is of one month alone, an index that is off is used all the same (Postgres 18.1).
BY_RECIPIENT = "".join(
    f"SET LOCAL {setting}; "
    for setting in ("enable_indexscan = off", "enable_indexonlyscan = off", "max_parallel_workers_per_gather = 0")
)
WALK = f"""{BY_RECIPIENT}{FACTS} AND occurred_at >= %(from)s AND occurred_at <= %(time)s
AND (occurred_at, event_key) < (%(time)s, %(key)s) AND (message_id IS NULL OR message_id <> ALL (%(known)s))
ORDER BY GREATEST(occurred_at) DESC, event_key DESC LIMIT %(limit)s"""
# What the standing depends on, by the indexes of recipients and of kinds; then the events themselves.
TALLY = """
SELECT kind_key, count(*), max(occurred_at) FROM events
WHERE recipient = %(recipient)s AND kind_key = ANY(%(kinds)s) GROUP BY kind_key
"""
LATEST = f"""{FACTS} AND occurred_at = ANY(%(times)s) AND (kind_key, occurred_at) IN %(latest)s ORDER BY event_key"""


class Stretch(NamedTuple):
    """A recipient's events before some position, the newest first; `more`: there are older ones."""

    facts: list[Fact]
    more: bool
    known: Sequence[Fact] = ()  # all of the recipient's events, where they are few


def read_stretch(
    database: DatabaseCursor, address: str, earliest: datetime, before: Position, size: int
) -> tuple[Standing, Stretch]:
    """The standing by all that is known of an address, and its events in the range that was asked for."""
    values = {"recipient": address, "limit": FEW + 1}
    facts = read_facts(database, SOME_FACTS, values)
    if len(facts) <= FEW:
        facts.sort(key=get_position, reverse=True)
        asked = [fact for fact in facts if fact.occurred_at >= earliest and get_position(fact) < before]
        return find_standing(tally(facts)), Stretch(asked, more=False, known=facts)
    stretch = walk(database, address, earliest, before, size)
    newest = stretch if before[0] == END else walk(database, address, BEGINNING, (END, LEAST_KEY), 0)
    return find_standing(read_tallies(database, address, newest.facts)), stretch


def walk(
    database: DatabaseCursor, address: str, earliest: datetime, before: Position, size: int, known: Sequence[str] = ()
) -> Stretch:
    """The newest events before a position, without those of messages that are known already."""
    limit = size * STRETCH + STRETCH_LEAST
    values = {"recipient": address, "known": list(known)}
    facts: list[Fact] = []
    newest = min(before[0], now())
    for since in (*(max(newest - age, earliest) for age in AGES), earliest):
        place = {"from": since, "time": before[0], "key": before[1], "limit": limit - len(facts)}
        facts += read_facts(database, WALK, {**values, **place})
        before = (since, LEAST_KEY)
        if len(facts) == limit or since == earliest:
            break
    return Stretch(facts, more=len(facts) == limit)


def read_facts(database: DatabaseCursor, query: str, values: Mapping[str, object]) -> list[Fact]:
    """The facts that a query finds."""
    database.execute(query, values)
    rows = database.fetchall()
    kinds = read_kinds(database, {row[2] for row in rows})
    return [Fact(row[0], row[1], kinds[row[2]], row[3], row[4]) for row in rows]


def read_tallies(database: DatabaseCursor, address: str, newest: Sequence[Fact]) -> list[Tally]:
    """As `tally`, of an address that has many events, as far as its standing depends on them."""
    kinds = read_all_kinds(database)
    told = tally(newest)
    missing = list_missing(kinds, [entry.latest.kind for entry in told])
    database.execute(BY_RECIPIENT + TALLY, {"recipient": address, "kinds": missing})
    rows = database.fetchall()
    if not rows:
        return told
    numbers = {kind_key: number for kind_key, number, _ in rows}
    latest = tuple((kind_key, time) for kind_key, _, time in rows)
    database.execute(LATEST, {"recipient": address, "latest": latest, "times": [time for _, time in latest]})
    facts = {row[2]: Fact(row[0], row[1], kinds[row[2]], row[3], row[4]) for row in database.fetchall()}
    counted = [Tally(fact, numbers[kind_key]) for kind_key, fact in facts.items()]
    whole = {entry.latest.kind for entry in counted}
    return [entry for entry in told if entry.latest.kind not in whole] + counted
