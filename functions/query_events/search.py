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
from query_events.conditions import bind, events
from query_events.given import recognise
from query_events.pages import Cursor
from query_events.parameters import DEFAULT_PAGE
from query_events.rows import PAGE_COLUMNS, EventReader, select_whole_events
from query_events.shared_keys import Shape, Use, build_criterion, find_keys, list_criteria, matches_nothing

DEFAULT_AGE = timedelta(hours=24)
DEFAULT_LAG = timedelta(minutes=1)  # what came in the last minute is left out unless asked for
ALLOW_HASH_JOIN = "SET LOCAL enable_hashjoin = on; "

Uses = tuple[tuple[str, Use], ...]  # of each shared table's keys

_reader = EventReader()


class Page(NamedTuple):
    """Events, newest first, and the cursor behind each; `total` is how many match in all."""

    events: list[Event]
    keys: list[tuple[datetime, int]]
    total: int
    more: bool


def complete_range(values: dict[str, object], instant: datetime) -> None:
    """Puts in the range that is searched where none is given: the last day, or the day before `to`."""
    last = cast("datetime", values.get("to", instant))
    values.setdefault("from", min(instant, last) - DEFAULT_AGE)
    values.setdefault("to", instant - DEFAULT_LAG)


def search_events(connection: Connection, values: Mapping[str, object], cursor: Cursor | None, offset: int = 0) -> Page:
    """One page of what matches; `values` are those of `read_parameters`, with the range.

    A page begins behind the cursor, or after `offset` events. A cursor knows the total; else it is counted.
    """
    shapes, bound = _bind(values)
    size = cast("int", values.get("per_page", DEFAULT_PAGE))
    bound |= {"limit": size + 1, "offset": offset}
    if cursor is not None:
        bound |= {"cursor_time": cursor.occurred_at, "cursor_key": cursor.event_key}
    with connection.cursor() as database:
        keys = find_keys(database, shapes, bound)
        if matches_nothing(keys):
            return Page([], [], cursor.total if cursor else 0, more=False)
        bound |= {each.name: each.bound for each in keys}
        uses = tuple((each.name, each.page_use) for each in keys)
        database.execute(build_page_query(shapes, uses, paged=cursor is not None), bound)
        rows = database.fetchall()
        more = len(rows) > size
        if cursor is not None:
            total = cursor.total
        elif more or (offset and not rows):
            database.execute(build_count_query(shapes, tuple((each.name, each.count_use) for each in keys)), bound)
            ((total,),) = database.fetchall()
        else:
            total = offset + len(rows)
        del rows[size:]
        found = _reader.read(database, rows)
    return Page(found, [(row[0], row[1]) for row in rows], total, more)


def _bind(values: Mapping[str, object]) -> tuple[tuple[Shape, ...], dict[str, object]]:
    """The filters in a fixed order, and their values, each under its number; the parts of one that has parts apart."""
    shapes: list[Shape] = []
    bound: dict[str, object] = {}
    for name in sorted(values):
        asked = recognise(name)
        if asked is None or asked.row.filter is None:
            continue
        place, value = f"v{len(shapes)}", values[name]
        shapes.append((asked.row.name, asked.negated, asked.prefix))
        if isinstance(value, tuple):
            bound |= {f"{place}_{part}": each for part, each in value._asdict().items()}  # type: ignore[attr-defined]
        else:
            bound[place] = value
    return tuple(shapes), bound


def _filter(shapes: tuple[Shape, ...], uses: Uses) -> QueryBuilder:
    query = Query.from_(events)
    for criterion in list_criteria(shapes, events):
        query = query.where(criterion)
    for name, use in uses:
        query = query.where(build_criterion(shapes, name, use))
    return query


@lru_cache(maxsize=256)
def build_page_query(shapes: tuple[Shape, ...], uses: Uses, *, paged: bool) -> str:
    """The SQL of a page of what these filters find."""
    query = _filter(shapes, uses)
    if paged:
        query = query.where(
            Tuple(events.occurred_at, events.event_key) < Tuple(bind("cursor_time"), bind("cursor_key"))
        )
    # The page is found on events alone; only then its rows are joined with what they share.
    page = (
        query.select(*(events.field(name) for name in PAGE_COLUMNS))
        .orderby(events.occurred_at, events.event_key, order=Order.desc)
        .limit(cast("int", bind("limit")))
        .offset(cast("int", bind("offset")))
        .as_("page")
    )
    whole = select_whole_events(page).orderby(page.occurred_at, page.event_key, order=Order.desc)
    return str(whole.get_sql())


@lru_cache(maxsize=256)
def build_count_query(shapes: tuple[Shape, ...], uses: Uses) -> str:
    """The SQL that counts all that these filters find."""
    sql = str(_filter(shapes, uses).select(fn.Count("*")).get_sql())
    return ALLOW_HASH_JOIN + sql if any(use is Use.JOIN for _, use in uses) else sql
