"""The search for events: from parameters to a page.

The text of a query depends only on which parameters are given, so it is built once for each set of them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, cast

from psycopg2.extensions import connection as Connection
from pypika import Order, Tuple
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.queries import QueryBuilder

from common.events import Event
from query_events.pages import Cursor
from query_events.parameters import DEFAULT_PAGE, PARAMETERS, bind, events
from query_events.rows import PAGE_COLUMNS, EventReader, select_whole_events

DEFAULT_AGE = timedelta(hours=24)
DEFAULT_LAG = timedelta(minutes=1)  # what came in the last minute is left out unless asked for


_reader = EventReader()


class Page(NamedTuple):
    """Events, newest first, and the cursor behind each; `total` is how many match in all."""

    events: list[Event]
    keys: list[tuple[datetime, int]]
    total: int
    more: bool


def complete_range(values: dict[str, object], instant: datetime) -> None:
    """Puts in the range that is searched where none is given: the last day, or the day before `to`."""
    to = cast("datetime", values.setdefault("to", instant - DEFAULT_LAG))
    values.setdefault("from", min(instant, to) - DEFAULT_AGE)


def search_events(connection: Connection, values: Mapping[str, object], cursor: Cursor | None) -> Page:
    """One page of what matches; `values` are those of `read_parameters`, with the range."""
    names = frozenset(name for name in values if PARAMETERS[name].condition)
    size = cast("int", values.get("per_page", DEFAULT_PAGE))
    bound = {**values, "limit": size + 1}
    if cursor is not None:
        bound |= {"cursor_time": cursor.occurred_at, "cursor_key": cursor.event_key}
    with connection.cursor() as database:
        database.execute(build_page_query(names, paged=cursor is not None), bound)
        rows = database.fetchall()
        more = len(rows) > size
        if cursor is not None:
            total = cursor.total
        elif more:
            database.execute(build_count_query(names), bound)
            ((total,),) = database.fetchall()
        else:
            total = len(rows)
        del rows[size:]
        found = _reader.read(database, rows)
    return Page(found, [(row[0], row[1]) for row in rows], total, more)


def _filter(names: frozenset[str]) -> QueryBuilder:
    query = Query.from_(events)
    for name in sorted(names):
        condition = PARAMETERS[name].condition
        if condition is not None:
            query = query.where(condition(name))
    return query


@lru_cache(maxsize=256)
def build_page_query(names: frozenset[str], *, paged: bool) -> str:
    """The SQL of a page with conditions on these parameters."""
    query = _filter(names)
    if paged:
        query = query.where(
            Tuple(events.occurred_at, events.event_key) < Tuple(bind("cursor_time"), bind("cursor_key"))
        )
    # The page is found on events alone; only then its rows are joined with what they share.
    page = (
        query.select(*(events.field(name) for name in PAGE_COLUMNS))
        .orderby(events.occurred_at, events.event_key, order=Order.desc)
        .limit(cast("int", bind("limit")))
        .as_("page")
    )
    whole = select_whole_events(page).orderby(page.occurred_at, page.event_key, order=Order.desc)
    return str(whole.get_sql())


@lru_cache(maxsize=256)
def build_count_query(names: frozenset[str]) -> str:
    """The SQL that counts all that match."""
    return str(_filter(names).select(fn.Count("*")).get_sql())
