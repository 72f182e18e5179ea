"""Filters on what events share (kinds, mailings, receivers, clients): the keys of the rows that match are found first.

Where all filters on a table are negations, the rows to leave out are found: they are the fewer ones, as a rule.

How the search then uses the keys depends on how many there are, because Postgres can't tell what a list will hold:
- few stand in the query, where the statistics tell which index is worth it;
- mailings up to some thousands are looked up in their index. Most are sent within hours; the planner takes them to be
  spread over time, and would go back in time in search of them. A list that it can't see into it takes for a short one;
- more keys are frequent: a page is found soonest by going back in time, comparing with a hash table of the keys;
- where they are too many to be listed, the row that an event points to is looked up for each event.

Mailings' events are counted by their index, too, unless they are dense: it leads to all of their events in the months
that a range touches, which may be more than all events of the range.
"""

from collections.abc import Container, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, cast

from psycopg2.extensions import cursor as Cursor
from pypika import CustomFunction, Table
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.functions import Cast
from pypika.queries import QueryBuilder
from pypika.terms import Criterion, Term

from query_events.conditions import (
    all_of,
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
    unnest,
)
from query_events.given import Asked
from query_events.parameters import PARAMETERS

FEW: Final = 100
FEW_COUNTED: Final = 2_500  # the planner takes time for each, a count more
SOME: Final = 2_000
MOST: Final = 10_000
MOST_FOUND: Final = 30_000  # finding keys again and looking them up takes less than reading the range up to so many
MOST_UNCOUNTED: Final = 5_000  # finding keys takes longer than walking to a page of events so frequent

Shape = tuple[str, bool, bool]  # of a filter: its row's name, negated, prefix; its value is bound under its number
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

    EXCEPT = "except"  # has none of them
    LIST = "list"  # compares with them, and plans with their statistics
    INDEX = "index"  # looks them up in the index
    HASH = "hash"  # compares with them in a hash table, row by row
    LOOK_UP = "look up"  # asks the shared row of each event
    FIND = "find"  # has the shared rows found again, and looks their keys up in the index
    JOIN = "join"  # has the shared rows found again, and compares with them


class Keys(NamedTuple):
    """The keys of a shared table's rows that match, or of those that don't; of more than `most` only some."""

    name: str
    found: list[int]
    left_out: bool
    most: int

    @property
    def page_use(self) -> Use:
        """For a page, newest first."""
        count = len(self.found)
        if self.left_out and count <= self.most:
            return Use.EXCEPT
        if SHARED[self.name].bursts and count <= SOME:
            return Use.INDEX
        if count <= FEW:
            return Use.LIST
        return Use.HASH if count <= self.most else Use.LOOK_UP

    def choose_count_use(self, *, dense: bool, findable: bool) -> Use:
        """For counting all; `findable`: those that are too many to be listed may be found again."""
        count, bursts = len(self.found), SHARED[self.name].bursts
        if count > self.most:
            return Use.FIND if findable else Use.JOIN
        if self.left_out:
            return Use.EXCEPT
        if bursts and not dense:
            return Use.INDEX
        return Use.LIST if count <= FEW_COUNTED else Use.HASH

    @property
    def bound(self) -> str:
        """The keys as the text of an array, which Postgres reads quicker than a list of values."""
        return f"{{{','.join(map(str, self.found))}}}"


def list_criteria(shapes: Iterable[Shape], table: Table, only: Container[str] | None = None) -> list[Criterion]:
    """What the filters, or those of some names, ask of a row of a table."""
    criteria = []
    for number, (name, negated, prefix) in enumerate(shapes):
        asked = Asked(PARAMETERS[name], negated, prefix)
        if only is not None and name not in only:
            continue
        if asked.row.filter is not None and asked.row.filter.table is table and asked.condition is not None:
            criteria.append(asked.condition(f"v{number}"))
    return criteria


def _list_shared(shapes: tuple[Shape, ...], shared: Shared, *, joined: bool = False) -> list[Criterion]:
    """As `list_criteria`; what is asked of senders is asked of their mailings, by a list of them or by a join."""
    criteria = list_criteria(shapes, shared.table)
    if shared.table is mailings and (asked := list_criteria(shapes, senders)):
        found = _select(senders, "sender_key", Criterion.all(asked))
        criteria.append(mailings.sender_key == any_of(found if joined else array_of(found)))
    return criteria


def _list_left_out(shapes: tuple[Shape, ...], shared: Shared) -> list[Criterion]:
    """What rows have of which each filter wants the opposite; empty unless all filters on the table are negations."""
    tables = (mailings, senders) if shared.table is mailings else (shared.table,)
    asked = [shape for shape in shapes if (row := PARAMETERS[shape[0]].filter) and row.table in tables]
    if not all(negated for _, negated, _ in asked):
        return []
    whole = tuple((name, False, prefix) for name, _, prefix in shapes)  # a value's number is its place among all
    criteria = list_criteria(whole, shared.table)
    if shared.table is mailings and (others := list_criteria(whole, senders)):
        criteria.append(mailings.sender_key == any_of(array_of(_select(senders, "sender_key", Criterion.any(others)))))
    return criteria


def _select(table: Table, key: str, where: Term) -> QueryBuilder:
    return Query.from_(table).select(table.field(key)).where(where)


@lru_cache(maxsize=256)
def build_key_query(shapes: tuple[Shape, ...]) -> tuple[dict[str, bool], str]:
    """The SQL that gives one row: an array of keys of each shared table that filters look at.

    By the table's name, in the row's order, whether these are the keys to leave out.
    """
    names: dict[str, bool] = {}
    columns = []
    for name, shared in SHARED.items():
        wanted = _list_shared(shapes, shared)
        if wanted:
            left_out = _list_left_out(shapes, shared)
            names[name] = bool(left_out)
            where = Criterion.any(left_out) if left_out else Criterion.all(wanted)
            columns.append(array_of(_select(shared.table, shared.key, where).limit(cast("int", bind("most")))))
    return names, str(Query.select(*columns).get_sql()) if columns else ""


def find_keys(
    cursor: Cursor, shapes: tuple[Shape, ...], bound: Mapping[str, object], *, counted: bool = True
) -> list[Keys]:
    """The keys by table; empty where no filter looks at one. `counted`: not only a page is wanted."""
    names, sql = build_key_query(shapes)
    if not names:
        return []
    most = MOST if counted else min(MOST, MOST_UNCOUNTED)
    cursor.execute(sql, {**bound, "most": most + 1})
    (row,) = cursor.fetchall()
    return [Keys(name, found, left_out, most) for (name, left_out), found in zip(names.items(), row, strict=True)]


@lru_cache(maxsize=256)
def build_number_query(shapes: tuple[Shape, ...]) -> str:
    """The SQL that counts the mailings whose keys are asked for; empty unless their senders alone tell: by an index."""
    senders_only = list_criteria(shapes, senders) and not list_criteria(shapes, mailings)
    if not senders_only or _list_left_out(shapes, SHARED["mailings"]):
        return ""
    found = _select(mailings, "sender_key", Criterion.all(_list_shared(shapes, SHARED["mailings"])))
    limited = found.limit(cast("int", bind("most"))).as_("found")
    return str(Query.from_(limited).select(fn.Count("*")).get_sql())


def are_findable(cursor: Cursor, shapes: tuple[Shape, ...], bound: Mapping[str, object], keys: Iterable[Keys]) -> bool:
    """Whether mailings that are too many to be listed are still few beside the events of most ranges."""
    sql = build_number_query(shapes)
    if not sql or not any(each.name == "mailings" and len(each.found) > each.most for each in keys):
        return False
    cursor.execute(sql, {**bound, "most": MOST_FOUND + 1})
    ((number,),) = cursor.fetchall()
    return cast("int", number) <= MOST_FOUND


def matches_nothing(keys: Iterable[Keys]) -> bool:
    """Whether no event can match."""
    return any(not each.found and not each.left_out for each in keys)


def build_criterion(shapes: tuple[Shape, ...], name: str, use: Use) -> Criterion:
    """What is asked of an event's key; the keys are bound under the table's name."""
    shared = SHARED[name]
    key = events.field(shared.key)
    given = cast("Term", Cast(bind(name), "bigint[]"))  # type: ignore[no-untyped-call]
    wanted = _list_shared(shapes, shared)
    # An event without such a row lacks whatever is negated.
    also_none = shared.optional and bool(_list_left_out(shapes, shared))
    if use is Use.LOOK_UP:
        row = _select_whether(shared, wanted, key)
        return cast("Criterion", coalesce(row, also_none))
    if use is Use.EXCEPT:
        criterion = key != all_of(given)
    elif use is Use.LIST:
        criterion = key == any_of(given)
    elif use is Use.INDEX:
        criterion = key == any_of(array_of(Query.select(unnest(given))))
    elif use is Use.HASH:
        criterion = hide(key) == any_of(given)
    elif use is Use.FIND:
        criterion = key == any_of(array_of(_select(shared.table, shared.key, Criterion.all(wanted))))
    else:
        joined = _list_shared(shapes, shared, joined=True)
        criterion = key == any_of(_select(shared.table, shared.key, Criterion.all(joined)))
    return criterion | key.isnull() if also_none else criterion


def _select_whether(shared: Shared, wanted: list[Criterion], key: Term) -> QueryBuilder:
    return Query.from_(shared.table).select(Criterion.all(wanted)).where(shared.table.field(shared.key) == key)
