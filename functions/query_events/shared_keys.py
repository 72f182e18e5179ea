"""Filters on what events share (kinds, mailings, receivers, clients): the keys of the rows that match are found first.

How the search then uses the keys depends on how many there are, because Postgres can't tell what a list will hold:
- few stand in the query, where the statistics tell which index is worth it;
- mailings up to some thousands are looked up in their index. Most are sent within hours; the planner takes them to be
  spread over time, and would go back in time in search of them. A list that it can't see into it takes for a short one;
- more keys are frequent: a page is found soonest by going back in time, comparing with a hash table of the keys;
- where they are too many to be listed, the row that an event points to is looked up for each event.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, cast

from psycopg2.extensions import cursor as Cursor
from pypika import CustomFunction, Table
from pypika import PostgreSQLQuery as Query
from pypika.functions import Cast
from pypika.queries import QueryBuilder
from pypika.terms import Criterion, Term

from query_events.conditions import (
    any_of,
    array_of,
    bind,
    clients,
    coalesce,
    events,
    kinds,
    mailings,
    receivers,
    senders,
)
from query_events.given import Asked
from query_events.parameters import PARAMETERS

FEW: Final = 100
SOME: Final = 2_000
MOST: Final = 20_000

Shape = tuple[str, bool, bool]  # of a filter: its row's name, negated, prefix; its value is bound under its number
unnest = CustomFunction("unnest", ["array"])
# The value itself, which no index serves; `+ 0` would also say that it is not null, as clients' partial index asks.
hide = CustomFunction("GREATEST", ["value"])


class Shared(NamedTuple):
    """A table that events point at."""

    table: Table
    key: str  # its primary key, and the column of events
    bursts: bool = False  # events with the same key are close to each other in time
    optional: bool = False  # an event may have none


SHARED: Final = {
    "kinds": Shared(kinds, "kind_key"),
    "mailings": Shared(mailings, "mailing_key", bursts=True),
    "receivers": Shared(receivers, "receiver_key"),
    "clients": Shared(clients, "client_key", optional=True),
}


class Use(Enum):
    """What a query does with the keys."""

    LIST = "list"  # compares with them, and plans with their statistics
    INDEX = "index"  # looks them up in the index
    HASH = "hash"  # compares with them in a hash table, row by row
    LOOK_UP = "look up"  # asks the shared row of each event
    JOIN = "join"  # has the shared rows found again


class Keys(NamedTuple):
    """The keys of a shared table's rows that match."""

    name: str
    found: list[int]

    @property
    def page_use(self) -> Use:
        """For a page, newest first."""
        count = len(self.found)
        if SHARED[self.name].bursts and count <= SOME:
            return Use.INDEX
        if count <= FEW:
            return Use.LIST
        return Use.HASH if count <= MOST else Use.LOOK_UP

    @property
    def count_use(self) -> Use:
        """For counting all."""
        count = len(self.found)
        if count > MOST:
            return Use.JOIN
        if SHARED[self.name].bursts:
            return Use.INDEX
        return Use.LIST if count <= FEW else Use.HASH

    @property
    def bound(self) -> str:
        """The keys as the text of an array, which Postgres reads quicker than a list of values."""
        return f"{{{','.join(map(str, self.found))}}}"


def list_criteria(shapes: Iterable[Shape], table: Table) -> list[tuple[Criterion, bool]]:
    """What the filters ask of a row of a table, and whether each is a negation."""
    criteria = []
    for number, (name, negated, prefix) in enumerate(shapes):
        asked = Asked(PARAMETERS[name], negated, prefix)
        if asked.row.filter is not None and asked.row.filter.table is table and asked.condition is not None:
            criteria.append((asked.condition(f"v{number}"), negated))
    return criteria


def _list_shared(shapes: tuple[Shape, ...], shared: Shared) -> list[tuple[Criterion, bool]]:
    """As `list_criteria`; what is asked of senders is asked of their mailings."""
    criteria = list_criteria(shapes, shared.table)
    if shared.table is mailings and (asked := list_criteria(shapes, senders)):
        query = Query.from_(senders).select(senders.sender_key).where(Criterion.all([each for each, _ in asked]))
        criteria.append((mailings.sender_key == any_of(array_of(query)), False))
    return criteria


def _select_keys(shared: Shared, criteria: list[tuple[Criterion, bool]]) -> QueryBuilder:
    where = Criterion.all([criterion for criterion, _ in criteria])
    return Query.from_(shared.table).select(shared.table.field(shared.key)).where(where)


@lru_cache(maxsize=256)
def build_key_query(shapes: tuple[Shape, ...]) -> tuple[list[str], str]:
    """The names of the shared tables that filters look at, and the SQL that gives one row: an array of keys of each."""
    wanted = {name: found for name, shared in SHARED.items() if (found := _list_shared(shapes, shared))}
    columns = [array_of(_select_keys(SHARED[name], found).limit(MOST + 1)) for name, found in wanted.items()]
    return list(wanted), str(Query.select(*columns).get_sql()) if columns else ""


def find_keys(cursor: Cursor, shapes: tuple[Shape, ...], bound: Mapping[str, object]) -> list[Keys]:
    """The keys that match, by table; empty where no filter looks at one."""
    names, sql = build_key_query(shapes)
    if not names:
        return []
    cursor.execute(sql, bound)
    (row,) = cursor.fetchall()
    return [Keys(name, found) for name, found in zip(names, row, strict=True)]


def matches_nothing(shapes: tuple[Shape, ...], keys: Iterable[Keys]) -> bool:
    """Whether no event can match."""
    return any(not each.found and not _matches_none(shapes, SHARED[each.name]) for each in keys)


def _matches_none(shapes: tuple[Shape, ...], shared: Shared) -> bool:
    """Whether events match that have no such row: they lack whatever is negated."""
    return shared.optional and all(negated for _, negated in _list_shared(shapes, shared))


def build_criterion(shapes: tuple[Shape, ...], name: str, use: Use) -> Criterion:
    """What is asked of an event's key; the keys are bound under the table's name."""
    shared = SHARED[name]
    key = events.field(shared.key)
    given = cast("Term", Cast(bind(name), "bigint[]"))  # type: ignore[no-untyped-call]
    criteria = _list_shared(shapes, shared)
    if use is Use.LOOK_UP:
        matches = Criterion.all([criterion for criterion, _ in criteria])
        row = Query.from_(shared.table).select(matches).where(shared.table.field(shared.key) == key)
        return cast("Criterion", coalesce(row, _matches_none(shapes, shared)))
    if use is Use.LIST:
        criterion = key == any_of(given)
    elif use is Use.INDEX:
        criterion = key == any_of(array_of(Query.select(unnest(given))))
    elif use is Use.HASH:
        criterion = hide(key) == any_of(given)
    else:
        criterion = key == any_of(_select_keys(shared, criteria))
    return criterion | key.isnull() if _matches_none(shapes, shared) else criterion
